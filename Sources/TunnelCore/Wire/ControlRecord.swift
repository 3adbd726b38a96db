/// A record that is no data: what two gateways tell each other. To every timer of the session it is like a keepalive.
enum ControlRecord {
    case hello(Hello)
    case report(ReportRecord)
    case ping(PingRecord)
    case confirm(ConfirmRecord)
    case receipt(ReceiptRecord)
    case gone(GoneRecord)
    case rotate(RotateRecord)
    case history(HistoryRecord)
    case learned(LearnedRecord)
    /// The large ones of these do not stand in here: see `Opener.keyBody`.
    case keys(KeyRecord)

    /// Reads a record of one of these kinds; `nil` if it is malformed, or of another kind.
    init?(_ record: Record, body: RawSpan) {
        switch record.kind {
        case .hello:
            guard let hello = Hello(version: record.parameter, body: body) else { return nil }
            self = .hello(hello)
        case .report:
            guard let report = ReportRecord(parameter: record.parameter, body: body) else { return nil }
            self = .report(report)
        case .ping:
            guard let ping = PingRecord(parameter: record.parameter, body: body) else { return nil }
            self = .ping(ping)
        case .confirm:
            guard let confirm = ConfirmRecord(parameter: record.parameter, body: body) else { return nil }
            self = .confirm(confirm)
        case .receipt:
            guard let receipt = ReceiptRecord(parameter: record.parameter, body: body) else { return nil }
            self = .receipt(receipt)
        case .gone:
            guard let gone = GoneRecord(parameter: record.parameter, body: body) else { return nil }
            self = .gone(gone)
        case .rotate:
            guard let rotate = RotateRecord(parameter: record.parameter, body: body) else { return nil }
            self = .rotate(rotate)
        case .keys:
            guard let keys = KeyRecord(parameter: record.parameter, body: body) else { return nil }
            self = .keys(keys)
        case .history:
            guard let history = HistoryRecord(parameter: record.parameter, body: body) else { return nil }
            self = .history(history)
        case .learned:
            guard let learned = LearnedRecord(parameter: record.parameter, body: body) else { return nil }
            self = .learned(learned)
        case .unit, .bundle, .fragment, .ethernet, .parity, .pack, .stream, .recall:
            return nil
        }
    }

    var kind: Record.Kind {
        switch self {
        case .hello: .hello
        case .report: .report
        case .ping: .ping
        case .confirm: .confirm
        case .receipt: .receipt
        case .gone: .gone
        case .rotate: .rotate
        case .history: .history
        case .learned: .learned
        case .keys: .keys
        }
    }

    /// Bytes that `write` needs at most.
    var maximumSize: Int {
        switch self {
        case .hello: Hello.maximumSize
        case .report: Record.headerSize + ReportRecord.bodySize
        case .ping(let ping): max(ping.size, Record.headerSize + PingRecord.bodySize)
        case .confirm: ConfirmRecord.maximumSize
        case .receipt(let receipt): receipt.size
        case .gone(let gone): gone.size
        case .rotate: RotateRecord.size
        case .history: HistoryRecord.size
        case .learned(let learned): learned.size
        case .keys: KeyRecord.size
        }
    }

    /// Writes the whole record to the start of `payload`; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        switch self {
        case .hello(let hello): hello.write(to: &payload)
        case .report(let report): report.write(to: &payload)
        case .ping(let ping): ping.write(to: &payload)
        case .confirm(let confirm): confirm.write(to: &payload)
        case .receipt(let receipt): receipt.write(to: &payload)
        case .gone(let gone): gone.write(to: &payload)
        case .rotate(let rotate): rotate.write(to: &payload)
        case .history(let history): history.write(to: &payload)
        case .learned(let learned): learned.write(to: &payload)
        case .keys(let keys): keys.write(to: &payload)
        }
    }
}
