import Addresses
import Control
import Keys
import TunnelCore

/// What somebody wants to watch: `GET /v1/trace?peer=…&filter=tcp+port+443&rate=…` and `GET /v1/capture?content=…`.
struct TraceQuestion: Sendable {
    enum Malformed: Error {
        /// What of it, and what it takes.
        case reason(String)
    }

    var wish = TraceWish()
    /// The peer's name or public key; `nil`: all.
    var peer: String?
    /// Lines in a second.
    var rate = 500
    /// It ends after so many packets, seconds, or bytes of the answer.
    var count: Int
    var seconds: Int
    var size: Int

    /// How often what was written is fetched.
    var pause: Interval { isCapture ? .milliseconds(50) : .milliseconds(100) }
    var isCapture: Bool { wish.content != .steps }

    /// Memory for what is written between two times.
    var batch: TraceBatch {
        isCapture ? TraceBatch(records: 32_768, bytes: 8 << 20) : TraceBatch(records: max(rate / 10, 4) * 2)
    }

    private static let mostSeconds = 86_400
    private static let mostCount = 1_000_000_000

    /// That of a trace.
    init(trace target: ControlTarget) throws(Malformed) {
        seconds = 10
        count = Self.mostCount
        size = .max
        try take(target)
        if let text = target["rate"] { rate = try Self.number(text, "rate", 1...10_000) }
    }

    /// That of a capture.
    init(capture target: ControlTarget) throws(Malformed) {
        (seconds, count, size) = (60, 100_000, 64 << 20)
        switch target["content"] ?? "plain" {
        case "plain": wish.content = .plain
        case "wire": wish.content = .wire
        case "payloads": wish.content = .payloads
        default: throw .reason("content is plain, wire or payloads")
        }
        wish.bytes = 65_535
        wish.samples = false
        try take(target)
        if let text = target["bytes"] { wish.bytes = try Self.number(text, "bytes", 1...65_535) }
        if let text = target["size"] { size = try Self.number(text, "size", 1...(1 << 40)) }
    }

    private mutating func take(_ target: ControlTarget) throws(Malformed) {
        guard !target.isMalformed else { throw .reason("the query can't be read") }
        peer = target["peer"]
        if let text = target["seconds"] { seconds = try Self.number(text, "seconds", 1...Self.mostSeconds) }
        if let text = target["count"] { count = try Self.number(text, "count", 1...Self.mostCount) }
        if let text = target["filter"] { try filter(text) }
    }

    private static func number(_ text: String, _ name: String, _ range: ClosedRange<Int>) throws(Malformed) -> Int {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(text),
            range.contains(number)
        else { throw .reason("\(name) takes \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    /// Takes a filter, all of whose words must hold.
    private mutating func filter(_ text: String) throws(Malformed) {
        var words = text.split { $0 == " " || $0 == "+" }[...]
        while let word = words.popFirst() {
            switch word {
            case "tcp": wish.transport = 6
            case "udp": wish.transport = 17
            case "icmp": wish.transport = 1
            case "in": wish.direction = .into
            case "out": wish.direction = .out
            case "dropped": wish.outcome = .dropped
            case "skipped": wish.outcome = .skipped
            case "compressed": wish.outcome = .compressed
            case "proto": wish.transport = UInt8(try Self.number(String(words.popFirst() ?? ""), "proto", 0...255))
            case "port": wish.port = UInt16(try Self.number(String(words.popFirst() ?? ""), "port", 1...65_535))
            case "host", "net":
                guard let prefix = Prefix(words.popFirst() ?? "") else {
                    throw .reason("\(word) takes an address or a prefix")
                }
                wish.prefix = prefix
            default:
                guard let prefix = Prefix(word) else {
                    throw .reason(
                        "\"\(Diagnostic.printable(String(word)))\" is no word of a filter: those are tcp, udp, icmp, proto N, port N, "
                            + "host A, net P, in, out, dropped, skipped, compressed")
                }
                wish.prefix = prefix
            }
        }
    }
}
