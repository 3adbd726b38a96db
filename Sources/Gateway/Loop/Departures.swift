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
    /// The peers of the last flush to which something was not sent, and the errno; not for want of room.
    private(set) var failures: [(peer: PeerSlot, errno: Int32)] = []

    /// The peers of the last flush of which our own interface took datagrams only in pieces, though they were not to be cut.
    private(set) var divided: [PeerSlot] = []

    /// The peers of the last flush to which there was no room for so many datagrams.
    private(set) var crowded: [(peer: PeerSlot, datagrams: Int)] = []

    init() {
        crowded.reserveCapacity(Outbox.mostRuns)
        v4Peers.reserveCapacity(Outbox.mostRuns)
        v6Peers.reserveCapacity(Outbox.mostRuns)
    }

    deinit {
        unsafe v4Runs.deallocate()
        unsafe v6Runs.deallocate()
    }

    /// Sends the outbox's runs, each on the socket of its family by its peer's outlet, and sets `refusedSources`, `failures`
    /// and `crowded`. How many datagrams were not sent (or runs, for a family that this host lacks).
    mutating func send(_ outbox: borrowing Outbox, on sockets: inout UDPSocketPair) -> UInt64 {
        if !refusedSources.isEmpty { refusedSources = [] }
        if !failures.isEmpty { failures = [] }
        if !divided.isEmpty { divided = [] }
        crowded.removeAll(keepingCapacity: true)
        v4Peers.removeAll(keepingCapacity: true)
        v6Peers.removeAll(keepingCapacity: true)
        var left: UInt64 = 0
        for index in 0..<outbox.count {
            let run = outbox[index]
            if let outlet = Self.outlet(for: run, of: &sockets) {
                unsafe sort(run, outlet, outbox.base)
            } else {
                left += UInt64(run.count)
                if let peer = run.peer { crowded.append((peer, run.count)) }
            }
        }
        left += unsafe Self.send(v4Runs, v4Peers, &sockets.v4, &refusedSources, &failures, &crowded)
        left += unsafe Self.send(v6Runs, v6Peers, &sockets.v6, &refusedSources, &failures, &crowded)
        unsafe noteDivided(v4Runs, v4Peers)
        unsafe noteDivided(v6Runs, v6Peers)
        return left
    }

    /// The outlet for a run; `nil` if its peer has too much on its way.
    @inline(__always)
    private static func outlet(for run: Outbox.Run, of sockets: inout UDPSocketPair) -> Int? {
        // The handshakes of a peer are few, and it needs them most when its way is full.
        if run.peer != nil, run.trafficClass == Limits.handshakeTrafficClass { return 0 }
        let owner = run.peer?.offset
        if run.path.remote.address.isV4 {
            guard sockets.v4 != nil else { return 0 }
            return sockets.v4?.outlet(for: owner, datagrams: run.count, bytes: run.length) ?? nil
        }
        guard sockets.v6 != nil else { return 0 }
        return sockets.v6?.outlet(for: owner, datagrams: run.count, bytes: run.length) ?? nil
    }

    private mutating func sort(_ run: Outbox.Run, _ outlet: Int, _ base: UnsafeRawPointer) {
        let source = run.path.local.map { LocalSource($0.address, interface: $0.interface) }
        var departure = unsafe ctun_run(
            base: base + run.offset, length: run.length, segment: run.count > 1 ? run.segment : 0,
            to: run.path.remote, from: source, trafficClass: run.trafficClass, outlet: outlet)
        let division =
            switch run.division {
            case .allowed: CTUN_DIVIDE_ALLOWED
            case .avoided: CTUN_DIVIDE_AVOIDED
            case .forbidden: CTUN_DIVIDE_FORBIDDEN
            }
        unsafe departure.division = UInt8(division)
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
        _ refusedSources: inout [PeerSlot?], _ failures: inout [(peer: PeerSlot, errno: Int32)],
        _ crowded: inout [(peer: PeerSlot, datagrams: Int)]
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
            for index in ready.indices {
                let error = unsafe ready[index].error
                if error == EAGAIN || error == ENOBUFS {
                    if let peer = peers[index] { crowded.append((peer, Int(unsafe ready[index].dropped))) }
                } else {
                    note(error, peers[index], &failures)
                }
            }
        }
        return UInt64(result.dropped)
    }

    private mutating func noteDivided(_ runs: UnsafeMutableBufferPointer<ctun_run>, _ peers: [PeerSlot?]) {
        for index in peers.indices where unsafe runs[index].too_big != 0 {
            if let peer = peers[index], divided.last != peer { divided.append(peer) }
        }
    }

    private static func note(_ error: Int32, _ peer: PeerSlot?, _ failures: inout [(peer: PeerSlot, errno: Int32)]) {
        guard error != 0, let peer else { return }
        // Runs to one peer follow each other.
        if let last = failures.last, last.peer == peer, last.errno == error { return }
        failures.append((peer, error))
    }
}
