/// STREAM: one compressed unit that refers to those before it of its stream. See docs/protocol.md §3.14.
///
///     0         1       2        4         6            8         12
///     ┌─────────┬───────┬────────┬─────────┬────────────┬─────────┬─────────────┐
///     │ stream  │ zero  │ epoch  │ number  │ decoded    │ check   │ coded bytes │
///     └─────────┴───────┴────────┴─────────┴────────────┴─────────┴─────────────┘
///
/// The record's parameter has the layout of the decoded bytes in its high nibble, as that of UNIT, and nothing in its low one.
struct StreamRecord {
    /// The bytes of the body before the coded ones.
    static let fieldsSize = 12
    /// Where the coded bytes start in the payload.
    static let headerSize = Record.headerSize + fieldsSize

    let layout: UnitRecord.Layout
    let stream: UInt8
    let epoch: UInt16
    /// Its place in the epoch, modulo 2¹⁶.
    let number: UInt16
    /// How many bytes there are when it is decoded.
    let decoded: Int
    /// CRC-32 of those.
    let check: UInt32

    /// Writes everything before the coded bytes; the size of the whole record.
    func writeHeader(coded: Int, to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(
            .stream, parameter: layout.rawValue << 4, length: Self.fieldsSize + coded, to: &payload)
        payload.store(stream, at: 4)
        payload.store(0 as UInt8, at: 5)
        payload.store(little: epoch, at: 6)
        payload.store(little: number, at: 8)
        payload.store(little: UInt16(truncatingIfNeeded: decoded), at: 10)
        payload.store(little: check, at: 12)
        return Self.headerSize + coded
    }
}

extension StreamRecord {
    /// Reads the parameter and the fields; `nil` if there are no coded bytes, no decoded ones, or a layout that is not ours.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter & 15 == 0, let layout = UnitRecord.Layout(rawValue: parameter >> 4), layout != .packet,
            body.byteCount > Self.fieldsSize
        else { return nil }
        self.layout = layout
        stream = body.byte(at: 0)
        epoch = body.little16(at: 2)
        number = body.little16(at: 4)
        decoded = Int(body.little16(at: 6))
        check = body.little32(at: 8)
        guard decoded > 0 else { return nil }
    }
}
