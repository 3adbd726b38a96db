import Addresses
import BasicContainers
import Keys

@testable import TunnelCore

/// One end of a `Link`: a tunnel, the handshake engine that works for it in line, and what came out for the device.
final class End {
    var key: PrivateKey
    /// Where the wire finds it.
    var endpoint: Endpoint
    var driver: MemoryDriver
    var engine: HandshakeEngine
    /// What its clock on the wall is wrong by.
    var clockError = Interval.seconds(0)
    /// False: handshake work piles up.
    var isWorking = true
    /// Packets or frames for the device.
    var received: [[UInt8]] = []
    var events: [TunnelEvent] = []
    /// The MTU of the interface that ways outside begin with; `nil`: nobody knows.
    var routeMTU: Int?
    /// The addresses that its ICMP errors come from; `nil`: those of what could not be reached.
    var own: (v4: IPAddress?, v6: IPAddress?)

    /// What its device is read into.
    private var space = Arena(capacity: Limits.deviceRead)

    var publicKey: PublicKey { key.publicKey }
    var tunnel: Tunnel {
        _read { yield driver.tunnel }
        _modify { yield &driver.tunnel }
    }

    /// Hands it what its device would read: a virtio header, then a packet, a super-segment or a frame.
    func read(_ frame: [UInt8], at now: Now) {
        unsafe frame.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress {
                unsafe space.pointer(at: 0).copyMemory(from: base, byteCount: bytes.count)
            }
        }
        tunnel.handleDeviceRead(in: &space, length: frame.count, at: now)
    }

    init(_ key: PrivateKey, _ endpoint: Endpoint, seed: UInt64, hasAES: Bool = true, mode: TunnelMode = .packets) {
        self.key = key
        self.endpoint = endpoint
        driver = MemoryDriver(Tunnel(randomness: Randomness(seed: seed), hasAES: hasAES, mode: mode))
        engine = HandshakeEngine(randomness: Randomness(seed: seed ^ 0xff00))
        let start = Now(instant: Instant(nanoseconds: 0), wall: WallTime(seconds: 0, nanoseconds: 0))
        tunnel.setPrivateKey(key, at: start)
    }

    func receive(_ datagram: [UInt8], from path: Path, trafficClass: UInt8, at now: Now) {
        var buffer = datagram
        do {
            var span = buffer.mutableSpan
            var bytes = unsafe span.mutableBytes
            tunnel.handleDatagram(&bytes, from: path, trafficClass: trafficClass, at: now)
        }
        takePackets()
        // What the inbox had borrowed.
        withExtendedLifetime(buffer) {}
    }

    func work(at now: Now) {
        while let refusal = tunnel.pollRefusal() {
            driver.makeRoom()
            tunnel.answer(refusal, from: refusal.sender.isV4 ? own.v4 : own.v6)
        }
        while let mtu = routeMTU, let (slot, _) = tunnel.pollRouteQuestion() {
            tunnel.setRouteMTU(mtu, route: mtu, ofPeer: slot, at: now)
        }
        takePackets()
        while isWorking, let job = tunnel.pollHandshake() {
            let result = engine.perform(job)
            driver.take(result, at: now)
        }
        while let event = tunnel.pollEvent() { events.append(event) }
    }

    private func takePackets() { received += driver.takeWrites().map(\.packet) }

    func takeDatagrams() -> [MemoryDriver.Datagram] { driver.takeDatagrams() }

    // MARK: Inside

    func statistics(of other: End) -> PeerStatistics? {
        let statistics = tunnel.statistics()
        return statistics.peers.first { $0.publicKey == other.publicKey }
    }

    /// How many datagrams of a peer were dropped for a reason.
    func drops(_ reason: DropReason, of other: End) -> UInt64 { statistics(of: other)?.drops[reason] ?? 0 }
    /// How many that belong to no peer.
    func drops(_ reason: DropReason) -> UInt64 { tunnel.drops[reason] }

    var handshakesDone: Int { events.count { if case .handshakeDone = $0 { true } else { false } } }

    /// The slots of a peer's sessions: current, previous, next.
    func sessions(with other: PublicKey) -> [SessionSlot] {
        guard let slot = tunnel.peers.slot(of: other) else { return [] }
        let keypairs = tunnel.peers[slot].keypairs
        return [keypairs.current, keypairs.previous, keypairs.next].compactMap { $0 }
    }

    /// What this end had sealed into one of its transport messages.
    func payload(of datagram: [UInt8]) -> [UInt8]? {
        guard datagram.count >= 32, datagram[0] == 4 else { return nil }
        let header = unsafe datagram.span.bytes
        let receiver = header.little32(at: 4)
        let counter = header.little64(at: 8)
        for peer in tunnel.peers.keys {
            for session in sessions(with: peer) {
                for suite in [CipherSuite.chacha20poly1305, .aes256gcm]
                where tunnel.services.sessions[session][suite].remoteIndex?.rawValue == receiver {
                    var sealed = Array(datagram[16...])
                    var span = sealed.mutableSpan
                    var bytes = unsafe span.mutableBytes
                    let isOpen = tunnel.services.sessions[session][suite].sending.open(&bytes, counter: counter)
                    if isOpen { return Array(sealed.dropLast(16)) }
                }
            }
        }
        return nil
    }

    /// A transport message to a peer with any payload, authentic in every bit, on a lane of the current session, with the
    /// next counter or any; `nil` without one.
    func seal(
        _ payload: [UInt8], to other: End, on suite: CipherSuite = .chacha20poly1305, counter chosen: UInt64? = nil
    ) -> [UInt8]? {
        guard let session = sessions(with: other.publicKey).first else { return nil }
        var datagram = [UInt8](repeating: 0, count: 16) + payload + [UInt8](repeating: 0, count: 16)
        var span = datagram.mutableSpan
        var bytes = unsafe span.mutableBytes
        let counter = chosen ?? tunnel.services.sessions[session][suite].sendCounter
        if chosen == nil { tunnel.services.sessions[session][suite].sendCounter += 1 }
        bytes.store(little: 4 as UInt32, at: 0)
        bytes.store(little: tunnel.services.sessions[session][suite].remoteIndex?.rawValue ?? 0, at: 4)
        bytes.store(little: counter, at: 8)
        var sealed = bytes.part(16...)
        tunnel.services.sessions[session][suite].sending.seal(&sealed, counter: counter)
        return datagram
    }
}

extension Tunnel {
    /// What is known, however long ago.
    func statistics() -> TunnelStatistics { statistics(at: Instant(nanoseconds: 0)) }
}
