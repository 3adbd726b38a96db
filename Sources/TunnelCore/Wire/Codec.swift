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
