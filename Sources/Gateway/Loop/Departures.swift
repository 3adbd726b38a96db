import Addresses
import CTun
import Glibc
import LinuxIO
import TunnelCore

/// The outbox's runs as the system wants them: an array for each address family, made once and filled for each flush.
@safe
struct Departures: ~Copyable {
    private let v4Runs = UnsafeMutableBufferPointer<ctun_run>.allocate(capacity: Outbox.mostRuns)
    private let v6Runs = UnsafeMutableBufferPointer<ctun_run>.allocate(capacity: Outbox.mostRuns)
    /// The peer that each run of an array is for.
    private var v4Peers: [PeerSlot?] = []
    private var v6Peers: [PeerSlot?] = []
    /// The peers of the last flush whose path's local address the system no longer has.
    private(set) var refusedSources: [PeerSlot?] = []
    /// The peers of the last flush to which something was not sent, and the errno; not that there was no room.
    private(set) var failures: [(peer: PeerSlot, errno: Int32)] = []

    init() {
        v4Peers.reserveCapacity(Outbox.mostRuns)
        v6Peers.reserveCapacity(Outbox.mostRuns)
    }

    deinit {
        unsafe v4Runs.deallocate()
        unsafe v6Runs.deallocate()
    }

    /// Sends the outbox's runs, each on the socket of its family, and sets `refusedSources`. How many datagrams were not sent
    /// (or runs, for a family that this host lacks).
    mutating func send(_ outbox: borrowing Outbox, on sockets: inout UDPSocketPair) -> UInt64 {
        if !refusedSources.isEmpty { refusedSources = [] }
        if !failures.isEmpty { failures = [] }
        v4Peers.removeAll(keepingCapacity: true)
        v6Peers.removeAll(keepingCapacity: true)
        for index in 0..<outbox.count { unsafe sort(outbox[index], outbox.base) }
        return unsafe Self.send(v4Runs, v4Peers, &sockets.v4, &refusedSources, &failures)
            + Self.send(v6Runs, v6Peers, &sockets.v6, &refusedSources, &failures)
    }

    private mutating func sort(_ run: Outbox.Run, _ base: UnsafeRawPointer) {
        let source = run.path.local.map { LocalSource($0.address, interface: $0.interface) }
        let departure = unsafe ctun_run(
            base: base + run.offset, length: run.length, segment: run.count > 1 ? run.segment : 0,
            to: run.path.remote, from: source, trafficClass: run.trafficClass)
        if run.path.remote.address.isV4 {
            unsafe v4Runs.initializeElement(at: v4Peers.count, to: departure)
            v4Peers.append(run.peer)
        } else {
            unsafe v6Runs.initializeElement(at: v6Peers.count, to: departure)
            v6Peers.append(run.peer)
        }
    }

    private static func send(
        _ runs: UnsafeMutableBufferPointer<ctun_run>, _ peers: [PeerSlot?], _ socket: inout UDPSocket?,
        _ refusedSources: inout [PeerSlot?], _ failures: inout [(peer: PeerSlot, errno: Int32)]
    ) -> UInt64 {
        guard !peers.isEmpty else { return 0 }
        let ready = unsafe UnsafeMutableBufferPointer(rebasing: runs[0..<peers.count])
        guard let result = unsafe socket?.send(ready) else {
            // This host lacks the family of the endpoints.
            for peer in peers { note(EAFNOSUPPORT, peer, &failures) }
            return UInt64(peers.count)
        }
        for index in ready.indices where unsafe ready[index].source_refused != 0 {
            refusedSources.append(peers[index])
        }
        if result.dropped > 0 {
            for index in ready.indices { unsafe note(ready[index].error, peers[index], &failures) }
        }
        return UInt64(result.dropped)
    }

    private static func note(_ error: Int32, _ peer: PeerSlot?, _ failures: inout [(peer: PeerSlot, errno: Int32)]) {
        guard error != 0, error != EAGAIN, error != ENOBUFS, let peer else { return }
        // Runs to one peer follow each other.
        if let last = failures.last, last.peer == peer, last.errno == error { return }
        failures.append((peer, error))
    }
}
