@testable import TunnelCore

/// The fields of a payload that is a record, as docs/protocol.md §3 has them. For records as long as the fields that are asked for.
struct RecordView {
    /// Header, body and padding.
    let payload: [UInt8]
    let kind: Record.Kind

    init?(_ payload: [UInt8]) {
        guard payload.count >= 4, let kind = Record.Kind(rawValue: payload[0]) else { return nil }
        self.payload = payload
        self.kind = kind
    }

    var parameter: UInt8 { payload[1] }
    /// The length of the body as the header says it.
    var length: Int { small(2) }
    var body: [UInt8] { Array(payload[4..<min(4 + length, payload.count)]) }

    // MARK: UNIT

    var codec: UInt8 { parameter & 15 }
    /// How what it decodes to is arranged.
    var layout: UInt8 { parameter >> 4 }
    /// The size that it decodes to.
    var decodedSize: Int { small(4) }
    var coded: [UInt8] { Array(body[2...]) }

    // MARK: FRAGMENT

    struct Fragment {
        let number: UInt16
        /// Of the whole.
        let size: Int
        let index: Int
        let count: Int
        let piece: [UInt8]
    }
    var fragment: Fragment {
        Fragment(
            number: UInt16(small(4)), size: small(6), index: Int(payload[8]), count: Int(payload[9]),
            piece: Array(body[6...]))
    }

    // MARK: REPORT and PING

    struct Report {
        let highest: UInt64
        /// The highest and the 63 before it; bit 0 is the highest.
        let recent: UInt64
        let datagrams: UInt64
        let bytes: UInt64
        let clock: UInt64
    }
    var report: Report {
        Report(highest: large(4), recent: large(12), datagrams: large(20), bytes: large(28), clock: large(36))
    }

    /// A PING's.
    var token: UInt64 { large(4) }

    // MARK: HELLO

    var flags: UInt8 { payload[4] }
    /// The value of an option.
    func option(_ type: UInt8) -> [UInt8]? {
        var rest = body.dropFirst()
        while rest.count >= 2 {
            let length = Int(rest[rest.startIndex + 1])
            if rest.first == type { return Array(rest.dropFirst(2).prefix(length)) }
            rest = rest.dropFirst(2 + length)
        }
        return nil
    }

    private func small(_ offset: Int) -> Int { Int(payload[offset]) | Int(payload[offset + 1]) << 8 }
    private func large(_ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(payload[offset + $1]) << (8 * UInt64($1)) }
    }
}

extension Sighting {
    /// Its payload as a record, if it is one.
    var record: RecordView? { payload.flatMap { RecordView($0) } }
}
