import NIOCore

/// Stands before a listening socket's acceptor: while so many connections are open, more wait in the kernel's queue.
final class ConnectionLimit: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private let most: Int
    private var open = 0
    /// The next one is to be accepted when there is room again.
    private var isWaiting = false

    init(_ most: Int) { self.most = most }

    func read(context: ChannelHandlerContext) {
        if open < most { context.read() } else { isWaiting = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        open += 1
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).assumeIsolated().whenComplete { _ in
            self.open -= 1
            guard self.isWaiting else { return }
            self.isWaiting = false
            context.read()
        }
        context.fireChannelRead(data)
    }
}
