/// REPORT: the peer's word of what has arrived on a lane.
struct ReportRecord: Equatable {
    static let bodySize = 40
    /// Its cost: padded, as a datagram, with the headers of UDP and IPv4.
    static let wireSize = Transport.wireSize(48)

    /// The lane for AES-256-GCM, not WireGuard's.
    var isAES: Bool
    /// The highest counter, and which of the 64 up to it have arrived.
    var highest: UInt64
    var recent: UInt64
    /// Datagrams and their bytes so far.
    var datagrams: UInt64
    var bytes: UInt64
    /// The sender's clock, in microseconds.
    var clock: UInt64

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.report, parameter: isAES ? 1 : 0, length: Self.bodySize, to: &payload)
        payload.store(little: highest, at: 4)
        payload.store(little: recent, at: 12)
        payload.store(little: datagrams, at: 20)
        payload.store(little: bytes, at: 28)
        payload.store(little: clock, at: 36)
        return Record.headerSize + Self.bodySize
    }
}

extension ReportRecord {
    /// Reads the body; `nil` if it is cut off, or of a lane that there isn't.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.bodySize else { return nil }
        isAES = parameter == 1
        highest = body.little64(at: 0)
        recent = body.little64(at: 8)
        datagrams = body.little64(at: 16)
        bytes = body.little64(at: 24)
        clock = body.little64(at: 32)
    }
}
