import Control
import NIOCore

/// One connection to the UAPI socket: reads requests, has them done one after the other, writes the replies.
///
/// While a request is under way nothing is read, so a client can't pile up work; a reply is made as it is read, so a
/// slow client can't pile up memory; one that stops reading its reply is let go. One that says nothing costs nothing.
final class UAPIHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a client may take to read some of its reply.
    private static let patience = TimeAmount.seconds(10)

    private let daemon: Daemon
    private let order: UAPIOrder
    private var parser = UAPIParser()
    /// What came and is no whole line yet, or waits for the request before it.
    private var received = ByteBuffer()
    private var isBusy = false
    private var isInputOver = false
    private var reply: UAPIReply?
    private var deadline: Scheduled<Void>?

    init(_ daemon: Daemon, _ order: UAPIOrder) {
        self.daemon = daemon
        self.order = order
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        advance(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isInputOver = true
            advance(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, reply != nil { writeReply(context) }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        reply = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Requests

    /// Takes lines until there is a request to be done, or no whole line.
    private func advance(_ context: ChannelHandlerContext) {
        defer { received.discardReadBytes() }
        while !isBusy {
            let bytes = received.readableBytesView
            guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
                if bytes.count > UAPIParser.longestLine { return refuse(.inputOutput, context) }
                if isInputOver { return finish(context) }
                return
            }
            do throws(UAPIError) {
                let outcome = try parser.take(bytes[bytes.startIndex..<end])
                received.moveReaderIndex(to: end + 1)
                if let outcome { begin(outcome, context) }
            } catch {
                return refuse(error, context)
            }
        }
    }

    private func begin(_ outcome: UAPIParser.Outcome, _ context: ChannelHandlerContext) {
        setBusy(true, context)
        switch outcome {
        case .refused(let error): answer(error.rawValue, context)
        case .request(.get):
            order.next { [daemon] loop in UAPISnapshot.take(daemon, on: loop) }.assumeIsolated().whenComplete {
                result in
                switch result {
                case .success(let snapshot):
                    self.reply = UAPIReply(snapshot)
                    self.writeReply(context)
                case .failure: self.answer(UAPIError.unknown.rawValue, context)
                }
            }
        case .request(.set(let changes)):
            order.next { [daemon] loop in UAPITransaction.perform(changes, daemon, on: loop) }
                .assumeIsolated().whenComplete { result in
                    self.answer((try? result.get()) ?? UAPIError.unknown.rawValue, context)
                }
        }
    }

    /// The client will say no more.
    private func finish(_ context: ChannelHandlerContext) {
        guard parser.isIdle, received.readableBytes == 0 else { return refuse(.protocolViolated, context) }
        context.close(promise: nil)
    }

    /// Answers and closes: where the next request would begin is not known.
    private func refuse(_ error: UAPIError, _ context: ChannelHandlerContext) {
        isBusy = true
        var text = UAPIText()
        text.append(errno: error.rawValue)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: text.bytes)))
            .whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Replies

    private func answer(_ errno: Int, _ context: ChannelHandlerContext) {
        var text = UAPIText()
        text.append(errno: errno)
        write(text.bytes, isLast: true, context)
    }

    /// Writes pieces of the reply until the client has to catch up, or there are no more.
    private func writeReply(_ context: ChannelHandlerContext) {
        while context.channel.isWritable, context.channel.isActive, let piece = reply?.next() {
            write(piece, isLast: false, context)
        }
        guard context.channel.isWritable else { return }
        reply = nil
        write([], isLast: true, context)
    }

    private func write(_ bytes: [UInt8], isLast: Bool, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        let written = context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)))
        guard isLast else { return }
        written.assumeIsolated().whenSuccess {
            self.deadline?.cancel()
            self.setBusy(false, context)
            self.advance(context)
        }
    }

    private func setBusy(_ isBusy: Bool, _ context: ChannelHandlerContext) {
        self.isBusy = isBusy
        try? context.channel.syncOptions?.setOption(.autoRead, value: !isBusy)
    }
}

/// Whose request is done when: one after the other, whatever connection it came on, so that none sees half of another.
/// Belongs to one event loop.
final class UAPIOrder {
    private var last: EventLoopFuture<Void>
    private let loop: any EventLoop

    init(_ loop: any EventLoop) {
        self.loop = loop
        last = loop.makeSucceededVoidFuture()
    }

    /// Does `work` when all that came before is done.
    func next<Result: Sendable>(
        _ work: @escaping @Sendable (any EventLoop) -> EventLoopFuture<Result>
    ) -> EventLoopFuture<Result> {
        let loop = loop
        let result = last.flatMap { work(loop) }
        last = result.map { _ in }.recover { _ in }
        return result
    }
}
