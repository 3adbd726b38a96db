/// The findings of `gatewayctl estimate`; `--json` prints it. Fields may be added; none is renamed or removed.
public struct EstimateReport: Codable, Hashable, Sendable {
    /// The packets of one protocol, and what they came to.
    public struct Row: Codable, Hashable, Sendable {
        public var name: String
        public var packets: UInt64 = 0
        /// Bytes of the packets.
        public var plainBytes: UInt64 = 0
        /// Their bytes on the wire with plain WireGuard, with the IP and UDP headers outside.
        public var wireGuardBytes: UInt64 = 0
        /// Their bytes on the wire with the gateway.
        public var gatewayBytes: UInt64 = 0
        /// Their bytes on the wire with the gateway in front of a link with a rate (`History`): with units that stand alone, and with those that
        /// refer to others of their flow, or to all between the same two hosts.
        public var unitsBytes: UInt64 = 0
        public var historyBytes: UInt64 = 0
        public var hostsHistoryBytes: UInt64 = 0
        /// Processor time more than plain WireGuard takes, at the sender and at the receiver; less than 0 if it takes less.
        public var compressSeconds = 0.0
        public var decompressSeconds = 0.0
        /// Packets that were not tried, by reason.
        public var leftPlain: [String: UInt64] = [:]

        public init(name: String) { self.name = name }

        public mutating func add(_ other: Row) {
            packets += other.packets
            plainBytes += other.plainBytes
            wireGuardBytes += other.wireGuardBytes
            gatewayBytes += other.gatewayBytes
            unitsBytes += other.unitsBytes
            historyBytes += other.historyBytes
            hostsHistoryBytes += other.hostsHistoryBytes
            compressSeconds += other.compressSeconds
            decompressSeconds += other.decompressSeconds
            leftPlain.merge(other.leftPlain) { $0 + $1 }
        }
    }

    /// Frames of the capture that were not looked at, by reason.
    public struct LeftOut: Codable, Hashable, Sendable {
        /// The snapshot length has left too little of them.
        public var cut: UInt64 = 0
        public var notIP: UInt64 = 0
        /// To a group, or to a neighbour on the same link.
        public var local: UInt64 = 0
        /// Longer than the MTU, and neither TCP nor UDP.
        public var tooLong: UInt64 = 0
        /// Frames of a link type that can't be read.
        public var unknownLink: UInt64 = 0

        public init() {}
    }

    /// The link that `unitsBytes`, `historyBytes` and `hostsHistoryBytes` are about.
    public struct History: Codable, Hashable, Sendable {
        public var bitsPerSecond: UInt64
        public var roundTripMilliseconds: Double

        public init(bitsPerSecond: UInt64, roundTripMilliseconds: Double) {
            self.bitsPerSecond = bitsPerSecond
            self.roundTripMilliseconds = roundTripMilliseconds
        }
    }

    /// How long a link is busy with it.
    public struct Link: Codable, Hashable, Sendable {
        public var megabitsPerSecond: UInt64
        public var wireGuardSeconds: Double
        public var gatewaySeconds: Double
    }

    /// From the first to the last packet.
    public var seconds: Double
    public var frames: UInt64 = 0
    public var leftOut = LeftOut()
    /// The capture ended inside a frame.
    public var isTruncated = false
    public var compression = ""
    public var mtu = 0
    /// The largest first.
    public var protocols: [Row]
    /// Handshakes, keepalives and records of the gateways' own.
    public var tunnel: Row
    /// All protocols together.
    public var total: Row
    public var links: [Link]
    public var history = History(bitsPerSecond: 20_000_000, roundTripMilliseconds: 40)

    public init(protocols: [Row], tunnel: Row, total: Row, seconds: Double) {
        self.protocols = protocols
        self.tunnel = tunnel
        self.total = total
        self.seconds = seconds
        links = [2, 20, 200].map { (rate: UInt64) in
            func time(_ bytes: UInt64) -> Double { Double(bytes) * 8 / (Double(rate) * 1e6) }
            return Link(
                megabitsPerSecond: rate, wireGuardSeconds: time(total.wireGuardBytes),
                gatewaySeconds: time(total.gatewayBytes))
        }
    }
}
