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

    private let desk: ControlDesk
    private var head: HTTPRequestHead?
    private var body = ControlBody()

    init(_ desk: ControlDesk) { self.desk = desk }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = ControlBody()
        case .body(let buffer):
            defer { buffer.wipe() }
            guard body.append(buffer) else {
                head = nil
                return Self.respond(ControlReply(.payloadTooLarge, "the body is too large"), context.channel)
            }
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context.channel)
            body = ControlBody()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A client that says nothing, or never reads, is let go.
        if event is IdleStateHandler.IdleStateEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, _ channel: any Channel) {
        let request = ControlRequest(method: head.method, path: head.uri, body: body)
        guard let options = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        let credentials: EventLoopFuture<ctun_credentials> = options.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        credentials.flatMap { [desk] credentials in
            request.answer(desk, user: credentials.user, on: channel.eventLoop)
        }.whenComplete { result in
            switch result {
            case .success(let reply): Self.respond(reply, channel)
            case .failure: Self.respond(ControlReply(.internalServerError, "the data thread is too busy"), channel)
            }
        }
    }

    private static func respond(_ reply: ControlReply, _ channel: any Channel) {
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: reply.isJSON ? "application/json" : "text/plain; charset=utf-8")
        headers.add(name: "Content-Length", value: "\(reply.body.readableBytes)")
        headers.add(name: "Connection", value: "close")
        let head = HTTPResponseHead(version: .http1_1, status: reply.status, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(reply.body)), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
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
