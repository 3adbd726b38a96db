/// CONFIRM: what its sender announced last holds on this session too. It goes alone, or behind a plain packet, where WireGuard's
/// padding stands. See docs/protocol.md §3.9.
///
///     0      1      2        4          8
///     ┌──────┬──────┬────────┬──────────┬─────────────────┐
///     │ 0x17 │ seen │ length │ digest   │ index, or none  │
///     └──────┴──────┴────────┴──────────┴─────────────────┘
struct ConfirmRecord: Equatable {
    /// The sender has received HELLO or CONFIRM on this session.
    var seen: Bool
    /// Of what it announced (`Hello.digest`).
    var digest: UInt32
    /// The index by which the sender knows its lane for AES-256-GCM; `nil` if it has none.
    var aesIndex: ReceiverIndex?

    private static let seenFlag: UInt8 = 1
    private static let shortBody = 4
    private static let longBody = 8

    /// Bytes of the largest.
    static let maximumSize = Record.headerSize + longBody

    /// Bytes of the record, its head with it.
    var size: Int { Record.headerSize + (aesIndex == nil ? Self.shortBody : Self.longBody) }

    /// Writes the whole record to the start of `payload`; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        let flags = seen ? Self.seenFlag : 0
        Record.writeHeader(.confirm, parameter: flags, length: size - Record.headerSize, to: &payload)
        payload.store(little: digest, at: Record.headerSize)
        if let aesIndex { payload.store(little: aesIndex.rawValue, at: Record.headerSize + Self.shortBody) }
        return size
    }
}

extension ConfirmRecord {
    /// Reads the body, of which more than this page knows does not count; `nil` if it is cut off.
    init?(parameter: UInt8, body: RawSpan) {
        guard body.byteCount >= Self.shortBody else { return nil }
        seen = parameter & Self.seenFlag != 0
        digest = body.little32(at: 0)
        let index = body.byteCount >= Self.longBody ? body.little32(at: Self.shortBody) : 0
        aesIndex = index == 0 ? nil : ReceiverIndex(rawValue: index)
    }

    /// Reads the one that stands behind the IP packet at the start of `payload`; `nil` if there is none.
    @inline(__always)
    init?(behindPacketIn payload: RawSpan) {
        guard payload.byteCount >= IPv4Header.size else { return nil }
        let isV4 = payload.byte(at: 0) >> 4 == 4
        let end =
            isV4
            ? Int(payload.big16(at: IPv4Header.totalLength))
            : IPv6Header.size + Int(payload.big16(at: IPv6Header.payloadLength))
        let left = payload.byteCount - end
        guard end >= IPv4Header.size, left >= Record.headerSize + Self.shortBody,
            payload.byte(at: end) == Record.Kind.confirm.rawValue
        else { return nil }
        self.init(payload.extracting(end..<payload.byteCount))
    }

    @inline(never)
    private init?(_ rest: RawSpan) {
        guard let record = Record(rest), record.kind == .confirm else { return nil }
        self.init(parameter: record.parameter, body: rest.extracting(record.body))
    }
}
