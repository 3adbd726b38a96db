extension ControlClient {
    /// `GET /v1/events`: a part of the history.
    public func events(_ question: EventFilter = EventFilter()) throws(ControlError) -> EventPage {
        try read(EventPage.self, from: try request("GET", "/v1/events\(question.query(follows: false))"))
    }

    /// Calls `body` with each event as it comes, from `question.since` on, until it says that that is enough or the daemon ends.
    /// - Parameter lost: called with how many went by unread.
    public func follow(
        _ question: EventFilter, lost: (UInt64) -> Void = { _ in }, _ body: (GatewayEvent) -> Bool
    ) throws(ControlError) {
        try serverSentEvents("/v1/events\(question.query(follows: true))") { (name, data) throws(ControlError) in
            if name == "lost" {
                lost(try read(Lost.self, from: data).lost)
                return true
            }
            return body(try read(GatewayEvent.self, from: data))
        }
    }

    /// `GET /v1/trace`: calls `body` with each line as it comes, and `sample` where some were passed over, until that is enough
    /// or the daemon ends it.
    public func trace(
        _ question: TraceFilter, sample: (TraceSample) -> Void, _ body: (TraceLine) -> Bool
    ) throws(ControlError) {
        try serverSentEvents("/v1/trace\(question.query)") { (name, data) throws(ControlError) in
            guard name == "sample" else { return body(try read(TraceLine.self, from: data)) }
            sample(try read(TraceSample.self, from: data))
            return true
        }
    }

    /// `GET /v1/capture`: calls `body` with the capture's bytes as they come, until it ends or that is enough.
    public func capture(_ question: TraceFilter, _ body: ([UInt8]) -> Bool) throws(ControlError) {
        try follow("/v1/capture\(question.query)", accept: "application/x-pcapng") { (bytes) throws(ControlError) in
            defer { bytes = [] }
            return body(bytes)
        }
    }

    private func serverSentEvents(
        _ target: String, _ body: (String, [UInt8]) throws(ControlError) -> Bool
    ) throws(ControlError) {
        var event = ServerSentEvent()
        try follow(target, accept: "text/event-stream") { (bytes) throws(ControlError) in
            guard bytes.count <= HTTPReply.largestHead * 16 else {
                throw .malformed(socket: socket, reason: "a line without an end")
            }
            var rest = bytes[...]
            defer { bytes = Array(rest) }
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[(end + 1)...]
                guard let (name, data) = event.take(line) else { continue }
                guard try body(name, Array(data.utf8)) else { return false }
            }
            return true
        }
    }

    /// Calls `body` with what has come of an answer without end, of which it takes what it can; until it says that that is enough or the
    /// other end closes.
    private func follow(
        _ target: String, accept: String, _ body: (inout [UInt8]) throws(ControlError) -> Bool
    ) throws(ControlError) {
        let stream = try UnixStream(interface: interface, path: socket, deadline: .now + .seconds(10))
        // HTTP/1.0: the body comes as it is, without chunks, and ends with the connection.
        let head =
            "GET \(target) HTTP/1.0\r\nAccept: \(accept)\r\nUser-Agent: gatewayctl/\(Release.version)\r\n\r\n"
        try stream.send(Array(head.utf8))
        var bytes: [UInt8] = []
        var isBody = false
        // The daemon says at least every fifteen seconds that it is there; of packets there may be none for an hour.
        while try stream.receive(into: &bytes, within: accept == "text/event-stream" ? .seconds(60) : .seconds(90_000))
        {
            if !isBody {
                guard let head = try parseHead(bytes) else { continue }
                bytes.removeFirst(head.bodyStart)
                guard head.status == 200 else {
                    while try stream.receive(into: &bytes, within: .seconds(5)), bytes.count < 4096 {}
                    throw .refused(status: head.status, message: Self.message(of: bytes))
                }
                isBody = true
            }
            guard try body(&bytes) else { return }
        }
    }

    private func parseHead(_ bytes: [UInt8]) throws(ControlError) -> HTTPReply.Head? {
        do throws(HTTPReply.Malformed) {
            return try HTTPReply.Head.parse(bytes)
        } catch {
            throw .malformed(socket: socket, reason: error.reason)
        }
    }

    private struct Lost: Decodable {
        let lost: UInt64
    }
}

/// Which events are wanted.
public struct EventFilter: Sendable {
    /// The number of the first; `nil`: the last ones, or what comes.
    public var since: UInt64?
    /// How many at most.
    public var limit: Int?
    /// The name or public key of the peer that they are about.
    public var peer: String?
    public var kind: String?

    public init(since: UInt64? = nil, limit: Int? = nil, peer: String? = nil, kind: String? = nil) {
        self.since = since
        self.limit = limit
        self.peer = peer
        self.kind = kind
    }

    func query(follows: Bool) -> String {
        var items: [String] = follows ? ["follow=1"] : []
        if let since { items.append("since=\(since)") }
        if let limit { items.append("limit=\(limit)") }
        if let peer { items.append("peer=\(peer.percentEncoded)") }
        if let kind { items.append("kind=\(kind.percentEncoded)") }
        return items.isEmpty ? "" : "?" + items.joined(separator: "&")
    }
}

/// Which packets are wanted, and how many.
public struct TraceFilter: Sendable {
    private var items: [String] = []

    public init() {}

    /// Adds a term, as docs/control-api.md has it.
    public mutating func add(_ name: String, _ value: String) { items.append("\(name)=\(value.percentEncoded)") }

    var query: String { items.isEmpty ? "" : "?" + items.joined(separator: "&") }
}

/// A server-sent event, line by line.
struct ServerSentEvent {
    private var name = ""
    private var data = ""

    /// Takes a line; the event that it ends, if it does.
    mutating func take(_ line: String) -> (name: String, data: String)? {
        let line = line.hasSuffix("\r") ? line.dropLast() : line[...]
        guard !line.isEmpty else {
            defer { self = ServerSentEvent() }
            return data.isEmpty ? nil : (name, data)
        }
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let value = parts[1].hasPrefix(" ") ? parts[1].dropFirst() : parts[1]
        switch parts[0] {
        case "event": name = String(value)
        case "data": data += value
        default: break
        }
        return nil
    }
}

extension String {
    /// The text with every byte that means something in a URL as `%xx`.
    public var percentEncoded: String {
        var encoded = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }
}
