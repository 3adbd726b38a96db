import Control
import LinuxIO
import NIOCore
import NIOHTTP1
import Synchronization
import TunnelCore

/// The statistics for all who ask. One snapshot is made at a time, and then none for a moment; who asks meanwhile gets the
/// next one, with all others who did: a crowd costs the data thread as little as one client that asks again and again.
final class SharedStatistics: Sendable {
    /// Places for peers that one turn of the data thread looks at.
    private static let portion = 64
    /// How long after one the next one begins.
    private static let rest = TimeAmount.milliseconds(50)

    private struct Desk {
        var isBusy = false
        /// The snapshot after the one that is being made, or was just now, if anybody waits for it.
        var next: EventLoopPromise<StatisticsSnapshot>?
    }

    private let daemon: Daemon
    private let desk = Mutex(Desk())

    init(_ daemon: Daemon) { self.daemon = daemon }

    /// A snapshot that is begun now or later.
    func snapshot(on loop: any EventLoop) -> EventLoopFuture<StatisticsSnapshot> {
        let (promise, isFree) = desk.withLock { desk -> (EventLoopPromise<StatisticsSnapshot>, Bool) in
            if let next = desk.next { return (next, false) }
            let promise = loop.makePromise(of: StatisticsSnapshot.self)
            guard desk.isBusy else {
                desk.isBusy = true
                return (promise, true)
            }
            desk.next = promise
            return (promise, false)
        }
        if isFree { make(promise) }
        return promise.futureResult
    }

    private func make(_ promise: EventLoopPromise<StatisticsSnapshot>) {
        promise.futureResult.whenComplete { [loop = promise.futureResult.eventLoop] _ in
            loop.scheduleTask(in: Self.rest) { self.goOn() }
        }
        collect(StatisticsInParts(), promise)
    }

    private func goOn() {
        let next = desk.withLock { desk in
            defer { desk.next = nil }
            desk.isBusy = desk.next != nil
            return desk.next
        }
        if let next { make(next) }
    }

    /// Takes the next part, and words the whole on the event loop when there are no more.
    private func collect(_ parts: StatisticsInParts, _ promise: EventLoopPromise<StatisticsSnapshot>) {
        let isPosted = daemon.commands.post { [self] loop, now in
            var parts = parts
            guard parts.advance(loop.tunnel, atMost: Self.portion, at: now.instant) else {
                return collect(parts, promise)
            }
            let (whole, refused) = (parts, loop.refusals())
            promise.futureResult.eventLoop.execute { [self] in
                promise.succeed(StatisticsSnapshot(daemon.describe(whole.statistics(), refused)))
            }
        }
        if !isPosted { promise.fail(TooBusy()) }
    }
}

/// The statistics of one moment, and the replies that are made of them: each once, whoever asks. Used on the control socket's
/// event loop alone.
final class StatisticsSnapshot: @unchecked Sendable {
    let statistics: InterfaceStatistics
    private(set) lazy var json = ControlReply(statistics)
    private(set) lazy var peers = ControlReply(PeerList(interface: statistics.interface, peers: statistics.peers))
    private(set) lazy var metrics = ControlReply(
        .ok, .metrics(ByteBuffer(bytes: Array(MetricsText.render(statistics).utf8))))

    init(_ statistics: InterfaceStatistics) { self.statistics = statistics }

    /// One peer, by its name or public key.
    func peer(_ name: String) -> ControlReply {
        guard let peer = statistics.peers.first(where: { $0.name == name || $0.publicKey == name }) else {
            return ControlReply(
                .notFound, "no peer has that name or public key", code: "noPeer", cure: "GET /v1/peers lists them")
        }
        return ControlReply(peer)
    }
}
