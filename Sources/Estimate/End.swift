import Addresses
import Glibc
import Keys
import TunnelCore

/// One end of a wire in memory: a tunnel, and the work of its handshake thread done in line.
final class End {
    let publicKey: PublicKey
    let path: Path
    var driver: MemoryDriver
    private var engine = HandshakeEngine()

    init(_ address: IPAddress, mtu: Int, at now: Now) {
        let key = PrivateKey.generate()
        publicKey = key.publicKey
        path = Path(Endpoint(address, port: 51820))
        driver = MemoryDriver(Tunnel(chacha: .boringSSL))
        tunnel.mtu = mtu
        tunnel.setPrivateKey(key, at: now)
    }

    var tunnel: Tunnel {
        _read { yield driver.tunnel }
        _modify { yield &driver.tunnel }
    }

    /// What is known of the only peer.
    var peer: PeerStatistics? { tunnel.peerStatistics(inPlaces: 0..<tunnel.peerPlaces).first }

    /// Packets that were not tried, by the raw value of the reason.
    var skipped: [UInt64] {
        guard let peer else { return CompressionSkip.allCases.map { _ in 0 } }
        return CompressionSkip.allCases.map { peer.traffic.skipped[$0.rawValue] }
    }

    /// Does what waits for the handshake thread.
    func shakeHands(at now: Now) {
        while let job = tunnel.pollHandshake() { driver.take(engine.perform(job), at: now) }
        while tunnel.pollEvent() != nil {}
    }

    /// Hands in what came from the device; how long that took.
    func send(_ packet: Packet, at now: Now) -> CPUTime {
        guard var superSegment = packet.superSegment(mtu: tunnel.mtu) else {
            let bytes = unsafe packet.bytes.span.bytes
            return CPUTime.of { tunnel.handlePacket(bytes, at: now) }
        }
        var span = superSegment.mutableSpan
        var bytes = unsafe span.mutableBytes
        return CPUTime.of { tunnel.handleDeviceRead(&bytes, at: now) }
    }

    /// Hands in a datagram; the packets that came out for the device, and how long that took.
    func receive(_ datagram: MemoryDriver.Datagram, from other: End, at now: Now) -> ([[UInt8]], CPUTime) {
        var buffer = datagram.bytes
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        let time = CPUTime.of {
            tunnel.handleDatagram(&bytes, from: other.path, trafficClass: datagram.trafficClass, at: now)
        }
        let packets = driver.takeWrites().map(\.packet)
        withExtendedLifetime(buffer) {}
        return (packets, time)
    }
}

/// Nanoseconds of the processor that this thread has used.
struct CPUTime {
    var nanoseconds: Int64 = 0

    /// What `body` uses.
    static func of(_ body: () -> Void) -> CPUTime {
        let start = now
        body()
        return CPUTime(nanoseconds: now - start)
    }

    static func + (a: CPUTime, b: CPUTime) -> CPUTime { CPUTime(nanoseconds: a.nanoseconds + b.nanoseconds) }

    private static var now: Int64 {
        var moment = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &moment)
        return Int64(moment.tv_sec) * 1_000_000_000 + Int64(moment.tv_nsec)
    }
}

extension Now {
    /// A moment of the virtual clock, which began in November 2023.
    static func of(_ instant: Instant) -> Now {
        let (seconds, rest) = instant.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Now(instant: instant, wall: WallTime(seconds: 1_700_000_000 + seconds, nanoseconds: UInt32(rest)))
    }
}
