/// What became of a packet, or of several that left or came together: an event of `GET /v1/trace`.
public struct TraceLine: Codable, Hashable, Sendable {
    /// Seconds since 1970.
    public var time: Double
    /// `out`: to the peer; `in`: from it.
    public var direction: String
    /// The peer's name, if it has one, and its public key; absent if it is nobody's.
    public var peer: String?
    public var publicKey: String?
    /// `packet`, `unit`, `bundle`, `pack`, `frame`, `control`, `keepalive`, `handshake`, or `none`.
    public var form: String
    /// Packets inside and their bytes.
    public var packets: Int
    public var plainBytes: Int
    /// `tcp`, `udp`, `icmp`, or the number; and the ends, as `10.0.0.1:443`. Absent if there is no IP packet.
    public var transport: String?
    public var source: String?
    public var destination: String?
    /// The codec, and the bytes that it made.
    public var codec: String?
    public var codedBytes: Int?
    /// Why it was not compressed, by the names of the statistics.
    public var skipped: String?
    public var cipher: String?
    public var datagrams: Int
    public var wireBytes: Int
    /// Why it went no further, by the names of the statistics, and how many did not.
    public var dropped: String?
    public var droppedCount: Int?
    /// The name of a record that is no data, as docs/protocol.md has it.
    public var record: String?

    public init(time: Double, direction: String, form: String) {
        self.time = time
        self.direction = direction
        self.form = form
        packets = 0
        plainBytes = 0
        datagrams = 0
        wireBytes = 0
    }
}

/// What was not told, where there was more than is told.
public struct TraceSample: Codable, Hashable, Sendable {
    /// What was wanted and passed since the last such word.
    public var seen: UInt64
    /// What was told of it.
    public var told: UInt64
    /// One of so many is told now.
    public var every: UInt64

    public init(seen: UInt64, told: UInt64, every: UInt64) {
        self.seen = seen
        self.told = told
        self.every = every
    }
}
