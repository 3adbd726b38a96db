/// Bytes on both sides of the compression. Each codec and each reason has its place (`CapacityTests`).
public struct CompressionCounters: Sendable {
    /// Bytes of the packets inside, and of the datagrams that they became.
    public struct Bytes: Sendable, Equatable {
        public var plain: UInt64 = 0
        public var wire: UInt64 = 0

        mutating func add(plain: Int, wire: Int) {
            self.plain &+= UInt64(plain)
            self.wire &+= UInt64(wire)
        }
    }

    public var sent = Bytes()
    public var received = Bytes()
    /// The part of `sent` and `received` that went through a codec, by its raw value, and how many units it was.
    public var units = InlineArray<3, UInt64>(repeating: 0)
    public var coded = InlineArray<3, Bytes>(repeating: Bytes())
    /// The part that went in bundles, how many of those, and how many packets were in them.
    public var bundles: UInt64 = 0
    public var bundledPackets: UInt64 = 0
    public var bundled = Bytes()
    /// Packets that were not tried, by the raw value of the reason.
    public var skipped = InlineArray<5, UInt64>(repeating: 0)

    init() {}

    @inline(__always)
    mutating func noteSent(plain: Int, wire: Int) { sent.add(plain: plain, wire: wire) }

    @inline(__always)
    mutating func noteReceived(plain: Int, wire: Int) { received.add(plain: plain, wire: wire) }

    mutating func note(_ codec: Codec, plain: Int, wire: Int) {
        units[Int(codec.rawValue)] &+= 1
        coded[Int(codec.rawValue)].add(plain: plain, wire: wire)
    }

    mutating func noteBundle(packets: Int, plain: Int, wire: Int) {
        bundles &+= 1
        bundledPackets &+= UInt64(packets)
        bundled.add(plain: plain, wire: wire)
    }
}
