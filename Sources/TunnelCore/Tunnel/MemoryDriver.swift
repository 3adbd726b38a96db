/// A tunnel without device and sockets: what comes out is kept until it is taken. For an estimate, and for tests.
public struct MemoryDriver: TunnelDriver, ~Copyable {
    /// What the device would be given.
    public struct Write {
        /// The virtio header.
        public let virtio: [UInt8]
        /// A packet, a super-segment or an Ethernet frame.
        public let packet: [UInt8]
    }

    /// What a socket would send.
    public struct Datagram {
        public let path: Path
        public let bytes: [UInt8]
        public let trafficClass: UInt8
        public let division: Outbox.Division
    }

    public var tunnel: Tunnel
    private var writes: [Write] = []
    private var datagrams: [Datagram] = []

    public init(_ tunnel: consuming Tunnel) { self.tunnel = tunnel }

    public mutating func withTunnel<Result>(_ body: (inout Tunnel) -> Result) -> Result { body(&tunnel) }

    public mutating func write(_ write: Inbox.Write) {
        writes.append(Write(virtio: tunnel.inbox.virtio(of: write), packet: tunnel.inbox.bytes(of: write)))
    }

    public mutating func sendRuns() {
        for index in 0..<tunnel.outbox.count {
            let run = tunnel.outbox[index]
            let bytes = tunnel.outbox.bytes(of: run)
            for start in stride(from: 0, to: bytes.count, by: run.segment) {
                let end = min(start + run.segment, bytes.count)
                datagrams.append(
                    Datagram(
                        path: run.path, bytes: Array(bytes[start..<end]), trafficClass: run.trafficClass,
                        division: run.division))
            }
        }
    }

    /// Something was sent that nobody has taken.
    public var hasSent: Bool { !datagrams.isEmpty }

    /// What came out for the device since it was taken last.
    public mutating func takeWrites() -> [Write] {
        write()
        defer { writes = [] }
        return writes
    }

    /// What came out for the wire since it was taken last.
    public mutating func takeDatagrams() -> [Datagram] {
        send()
        defer { datagrams = [] }
        return datagrams
    }
}
