/// PARITY: a row of parity over datagrams of a lane (docs/protocol.md §3.11), from which lost ones are had back.
struct ParityRecord: Equatable {
    static let mostRows = 3
    /// The counters that a block may span.
    static let span = 64
    /// The bytes of the body before those of the row.
    static let fieldsSize = 18
    static let headerSize = Record.headerSize + fieldsSize

    /// The lane for AES-256-GCM, not WireGuard's.
    var isAES: Bool
    /// The counter of the first datagram of the block.
    var start: UInt64
    /// The datagrams of the block: bit p is that of counter `start` + p. Bit 0 is set.
    var mask: UInt64
    /// The number of the row, and how many rows there are of the block.
    var row: Int
    var rows: Int

    /// The counter behind the last one of the block.
    var end: UInt64 { start + UInt64(64 - mask.leadingZeroBitCount) }

    /// Writes all before the row, which has `length` bytes; the size of the whole record.
    func writeHeader(length: Int, to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.parity, parameter: isAES ? 1 : 0, length: Self.fieldsSize + length, to: &payload)
        payload.store(little: start, at: 4)
        payload.store(little: mask, at: 12)
        payload.store(UInt8(truncatingIfNeeded: row), at: 20)
        payload.store(UInt8(truncatingIfNeeded: rows), at: 21)
        return Self.headerSize + length
    }
}

extension ParityRecord {
    /// Reads the fields; `nil` if they contradict each other, or if the row is too short for any datagram.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.fieldsSize + ParityVector.headerSize + Transport.tagSize else {
            return nil
        }
        isAES = parameter == 1
        start = body.little64(at: 0)
        mask = body.little64(at: 8)
        row = Int(body.byte(at: 16))
        rows = Int(body.byte(at: 17))
        guard mask & 1 == 1, start <= .max - UInt64(Self.span), row < rows, rows <= Self.mostRows else { return nil }
    }
}

/// The vector that a datagram is in parity: its length behind the transport header (2 bytes, little-endian); then all that is behind the
/// transport header, as it was sealed; then zeros. Nothing that changes on the way is in it.
enum ParityVector {
    static let headerSize = 2
}
