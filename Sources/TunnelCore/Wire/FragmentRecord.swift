/// FRAGMENT: a piece of a UNIT that did not fit into one datagram.
struct FragmentRecord {
    /// The bytes of the body before the piece.
    static let fieldsSize = 6
    static let headerSize = Record.headerSize + fieldsSize
    static let mostPieces = 64

    /// The number of the unit in the session.
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
        guard body.byteCount > Self.fieldsSize else { return nil }
        number = body.little16(at: 0)
        size = Int(body.little16(at: 2))
        index = Int(body.byte(at: 4))
        count = Int(body.byte(at: 5))
        guard (2...Self.mostPieces).contains(count), index < count, size > UnitRecord.headerSize,
            range.count == body.byteCount - Self.fieldsSize
        else { return nil }
    }

    /// Writes everything before the piece; the size of the whole record.
    func writeHeader(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.fragment, parameter: 0, length: Self.fieldsSize + range.count, to: &payload)
        payload.store(little: number, at: 4)
        payload.store(little: UInt16(truncatingIfNeeded: size), at: 6)
        payload.store(UInt8(truncatingIfNeeded: index), at: 8)
        payload.store(UInt8(truncatingIfNeeded: count), at: 9)
        return Self.headerSize + range.count
    }
}
