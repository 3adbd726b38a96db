/// PING: a question with a token, or the answer with the same one.
struct PingRecord: Equatable {
    static let bodySize = 8
    /// Its cost: padded, as a datagram, with the headers of UDP and IPv4.
    static let wireSize = Transport.wireSize(16)

    var isAnswer: Bool
    var token: UInt64

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.ping, parameter: isAnswer ? 1 : 0, length: Self.bodySize, to: &payload)
        payload.store(little: token, at: 4)
        return Record.headerSize + Self.bodySize
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
