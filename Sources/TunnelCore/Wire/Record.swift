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
    init(_ kind: Record.Kind) { rawValue = 1 << UInt32(kind.rawValue & 15) }

    /// All that HELLO has to announce: every gateway takes HELLO itself, and UNIT if it decodes any codec.
    static let announced: [Record.Kind] = [.bundle, .fragment, .report, .ping, .ethernet]
    /// What a tunnel for packets takes.
    static let packets = announced.dropLast().reduce(into: RecordSet()) { $0.insert(RecordSet($1)) }
    /// What one for Ethernet frames takes.
    static let frames = packets.union(RecordSet(.ethernet))

    @inline(__always) func contains(_ kind: Record.Kind) -> Bool { isSuperset(of: RecordSet(kind)) }
}

/// UNIT: one compressed unit. The record's parameter is the codec in its low nibble and the layout of the decoded bytes
/// in its high one; the body is the decoded size (2 bytes, little-endian) and the coded bytes.
struct UnitRecord {
    /// What the decoded bytes are.
    enum Layout: UInt8 {
        case packet = 0
        case members = 1
        case frames = 2
    }

    /// The bytes of the body before the coded ones.
    static let sizeField = 2
    /// Where the coded bytes start in the payload.
    static let headerSize = Record.headerSize + sizeField

    let codec: Codec
    let layout: Layout
    /// How many bytes there are when it is decoded.
    let decoded: Int

    /// Reads the parameter and the size; `nil` if either is not ours.
    init?(parameter: UInt8, body: RawSpan) {
        guard let layout = Layout(rawValue: parameter >> 4), let codec = Codec(rawValue: parameter & 15),
            body.byteCount > Self.sizeField
        else { return nil }
        self.codec = codec
        self.layout = layout
        decoded = Int(body.little16(at: 0))
    }

    /// Writes everything before the coded bytes; the size of the whole record.
    @inline(__always)
    static func writeHeader(
        _ codec: Codec, _ layout: Layout, decoded: Int, coded: Int, to payload: inout MutableRawSpan
    ) -> Int {
        let parameter = layout.rawValue << 4 | codec.rawValue
        Record.writeHeader(.unit, parameter: parameter, length: sizeField + coded, to: &payload)
        payload.store(little: UInt16(truncatingIfNeeded: decoded), at: Record.headerSize)
        return headerSize + coded
    }
}

/// FRAGMENT: a piece of a UNIT that did not fit into one datagram.
struct FragmentRecord {
    static let headerSize = Record.headerSize + 6
    static let mostPieces = 64

    /// Which unit of the session.
    let number: UInt16
    /// The bytes of the whole record.
    let size: Int
    let index: Int
    let count: Int

    /// The bytes of every piece but the last, which may have fewer.
    var step: Int { (size + count - 1) / count }
    /// Where in the record this piece belongs.
    var range: Range<Int> { min(index * step, size)..<min((index + 1) * step, size) }

    init(number: UInt16, size: Int, index: Int, count: Int) {
        self.number = number
        self.size = size
        self.index = index
        self.count = count
    }

    /// Reads the fields before the piece; `nil` if they contradict each other or the size of the piece.
    init?(_ body: RawSpan) {
        guard body.byteCount > 6 else { return nil }
        number = body.little16(at: 0)
        size = Int(body.little16(at: 2))
        index = Int(body.byte(at: 4))
        count = Int(body.byte(at: 5))
        guard (2...Self.mostPieces).contains(count), index < count, size > UnitRecord.headerSize,
            range.count == body.byteCount - 6
        else { return nil }
    }

    /// Writes everything before the piece; the size of the whole record.
    func writeHeader(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.fragment, parameter: 0, length: 6 + range.count, to: &payload)
        payload.store(little: number, at: 4)
        payload.store(little: UInt16(truncatingIfNeeded: size), at: 6)
        payload.store(UInt8(truncatingIfNeeded: index), at: 8)
        payload.store(UInt8(truncatingIfNeeded: count), at: 9)
        return Self.headerSize + range.count
    }
}

/// REPORT: what has arrived on a lane.
struct ReportRecord: Equatable {
    static let bodySize = 40
    /// What it costs: padded, as a datagram, with the headers of UDP and IPv4.
    static let wireSize = 80 + 28

    /// The lane for AES-256-GCM, not WireGuard's.
    var isAES: Bool
    /// The highest counter, and which of the 64 up to it have arrived.
    var highest: UInt64
    var recent: UInt64
    /// Datagrams and their bytes so far.
    var datagrams: UInt64
    var bytes: UInt64
    /// The sender's clock, in microseconds.
    var clock: UInt64

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.report, parameter: isAES ? 1 : 0, length: Self.bodySize, to: &payload)
        payload.store(little: highest, at: 4)
        payload.store(little: recent, at: 12)
        payload.store(little: datagrams, at: 20)
        payload.store(little: bytes, at: 28)
        payload.store(little: clock, at: 36)
        return Record.headerSize + Self.bodySize
    }
}

extension ReportRecord {
    /// Reads the body; `nil` if it is cut off, or of a lane that there isn't.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.bodySize else { return nil }
        isAES = parameter == 1
        highest = body.little64(at: 0)
        recent = body.little64(at: 8)
        datagrams = body.little64(at: 16)
        bytes = body.little64(at: 24)
        clock = body.little64(at: 32)
    }
}

/// PING: a question with a token, or the answer with the same one.
struct PingRecord: Equatable {
    static let bodySize = 8
    static let wireSize = 48 + 28

    var isAnswer: Bool
    var token: UInt64

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.ping, parameter: isAnswer ? 1 : 0, length: Self.bodySize, to: &payload)
        payload.store(little: token, at: 4)
        return Record.headerSize + Self.bodySize
    }
}

extension PingRecord {
    /// Reads the body, of which a question's padding does not count; `nil` if it is cut off.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.bodySize else { return nil }
        isAnswer = parameter == 1
        token = body.little64(at: 0)
    }
}

/// A compression method, by the number it has on the wire.
public enum Codec: UInt8, CaseIterable, Sendable {
    /// Raw deflate (RFC 1951).
    case deflate = 1
    /// zstd frames without magic number (RFC 8878).
    case zstd = 2
}

/// A set of codecs, known ones only.
public struct CodecSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ codec: Codec) { rawValue = 1 << UInt32(codec.rawValue) }

    /// All that this build decodes.
    public static let all = Codec.allCases.reduce(into: CodecSet()) { $0.insert(CodecSet($1)) }

    public func contains(_ codec: Codec) -> Bool { isSuperset(of: CodecSet(codec)) }
}
