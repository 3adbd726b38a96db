import Control
import NIOCore

/// One connection to the UAPI socket: reads requests, has them done one after the other, writes the replies.
///
/// While a request is under way nothing is read, so a client can't pile up work; a reply is made as it is read, so a
/// slow client can't pile up memory. A client that does not end its request or stops reading its reply is let go. What
/// was read and written is wiped: it may be keys.
final class UAPIHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a client may take for a request, from the reply before it on.
    private static let patienceForRequest = TimeAmount.seconds(20)
    /// How long it may take to read some of its reply.
    private static let patienceForReader = TimeAmount.seconds(10)

    private let daemon: Daemon
    private let order: UAPIOrder
    private var parser = UAPIParser()
    /// The bytes that came and are no whole line yet, or wait for the request before them.
    private var received = ByteBuffer()
    private var isBusy = false
    private var isInputOver = false
    private var reply: UAPIReply?
    private var deadline: Scheduled<Void>?

    init(_ daemon: Daemon, _ order: UAPIOrder) {
        self.daemon = daemon
        self.order = order
    }

    func channelActive(context: ChannelHandlerContext) {
        expect(within: Self.patienceForRequest, context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        // A buffer of its own each time: one that grows leaves what it held behind.
        let size = received.readableBytes + bytes.readableBytes
        var whole = context.channel.allocator.buffer(capacity: size)
        whole.writeImmutableBuffer(received)
        whole.writeImmutableBuffer(bytes)
        bytes.wipe()
        forgetReceived()
        received = whole
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
        forgetReceived()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Requests

    /// Takes lines until there is a request to be done, or no whole line.
    private func advance(_ context: ChannelHandlerContext) {
        defer { if received.readableBytes == 0 { forgetReceived() } }
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
        write(text.takeBuffer(), context).whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Replies

    private func answer(_ errno: Int, _ context: ChannelHandlerContext) {
        var text = UAPIText()
        text.append(errno: errno)
        writeLast(text.takeBuffer(), context)
    }

    /// Writes pieces of the reply until the client has to catch up, or there are no more.
    private func writeReply(_ context: ChannelHandlerContext) {
        while context.channel.isWritable, context.channel.isActive, let piece = reply?.next() {
            _ = write(piece, context)
        }
        guard context.channel.isWritable else { return }
        reply = nil
        writeLast(ByteBuffer(), context)
    }

    private func writeLast(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        write(bytes, context).assumeIsolated().whenSuccess {
            self.setBusy(false, context)
            self.advance(context)
        }
    }

    /// Writes the bytes, then wipes them.
    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) -> EventLoopFuture<Void> {
        expect(within: Self.patienceForReader, context)
        let written = context.writeAndFlush(wrapOutboundOut(bytes))
        written.whenComplete { _ in bytes.wipe() }
        return written
    }

    private func setBusy(_ isBusy: Bool, _ context: ChannelHandlerContext) {
        self.isBusy = isBusy
        if isBusy { deadline?.cancel() } else { expect(within: Self.patienceForRequest, context) }
        try? context.channel.syncOptions?.setOption(.autoRead, value: !isBusy)
    }

    /// The client is let go unless this is called again in time.
    private func expect(within patience: TimeAmount, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
    }

    private func forgetReceived() {
        received.moveReaderIndex(to: 0)
        received.wipe()
        received = ByteBuffer()
    }
}

/// The order of requests: one after the other, whatever connection it came on, so that none sees half of another.
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
