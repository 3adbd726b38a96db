@testable import TunnelCore

/// A HELLO as docs/protocol.md §3.1 has it, made field by field. An option that is `nil` is left out.
struct HelloBuilder {
    /// The sender has received a HELLO on this session.
    var seen = false
    /// The sender wants an answer.
    var asks = false
    var version: UInt8 = 1
    var codecs: [Codec]? = [.deflate]
    var maximumUnit: UInt32? = 65_535
    var records: [Record.Kind]?

    /// The records that a gateway of packets takes besides HELLO, UNIT and CONFIRM.
    static let packetRecords: [Record.Kind] = [.bundle, .fragment, .report, .ping]

    var bytes: [UInt8] {
        var options: [UInt8] = []
        if let codecs { options += Self.option(1, codecs.map(\.rawValue)) }
        if let maximumUnit { options += Self.option(2, little(maximumUnit)) }
        if let records { options += Self.option(4, records.map(\.rawValue)) }
        return helloRecord(flags: (seen ? 1 : 0) | (asks ? 2 : 0), version: version, options: options)
    }

    private static func option(_ number: UInt8, _ value: [UInt8]) -> [UInt8] { [number, UInt8(value.count)] + value }
}
