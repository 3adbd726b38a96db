import Addresses

@testable import TunnelCore

/// A datagram as the eavesdropper saw it, with what its sender had sealed inside.
struct Sighting {
    let at: Instant
    let from: Endpoint
    let to: Endpoint
    let bytes: [UInt8]
    let trafficClass: UInt8
    /// The payload of a transport message.
    let payload: [UInt8]?
    /// Whether it may be cut on the way.
    var division = Outbox.Division.allowed

    /// The bytes of the IP packet that carries it.
    var size: Int { bytes.count + (to.address.isV4 ? 28 : 48) }

    var isInitiation: Bool { bytes.count == 148 && bytes[0] == 1 }
    var isResponse: Bool { bytes.count == 92 && bytes[0] == 2 }
    var isCookieReply: Bool { bytes.count == 64 && bytes[0] == 3 }
    var isTransport: Bool { bytes[0] == 4 }
    var isKeepalive: Bool { payload?.isEmpty == true }
    var isHello: Bool { isRecord(.hello) }
    var isUnit: Bool { isRecord(.unit) }
    var isBundle: Bool { isRecord(.bundle) }
    var isFragment: Bool { isRecord(.fragment) }
    var isReport: Bool { isRecord(.report) }
    /// A question or its answer.
    var isReceipt: Bool { payload?.first == 0x18 }
    var isGone: Bool { payload?.first == 0x19 }
    var isPing: Bool { isRecord(.ping) }
    var isEthernet: Bool { isRecord(.ethernet) }
    private func isRecord(_ kind: Record.Kind) -> Bool { payload?.first == kind.rawValue }
    /// A plain IP packet.
    var isPlain: Bool { payload?.first.map { $0 >> 4 == 4 || $0 >> 4 == 6 } == true }
    var isData: Bool { isPlain || isUnit || isBundle || isFragment || isEthernet }

    /// A HELLO's flags.
    var seen: Bool { isHello && record.map { $0.flags & 1 != 0 } == true }
    var asks: Bool { isHello && record.map { $0.flags & 2 != 0 } == true }

    /// The CONFIRM in it, alone or behind a packet.
    var confirms: ConfirmRecord? {
        guard let payload, !payload.isEmpty else { return nil }
        let bytes = unsafe payload.span.bytes
        if isPlain { return ConfirmRecord(behindPacketIn: bytes) }
        guard let record = Record(bytes), record.kind == .confirm else { return nil }
        return ConfirmRecord(parameter: record.parameter, body: bytes.extracting(record.body))
    }

    /// An initiation's.
    var senderIndex: [UInt8] { Array(bytes[4..<8]) }
    var ephemeral: [UInt8] { Array(bytes[8..<40]) }

    /// The sealed counter.
    var counter: UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[8 + $1]) << (8 * UInt64($1)) } }
    /// The index of the session at the receiver.
    var receiver: UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[4 + $1]) << (8 * UInt32($1)) } }

    /// What it is, for messages about failures and for drawings of exchanges.
    var summary: String {
        if isInitiation { return "initiation" }
        if isResponse { return "response" }
        if isCookieReply { return "cookie reply" }
        if isKeepalive { return "keepalive" }
        if isUnit { return "unit" }
        if let confirms { return (isPlain ? "packet, " : "") + (confirms.seen ? "CONFIRM seen" : "CONFIRM") }
        if isPlain { return "packet" }
        if isBundle { return "bundle" }
        if isFragment { return "fragment" }
        if isEthernet { return "frame" }
        if isReport { return "REPORT" }
        if isReceipt { return "RECEIPT" }
        if isGone { return "GONE" }
        if isPing { return record?.parameter == 0 ? "PING" : "PING answer" }
        guard isHello else { return "?" }
        return "HELLO" + (seen ? " seen" : "") + (asks ? " asks" : "")
    }
}

extension [Sighting] {
    var initiations: [Sighting] { filter(\.isInitiation) }
    var hellos: [Sighting] { filter(\.isHello) }
    var keepalives: [Sighting] { filter(\.isKeepalive) }
    var reports: [Sighting] { filter(\.isReport) }
    var receipts: [Sighting] { filter(\.isReceipt) }
    var pings: [Sighting] { filter(\.isPing) }
    var data: [Sighting] { filter(\.isData) }
    func sent(by end: End) -> [Sighting] { filter { $0.from == end.endpoint } }
    /// What each one was, in order.
    var summary: [String] { map(\.summary) }
}
