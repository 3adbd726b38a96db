/// UNIT: one compressed unit. The record's parameter is the codec in its low nibble and the layout of the decoded bytes
/// in its high one; the body is the decoded size (2 bytes, little-endian) and the coded bytes.
struct UnitRecord {
    /// The layout of the decoded bytes.
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
