/// RECALL: one compressed unit that may refer to what its receiver has said it has decoded. See docs/protocol.md §3.16.
///
///     0            1       2      3        4         6       10
///     ┌────────────┬───────┬──────┬────────┬─────────┬───────┬─────────────┐
///     │ dictionary │ epoch │ base │ number │ decoded │ check │ coded bytes │
///     └────────────┴───────┴──────┴────────┴─────────┴───────┴─────────────┘
///
/// The record's parameter has the layout of the decoded bytes in its high nibble, as that of UNIT, and flags in its low one.
struct RecallRecord {
    private enum Flag {
        static let learn: UInt8 = 1
        static let refers: UInt8 = 2
    }

    /// The bytes of the body before the coded ones.
    static let fieldsSize = 10
    /// Where the coded bytes start in the payload.
    static let headerSize = Record.headerSize + fieldsSize

    let layout: UnitRecord.Layout
    /// The receiver is to keep what is decoded, and to say so.
    let isToLearn: Bool
    /// It refers to the dictionary, of which it has the first `base` entries, modulo 256; else to nothing.
    let refers: Bool
    let dictionary: UInt8
    let epoch: UInt8
    let base: UInt8
    /// Its name among those that are to be kept.
    let number: UInt8
    /// How many bytes there are when it is decoded.
    let decoded: Int
    /// CRC-32 of those.
    let check: UInt32

    /// Writes everything before the coded bytes; the size of the whole record.
    func writeHeader(coded: Int, to payload: inout MutableRawSpan) -> Int {
        let flags = (isToLearn ? Flag.learn : 0) | (refers ? Flag.refers : 0)
        Record.writeHeader(
            .recall, parameter: layout.rawValue << 4 | flags, length: Self.fieldsSize + coded, to: &payload)
        payload.store(dictionary, at: 4)
        payload.store(epoch, at: 5)
        payload.store(base, at: 6)
        payload.store(number, at: 7)
        payload.store(little: UInt16(truncatingIfNeeded: decoded), at: 8)
        payload.store(little: check, at: 10)
        return Self.headerSize + coded
    }
}

extension RecallRecord {
    /// Reads the parameter and the fields; `nil` if there are no coded bytes, no decoded ones, a layout that is not ours, or a flag that there
    /// is not.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter & 12 == 0, let layout = UnitRecord.Layout(rawValue: parameter >> 4), layout != .packet,
            body.byteCount > Self.fieldsSize
        else { return nil }
        self.layout = layout
        isToLearn = parameter & Flag.learn != 0
        refers = parameter & Flag.refers != 0
        dictionary = body.byte(at: 0)
        epoch = body.byte(at: 1)
        base = body.byte(at: 2)
        number = body.byte(at: 3)
        decoded = Int(body.little16(at: 4))
        check = body.little32(at: 6)
        guard decoded > 0 else { return nil }
    }
}
