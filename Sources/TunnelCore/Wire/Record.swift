/// A gateway record: what a decrypted payload is when its first nibble is neither 4 nor 6. See docs/protocol.md.
///
///     0        1           2       4
///     ┌────────┬───────────┬───────┬─────────────┬───────┐
///     │ type   │ parameter │length │ body        │ zeros │
///     └────────┴───────────┴───────┴─────────────┴───────┘
///
/// `length` is the size of the body, little-endian; the zeros are WireGuard's padding to 16.
struct Record {
    enum Kind: UInt8 {
        case hello = 0x10
        case unit = 0x11
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

/// UNIT: one compressed unit. The record's parameter is the codec in its low nibble and the layout of the decoded bytes
/// in its high one; the body is the decoded size (2 bytes, little-endian) and the coded bytes.
struct UnitRecord {
    /// The bytes of the body before the coded ones.
    static let sizeField = 2
    /// Where the coded bytes start in the payload.
    static let headerSize = Record.headerSize + sizeField
    /// The only layout so far: the decoded bytes are one IP packet.
    private static let onePacket: UInt8 = 0

    let codec: Codec
    /// How many bytes there are when it is decoded.
    let decoded: Int

    /// Reads the parameter and the size; `nil` if either is not ours.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter >> 4 == Self.onePacket, let codec = Codec(rawValue: parameter & 15),
            body.byteCount > Self.sizeField
        else { return nil }
        self.codec = codec
        decoded = Int(body.little16(at: 0))
    }

    /// Writes everything before the coded bytes; the size of the whole record.
    @inline(__always)
    static func writeHeader(_ codec: Codec, decoded: Int, coded: Int, to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.unit, parameter: onePacket << 4 | codec.rawValue, length: sizeField + coded, to: &payload)
        payload.store(little: UInt16(truncatingIfNeeded: decoded), at: Record.headerSize)
        return headerSize + coded
    }
}

/// A compression method, by the number it has on the wire.
public enum Codec: UInt8, CaseIterable, Sendable {
    /// Raw deflate (RFC 1951).
    case deflate = 1
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
