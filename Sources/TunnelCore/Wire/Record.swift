/// A gateway record: what a decrypted payload is when its first nibble is neither 4 nor 6. See docs/protocol.md.
///
///     0        1           2       4
///     ┌────────┬───────────┬───────┬─────────────┬───────┐
///     │ type   │ parameter │length │ body        │ zeros │
///     └────────┴───────────┴───────┴─────────────┴───────┘
///
/// `length` is the size of the body, little-endian; the zeros are WireGuard's padding to 16.
struct Record {
    enum Kind: UInt8, CaseIterable {
        case hello = 0x10
        case unit = 0x11
        case bundle = 0x12
        case fragment = 0x13
        case report = 0x14
        case ping = 0x15
        case ethernet = 0x16
        case confirm = 0x17
        case receipt = 0x18
        case gone = 0x19
        case parity = 0x1a
        case pack = 0x1b
        case rotate = 0x1c
        case stream = 0x1d
        case history = 0x1e
        case keys = 0x1f
        case recall = 0x20
        case learned = 0x21

        /// It is about the tunnel itself, and holds no packets.
        var isControl: Bool {
            switch self {
            case .hello, .report, .ping, .confirm, .receipt, .gone, .parity, .rotate, .history, .keys, .learned: true
            case .unit, .bundle, .fragment, .ethernet, .pack, .stream, .recall: false
            }
        }
    }

    static let headerSize = 4

    let kind: Kind
    let parameter: UInt8
    let body: Range<Int>

    /// Reads the header of the record that fills `payload`; `nil` if the type is unknown, if the body would not end
    /// within the payload, or if something other than padding follows it.
    init?(_ payload: RawSpan) {
        guard payload.byteCount >= Self.headerSize, let kind = Kind(rawValue: payload.byte(at: 0)) else { return nil }
        let end = Self.headerSize + Int(payload.little16(at: 2))
        guard end <= payload.byteCount, payload.byteCount - end < Limits.padding else { return nil }
        self.kind = kind
        parameter = payload.byte(at: 1)
        body = Self.headerSize..<end
    }

    /// Writes a header for a body of `length` bytes.
    static func writeHeader(_ kind: Kind, parameter: UInt8, length: Int, to payload: inout MutableRawSpan) {
        payload.store(kind.rawValue, at: 0)
        payload.store(parameter, at: 1)
        payload.store(little: UInt16(truncatingIfNeeded: length), at: 2)
    }
}

/// A set of the kinds of record that one may or may not take.
struct RecordSet: OptionSet, Hashable {
    let rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ kind: Record.Kind) { rawValue = 1 << UInt32((kind.rawValue &- Record.Kind.hello.rawValue) & 31) }

    /// The kinds that HELLO has to announce: every gateway takes HELLO itself, and UNIT if it decodes any codec.
    static let announced: [Record.Kind] = [
        .bundle, .fragment, .report, .ping, .ethernet, .confirm, .receipt, .gone, .parity, .pack, .rotate,
        .stream, .history, .keys, .recall, .learned,
    ]
    /// The kinds that a tunnel for packets takes.
    static let packets: RecordSet = [.init(.bundle), .init(.fragment), .init(.report), .init(.ping), .init(.confirm)]
    /// Frames that stand for several (docs/protocol.md §3.8): no kind of record, but announced as one.
    static let segmentedFrames = RecordSet(rawValue: 1 << 31)
    /// What HELLO says of them.
    static let segmentedFramesNumber: UInt8 = 0x2f
    /// RECALL with deflate, and with what LEARNED says (docs/protocol.md §3.16): no kind of record either.
    static let briefRecalls = RecordSet(rawValue: 1 << 30)
    /// What HELLO says of these.
    static let briefRecallsNumber: UInt8 = 0x2e
    /// The kinds that one for Ethernet frames takes.
    static let frames = packets.subtracting(RecordSet(.confirm)).union([RecordSet(.ethernet), .segmentedFrames])

    /// The kinds that carry packets larger than a datagram.
    static let pieces: RecordSet = [.init(.fragment), .init(.pack)]

    /// The kinds that the exchange of keys takes: it goes in pieces where the path is narrow.
    static let exchange: RecordSet = [.init(.fragment), .init(.keys)]

    /// The kinds that repair takes.
    static let repair: RecordSet = [.init(.receipt), .init(.gone)]

    /// The kinds that hold packets and may travel in fragments.
    static let fragmented: RecordSet = [.init(.unit), .init(.ethernet), .init(.pack), .init(.stream)]

    /// The kinds that units which refer to others take.
    static let history: RecordSet = [.init(.stream), .init(.history)]

    /// The kinds that units which refer to a dictionary take.
    static let recalls: RecordSet = [.init(.recall), .init(.learned)]

    @inline(__always) func contains(_ kind: Record.Kind) -> Bool { isSuperset(of: RecordSet(kind)) }
}
