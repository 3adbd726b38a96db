/// LEARNED: the word of what has become part of a dictionary for units of the other end's, or that there is none. See docs/protocol.md §3.16.
struct LearnedRecord: Equatable {
    /// The record's parameter.
    enum Word: UInt8 {
        /// So many entries are in it; the numbers of the last of them follow.
        case entries = 0
        /// There is no dictionary of this epoch, or none any more.
        case none = 1
    }

    static let fieldsSize = 3
    /// Numbers in one record, and so entries that the other end need not know of yet.
    static let most = 32

    var word: Word
    let dictionary: UInt8
    let epoch: UInt8
    /// Entries so far, modulo 256.
    let count: UInt8
    private var numbers = InlineArray<32, UInt8>(repeating: 0)
    private(set) var listed = 0

    init(_ word: Word, of dictionary: UInt8, epoch: UInt8, count: UInt8 = 0) {
        self.word = word
        self.dictionary = dictionary
        self.epoch = epoch
        self.count = count
    }

    /// Adds the number of the unit that is the next entry, the oldest first; the last one is the last of `count`.
    mutating func append(_ number: UInt8) {
        guard listed < Self.most else { return }
        numbers[listed] = number
        listed += 1
    }

    /// One of the numbers.
    subscript(index: Int) -> UInt8 { numbers[index] }

    var size: Int { Record.headerSize + Self.fieldsSize + listed }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.learned, parameter: word.rawValue, length: size - Record.headerSize, to: &payload)
        payload.store(dictionary, at: 4)
        payload.store(epoch, at: 5)
        payload.store(count, at: 6)
        for index in 0..<listed { payload.store(numbers[index], at: 7 + index) }
        return size
    }

    /// Bytes that it takes behind a RECALL.
    var tailSize: Int { Self.fieldsSize + listed + 1 }

    /// Writes it behind what stands in `payload` up to an offset, of entries; its bytes.
    func writeTail(to payload: inout MutableRawSpan, at offset: Int) -> Int {
        payload.store(dictionary, at: offset)
        payload.store(epoch, at: offset + 1)
        payload.store(count, at: offset + 2)
        for index in 0..<listed { payload.store(numbers[index], at: offset + 3 + index) }
        payload.store(UInt8(truncatingIfNeeded: listed), at: offset + 3 + listed)
        return tailSize
    }

    static func == (a: LearnedRecord, b: LearnedRecord) -> Bool {
        a.word == b.word && a.dictionary == b.dictionary && a.epoch == b.epoch && a.count == b.count
            && a.listed == b.listed && (0..<a.listed).allSatisfy { a.numbers[$0] == b.numbers[$0] }
    }
}

extension LearnedRecord {
    /// Reads the one at the end of these bytes, of which some are left in front; `nil` if there is none.
    init?(tail bytes: RawSpan) {
        guard bytes.byteCount > Self.fieldsSize + 1 else { return nil }
        let listed = Int(bytes.byte(at: bytes.byteCount - 1))
        let start = bytes.byteCount - 1 - listed - Self.fieldsSize
        guard listed <= Self.most, start > 0 else { return nil }
        self.init(parameter: Word.entries.rawValue, body: bytes.extracting(start..<bytes.byteCount - 1))
    }

    /// Reads the body; `nil` if it is cut off, has more numbers than it may, or says what we don't know.
    init?(parameter: UInt8, body: RawSpan) {
        guard let word = Word(rawValue: parameter), body.byteCount >= Self.fieldsSize,
            body.byteCount - Self.fieldsSize <= Self.most
        else { return nil }
        self.init(word, of: body.byte(at: 0), epoch: body.byte(at: 1), count: body.byte(at: 2))
        for index in Self.fieldsSize..<body.byteCount { append(body.byte(at: index)) }
    }
}
