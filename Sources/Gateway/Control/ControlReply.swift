import Control
import NIOCore
import NIOHTTP1

/// The reply to a client of the control socket.
struct ControlReply: Sendable {
    enum Content: Sendable {
        /// A value; the bytes are shared by all who get the same reply.
        case json(ByteBuffer)
        /// Text in Prometheus' format.
        case metrics(ByteBuffer)
        /// What was asked is not done: JSON, or one line of text for those who want that.
        case refusal(Refusal)
        /// Events from a number on, as they happen.
        case events(EventQuestion)
        /// What becomes of packets, or the packets, as they come: what was begun with this number.
        case trace(TraceQuestion, UInt64)
    }

    let status: HTTPResponseStatus
    let content: Content
    /// The methods that would be answered, for a reply of 405.
    var allowed: [HTTPMethod] = []

    init(_ status: HTTPResponseStatus, _ text: String, code: String? = nil, cure: String? = nil) {
        self.status = status
        content = .refusal(Refusal(code: code ?? Self.code(status), text: text, cure: cure))
    }

    /// 200 with the value as JSON.
    init(_ value: some Encodable) {
        do throws(JSON.Malformed) {
            self.init(.ok, .json(ByteBuffer(bytes: try JSON.encode(value))))
        } catch {
            self.init(.internalServerError, error.description)
        }
    }

    init(_ status: HTTPResponseStatus, _ content: Content) {
        self.status = status
        self.content = content
    }

    /// More is asked for than gets done.
    static let busy = ControlReply(
        .serviceUnavailable, "the data thread is too busy", code: "busy", cure: "ask again in a moment")

    /// The word of a refusal that has none of its own.
    private static func code(_ status: HTTPResponseStatus) -> String {
        switch status {
        case .badRequest: "badRequest"
        case .forbidden: "forbidden"
        case .notFound: "notFound"
        case .methodNotAllowed: "methodNotAllowed"
        case .payloadTooLarge: "bodyTooLarge"
        case .requestHeaderFieldsTooLarge: "headTooLarge"
        case .serviceUnavailable: "busy"
        default: "internal"
        }
    }
}

extension Refusal {
    /// Whether a client wants it as a line of text: one that says so, and `gatewayctl` of before it was JSON, which is the client
    /// that takes JSON alone and does not say who it is.
    static func isText(for headers: HTTPHeaders) -> Bool {
        let accepted = headers.first(name: "Accept")?.lowercased() ?? ""
        if accepted.hasPrefix("text/plain") { return true }
        return accepted == "application/json" && !headers.contains(name: "User-Agent")
    }

    /// Its body, and what kind it is.
    func body(isText: Bool) -> (ByteBuffer, type: String) {
        let text = (ByteBuffer(string: line + "\n"), "text/plain; charset=utf-8")
        guard !isText else { return text }
        do throws(JSON.Malformed) {
            return (ByteBuffer(bytes: try JSON.encode(self)), "application/json")
        } catch {
            return text
        }
    }
}

extension ControlReply {
    /// Sends it as the answer to a request with these headers, and closes. Not for events, which have no end.
    func send(for headers: HTTPHeaders, _ channel: any Channel) {
        let (body, type): (ByteBuffer, String) =
            switch content {
            case .json(let body): (body, "application/json")
            case .metrics(let body): (body, "text/plain; version=0.0.4; charset=utf-8")
            case .refusal(let refusal): refusal.body(isText: Refusal.isText(for: headers))
            case .events, .trace: (ByteBuffer(), "text/event-stream")
            }
        var answered = HTTPHeaders()
        answered.add(name: "Content-Type", value: type)
        answered.add(name: "Content-Length", value: "\(body.readableBytes)")
        answered.add(name: "Connection", value: "close")
        if !allowed.isEmpty { answered.add(name: "Allow", value: allowed.map(\.rawValue).joined(separator: ", ")) }
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: answered)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
    }
}
