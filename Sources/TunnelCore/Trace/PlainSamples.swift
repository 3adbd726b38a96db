public import Keys

/// Some of the packets that leave uncompressed since nobody asked for more, or the peer takes no more: one from every so many bytes,
/// copied into memory that is there before. What compression would have made of them is worked out elsewhere, with time.
struct PlainSamples: ~Copyable {
    private static let capacity = 32
    private static let slotSize = 8192
    /// Bytes between two of them.
    private static let distance = 256 * 1024

    private var arena = Arena(capacity: capacity * slotSize)
    private var lengths = InlineArray<32, Int32>(repeating: 0)
    private var peers = InlineArray<32, PeerSlot>(repeating: PeerSlot(0))
    private(set) var count = 0
    /// The first comes soon, so that a little traffic is seen too.
    private var left = 4096

    init() {}

    /// Whether a packet of so many bytes is one of them.
    @inline(__always)
    mutating func isDue(_ bytes: Int) -> Bool {
        left -= bytes
        return left < 0
    }

    @inline(never)
    mutating func note(_ packet: RawSpan, to peer: PeerSlot) {
        left = Self.distance
        guard count < Self.capacity else { return }
        let length = min(packet.byteCount, Self.slotSize)
        var slot = arena[count * Self.slotSize..<count * Self.slotSize + length]
        slot.copy(packet.extracting(0..<length), to: 0)
        lengths[count] = Int32(length)
        peers[count] = peer
        count += 1
    }

    /// The bytes and the peer of one of them.
    func sample(_ index: Int) -> (bytes: [UInt8], peer: PeerSlot) {
        let start = index * Self.slotSize
        let bytes = arena.bytes(start..<start + Int(lengths[index]))
        return (unsafe bytes.withUnsafeBytes { unsafe Array($0) }, peers[index])
    }

    mutating func clear() { count = 0 }
}

/// A packet that left uncompressed, or the beginning of a super-segment.
public struct PlainSample: Sendable {
    public let peer: PublicKey
    public let bytes: [UInt8]
}

/// What compression would have made of samples. It has an encoder of its own, for a thread of its own.
public struct CompressionTrial: ~Copyable {
    private let encoders = Encoders()
    private var space = Arena(capacity: 16_384)

    public init() {}

    /// The outcome for one sample.
    public struct Outcome: Sendable {
        /// The number of the protocol, and the lower port, which is the service's; 0 if there is none.
        public let transport: UInt8
        public let port: UInt16
        public let bytes: Int
        /// What a unit of it would be smaller by; 0 if it would not be.
        public let saved: Int
    }

    /// Codes a sample as `auto` would begin with; `nil` if it is no IP packet.
    public mutating func perform(_ sample: PlainSample) -> Outcome? {
        let bytes = unsafe sample.bytes.span.bytes
        let flow = TraceFlow(start: bytes)
        guard flow.source != nil else { return nil }
        // The compiler takes it to borrow all of us, not this arena alone.
        var room = unsafe _overrideLifetime(space[0..<space.capacity], copying: ())
        let coded = encoders.encode(bytes, with: .zstd, level: 1, into: &room)
        let saved = coded > 0 ? max(bytes.byteCount - coded - UnitRecord.headerSize, 0) : 0
        let ports = [flow.sourcePort, flow.destinationPort].filter { $0 > 0 }
        return Outcome(transport: flow.transport, port: ports.min() ?? 0, bytes: bytes.byteCount, saved: saved)
    }
}
