import CTun
import Control
import Glibc
import Keys
import NIOCore
import NIOHTTP1
import TunnelCore

/// One connection to the control socket: collects a request, lets `ControlRequest` answer it, closes.
final class ControlHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long a connection may last until it is answered, whatever is still heard of it.
    private static let patience = TimeAmount.seconds(60)

    private let desk: ControlDesk
    private var head: HTTPRequestHead?
    private var body = ControlBody()
    /// A request is being answered, or was: there is one for a connection.
    private var isTaken = false
    private var end: Scheduled<Void>?
    private var stream: (any ControlStream)?

    init(_ desk: ControlDesk) { self.desk = desk }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        end = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        stream = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard !isTaken else { return }
            self.head = head
            body = ControlBody()
        case .body(let buffer):
            defer { buffer.wipe() }
            guard let head, !body.append(buffer) else { return }
            refuse(
                ControlReply(.payloadTooLarge, "the body is too large", cure: "64 KB are taken at most"), head,
                context.channel)
        case .end:
            guard let head else { return }
            self.head = nil
            isTaken = true
            answer(head, context.channel)
            body = ControlBody()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stream?.pump()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else { return context.fireUserInboundEventTriggered(event) }
        // A client that says nothing, or never reads, is let go; who follows the events has nothing to say.
        if stream == nil { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, !isTaken else { return context.close(promise: nil) }
        let reply =
            error == .headerOverflow
            ? ControlReply(
                .requestHeaderFieldsTooLarge, "the head is too large", cure: "16 KB and 64 fields are taken at most")
            : ControlReply(.badRequest, "this is no HTTP/1.1 request")
        refuse(reply, head, context.channel)
    }

    private func refuse(_ reply: ControlReply, _ head: HTTPRequestHead?, _ channel: any Channel) {
        self.head = nil
        isTaken = true
        respond(reply, to: head ?? HTTPRequestHead(version: .http1_1, method: .GET, uri: "/"), channel)
    }

    private func answer(_ head: HTTPRequestHead, _ channel: any Channel) {
        let request = ControlRequest(
            method: head.method, target: ControlTarget(head.uri), body: body,
            follows: head.headers.first(name: "Accept") == "text/event-stream")
        guard let options = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        let credentials: EventLoopFuture<ctun_credentials> = options.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        credentials.flatMap { [desk] credentials in
            request.answer(desk, user: credentials.user, on: channel.eventLoop)
        }.whenComplete { result in
            switch result {
            case .success(let reply): own.value.respond(reply, to: head, channel)
            case .failure: own.value.respond(.busy, to: head, channel)
            }
        }
    }

    private func respond(_ reply: ControlReply, to request: HTTPRequestHead, _ channel: any Channel) {
        switch reply.content {
        case .events(let question): follow(question, request, channel)
        case .trace(let question, let number):
            begin(request, question.isCapture ? "application/x-pcapng" : "text/event-stream", channel)
            let stream = TraceStream(question, number, desk.daemon, channel)
            self.stream = stream
            stream.start()
        case .json, .metrics, .refusal: reply.send(for: request.headers, channel)
        }
    }

    /// Begins to send events, until the client goes.
    private func follow(_ question: EventQuestion, _ request: HTTPRequestHead, _ channel: any Channel) {
        guard desk.beginFollowing(until: channel.closeFuture) else {
            return respond(
                ControlReply(
                    .serviceUnavailable, "too many follow the events already", code: "busy",
                    cure: "end one of the others, \(ControlDesk.mostFollowers) may"), to: request, channel)
        }
        var question = question
        if let last = request.headers.first(name: "Last-Event-ID").flatMap({ UInt64($0) }) {
            question.since = last &+ 1
        }
        begin(request, "text/event-stream", channel)
        let stream = EventStream(question, desk.daemon.log.history, channel)
        self.stream = stream
        stream.start()
    }

    /// Begins an answer that has no length.
    private func begin(_ request: HTTPRequestHead, _ type: String, _ channel: any Channel) {
        end?.cancel()
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: type)
        headers.add(name: "Cache-Control", value: "no-store")
        headers.add(name: "Connection", value: "close")
        let head = HTTPResponseHead(version: request.version, status: .ok, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
    }
}

/// The body of a request, wiped when it was answered: it may be a key.
final class ControlBody: @unchecked Sendable {
    private static let longest = 64 << 10

    /// Changed by the handler alone, before the request is there for others.
    private(set) var bytes: [UInt8] = []

    /// Adds bytes; false if there are too many.
    func append(_ more: ByteBuffer) -> Bool {
        let size = bytes.count + more.readableBytes
        guard size <= Self.longest else { return false }
        if size > bytes.capacity {
            var larger: [UInt8] = []
            larger.reserveCapacity(max(4096, 2 * size))
            larger += bytes
            wipe()
            bytes = larger
        }
        bytes += more.readableBytesView
        return true
    }

    deinit { wipe() }

    private func wipe() {
        var gone: [UInt8] = []
        swap(&gone, &bytes)
        var span = gone.mutableSpan
        Keys.wipe(&span)
    }
}
