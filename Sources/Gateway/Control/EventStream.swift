import Control
import NIOCore
import NIOHTTP1

/// Events to one client as they happen, as server-sent events. It keeps none: what the client has not taken yet stays in the
/// history, and what is gone from there is counted and told. On the channel's event loop.
final class EventStream {
    /// How often a client hears that the stream is alive; one that has taken nothing for two of them is let go.
    private static let rest = TimeAmount.seconds(15)

    private let history: EventHistory
    private let question: EventQuestion
    private let channel: any Channel
    private var next: UInt64
    private var stuck = 0
    private var beat: RepeatedTask?

    init(_ question: EventQuestion, _ history: EventHistory, _ channel: any Channel) {
        self.question = question
        self.history = history
        self.channel = channel
        next = question.since ?? history.next
    }

    func start() {
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        beat = channel.eventLoop.scheduleRepeatedTask(initialDelay: Self.rest, delay: Self.rest) { _ in
            own.value.prove()
        }
        channel.closeFuture.whenComplete { _ in own.value.end() }
        write("retry: 2000\n\n")
        pump()
    }

    /// Writes what has come, for as long as the client takes it.
    func pump() {
        guard channel.isActive else { return }
        while channel.isWritable {
            let page = history.page(since: next, atMost: 64)
            if page.lost > 0 { write("event: lost\ndata: {\"lost\":\(page.lost)}\n\n") }
            let isLast = page.next == next
            next = page.next
            for event in page.events where question.admits(event) { write(event) }
            if isLast { break }
        }
        channel.flush()
        guard channel.isWritable else { return }
        stuck = 0
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let loop = channel.eventLoop
        history.whenAny(since: next, for: ObjectIdentifier(self)) { loop.execute { own.value.pump() } }
    }

    private func prove() {
        guard channel.isWritable else {
            stuck += 1
            if stuck >= 2 { channel.close(promise: nil) }
            return
        }
        write(":\n\n")
        channel.flush()
    }

    private func end() {
        beat?.cancel()
        beat = nil
        history.forget(ObjectIdentifier(self))
    }

    private func write(_ event: GatewayEvent) {
        guard let data = try? JSON.encode(event) else { return }
        write("id: \(event.id)\nevent: \(event.kind)\ndata: \(String(decoding: data, as: UTF8.self))\n\n")
    }

    private func write(_ text: String) {
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
    }
}
