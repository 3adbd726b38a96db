/// HISTORY: what two ends say of a stream of units. See docs/protocol.md §3.14.
struct HistoryRecord: Equatable {
    /// The record's parameter.
    enum Word: UInt8 {
        /// The sender of units asks for a decoder.
        case open = 0
        /// It is there: units may come.
        case opened = 1
        /// There is none, or none any more.
        case closed = 2
    }

    static let bodySize = 4
    static let size = Record.headerSize + bodySize
    /// Windows of streams, as powers of two.
    static let windows: ClosedRange<UInt8> = 10...21

    var word: Word
    var stream: UInt8
    var epoch: UInt16
    /// The window, as a power of two.
    var window: UInt8

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.history, parameter: word.rawValue, length: Self.bodySize, to: &payload)
        payload.store(stream, at: 4)
        payload.store(window, at: 5)
        payload.store(little: epoch, at: 6)
        return Self.size
    }
}

extension HistoryRecord {
    /// Reads the body; `nil` if it is cut off, says what we don't know, or has a window that there isn't.
    init?(parameter: UInt8, body: RawSpan) {
        guard let word = Word(rawValue: parameter), body.byteCount >= Self.bodySize else { return nil }
        self.word = word
        stream = body.byte(at: 0)
        window = body.byte(at: 1)
        epoch = body.little16(at: 2)
        guard Self.windows.contains(window) else { return nil }
    }
}
