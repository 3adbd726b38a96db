/// RECALL: one compressed unit that may refer to what its receiver has said it has decoded. See docs/protocol.md §3.16.
///
///     0            1       2      3        4         6       10
///     ┌────────────┬───────┬──────┬────────┬─────────┬───────┬─────────────┐
///     │ dictionary │ epoch │ base │ number │ decoded │ check │ coded bytes │
///     └────────────┴───────┴──────┴────────┴─────────┴───────┴─────────────┘
///
/// Where the coding is deflate, which ends by itself, there is no `decoded`.
///
/// The record's parameter has the layout of the decoded bytes in its high nibble, as that of UNIT, and flags in its low one.
struct RecallRecord {
    private enum Flag {
        static let learn: UInt8 = 1
        static let refers: UInt8 = 2
        static let deflated: UInt8 = 4
        static let tells: UInt8 = 8
    }

    /// The bytes of the body before the coded ones.
    static let fieldsSize = 10
    private static let shortFieldsSize = 8
    /// The most bytes that a unit with deflate has when it is decoded.
    private static let mostDeflated = 4096
    /// Where the coded bytes start in the payload.
    static let headerSize = Record.headerSize + fieldsSize

    /// The bytes of the body before the coded ones.
    static func fieldsSize(isDeflated: Bool) -> Int { isDeflated ? shortFieldsSize : fieldsSize }

    let layout: UnitRecord.Layout
    /// The receiver is to keep what is decoded, and to say so.
    let isToLearn: Bool
    /// It refers to the dictionary, of which it has the first `base` entries, modulo 256; else to nothing.
    let refers: Bool
    /// Its coding is deflate, else zstd.
    var isDeflated = false
    let dictionary: UInt8
    let epoch: UInt8
    let base: UInt8
    /// Its name among those that are to be kept.
    let number: UInt8
    /// How many bytes there are when it is decoded; with deflate, at most.
    let decoded: Int
    /// CRC-32 of those.
    let check: UInt32
    /// What its sender says of a dictionary of ours, behind the coded bytes.
    private(set) var word: LearnedRecord?

    /// Where the coded bytes are in a body of so many.
    func coded(of body: Int) -> Range<Int> {
        Self.fieldsSize(isDeflated: isDeflated)..<body - (word?.tailSize ?? 0)
    }

    /// Writes everything before the coded bytes; the size of the whole record.
    func writeHeader(coded: Int, to payload: inout MutableRawSpan) -> Int {
        let flags =
            (isToLearn ? Flag.learn : 0) | (refers ? Flag.refers : 0)
            | (isDeflated ? Flag.deflated : 0)
        Record.writeHeader(
            .recall, parameter: layout.rawValue << 4 | flags,
            length: Self.fieldsSize(isDeflated: isDeflated) + coded, to: &payload)
        payload.store(dictionary, at: 4)
        payload.store(epoch, at: 5)
        payload.store(base, at: 6)
        payload.store(number, at: 7)
        if !isDeflated { payload.store(little: UInt16(truncatingIfNeeded: decoded), at: 8) }
        let fields = Self.fieldsSize(isDeflated: isDeflated)
        payload.store(little: check, at: Record.headerSize + fields - 4)
        return Record.headerSize + fields + coded
    }

    /// Adds what is said of a dictionary of the receiver's to a record of `size` bytes at the start of `payload`; its size then.
    static func append(_ word: LearnedRecord, to payload: inout MutableRawSpan, at size: Int) -> Int {
        let parameter = payload.bytes.byte(at: 1) | Flag.tells
        let whole = size + word.writeTail(to: &payload, at: size)
        Record.writeHeader(.recall, parameter: parameter, length: whole - Record.headerSize, to: &payload)
        return whole
    }
}

extension RecallRecord {
    /// Reads the parameter and the fields; `nil` if there are no coded bytes, no decoded ones, a layout that is not ours, or a flag that there
    /// is not.
    init?(parameter: UInt8, body: RawSpan) {
        let fields = Self.fieldsSize(isDeflated: parameter & Flag.deflated != 0)
        guard let layout = UnitRecord.Layout(rawValue: parameter >> 4), layout != .packet, body.byteCount > fields
        else { return nil }
        self.layout = layout
        isToLearn = parameter & Flag.learn != 0
        refers = parameter & Flag.refers != 0
        dictionary = body.byte(at: 0)
        epoch = body.byte(at: 1)
        base = body.byte(at: 2)
        number = body.byte(at: 3)
        isDeflated = parameter & Flag.deflated != 0
        decoded = isDeflated ? Self.mostDeflated : Int(body.little16(at: 4))
        check = body.little32(at: fields - 4)
        guard decoded > 0 else { return nil }
        guard parameter & Flag.tells != 0 else { return }
        guard let word = LearnedRecord(tail: body.extracting(fields...)) else { return nil }
        self.word = word
    }
}
