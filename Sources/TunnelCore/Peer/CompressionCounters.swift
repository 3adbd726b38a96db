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

// What a new process takes over.
extension CompressionCounters {
    func write(to state: inout StateWriter) {
        for bytes in [sent, received, bundled] { Self.write(bytes, to: &state) }
        state.put(UInt32(units.count))
        for index in units.indices {
            state.put(units[index])
            Self.write(coded[index], to: &state)
        }
        state.put(bundles)
        state.put(bundledPackets)
        state.put(UInt32(skipped.count))
        for index in skipped.indices { state.put(skipped[index]) }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        sent = try Self.bytes(&state)
        received = try Self.bytes(&state)
        bundled = try Self.bytes(&state)
        guard try state.count(eachAtLeast: 24) == units.count else { throw .implausible("codecs") }
        for index in units.indices {
            units[index] = try state.number()
            coded[index] = try Self.bytes(&state)
        }
        bundles = try state.number()
        bundledPackets = try state.number()
        guard try state.count(eachAtLeast: 8) == skipped.count else { throw .implausible("reasons") }
        for index in skipped.indices { skipped[index] = try state.number() }
    }

    private static func write(_ bytes: Bytes, to state: inout StateWriter) {
        state.put(bytes.plain)
        state.put(bytes.wire)
    }

    private static func bytes(_ state: inout StateReader) throws(StateProblem) -> Bytes {
        var bytes = Bytes()
        bytes.plain = try state.number()
        bytes.wire = try state.number()
        return bytes
    }
}
