/// PING: a question with a token, or the answer with the same one.
struct PingRecord: Equatable {
    static let bodySize = 8
    /// The least record that has padding of its own.
    static let leastPadded = 16
    /// Its cost: padded, as a datagram, with the headers of UDP and IPv4.
    static let wireSize = Transport.wireSize(16)

    var isAnswer: Bool
    var token: UInt64
    /// The bytes that the whole record is to have, if it is padded; what was read does not say.
    var size = 0

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        let length = max(size - Record.headerSize, Self.bodySize)
        Record.writeHeader(.ping, parameter: isAnswer ? 1 : 0, length: length, to: &payload)
        payload.store(little: token, at: Record.headerSize)
        payload.zero(Record.headerSize + Self.bodySize..<Record.headerSize + length)
        return Record.headerSize + length
    }
}

extension PingRecord {
    /// Reads the body, of which a question's padding does not count; `nil` if it is cut off.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.bodySize else { return nil }
        isAnswer = parameter == 1
        token = body.little64(at: 0)
    }
}
