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

    private static let longestBody = 64 << 10

    private let daemon: Daemon
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ daemon: Daemon) { self.daemon = daemon }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let buffer):
            guard body.count + buffer.readableBytes <= Self.longestBody else {
                head = nil
                return Self.respond(ControlReply(.payloadTooLarge, "the body is too large"), context.channel)
            }
            body += buffer.readableBytesView
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context.channel)
            wipe()
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
        credentials.flatMap { [daemon] credentials in
            request.answer(daemon, user: credentials.user, on: channel.eventLoop)
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
        headers.add(name: "Content-Length", value: "\(reply.body.count)")
        headers.add(name: "Connection", value: "close")
        let head = HTTPResponseHead(version: .http1_1, status: reply.status, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: reply.body))), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
    }

    /// The body may have been a key.
    private func wipe() {
        var span = body.mutableSpan
        Keys.wipe(&span)
        body = []
    }
}
