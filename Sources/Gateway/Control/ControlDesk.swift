import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import Synchronization
import TunnelCore

/// The desk that requests to the control socket are answered from.
final class ControlDesk: Sendable {
    let daemon: Daemon
    let statistics: SharedStatistics
    let chores: Chores
    /// Clients that follow the events.
    private let followers = Atomic<Int>(0)
    static let mostFollowers = 16
    /// Mistakes in a file that one reply lists.
    private static let mostFaults = 20

    init(_ daemon: Daemon, _ chores: Chores) {
        self.daemon = daemon
        self.chores = chores
        statistics = SharedStatistics(daemon)
    }

    /// Counts one more who follows the events, until that is done; false if there are too many.
    func beginFollowing(until end: EventLoopFuture<Void>) -> Bool {
        guard followers.add(1, ordering: .relaxed).newValue <= Self.mostFollowers else {
            followers.subtract(1, ordering: .relaxed)
            return false
        }
        end.whenComplete { [self] _ in followers.subtract(1, ordering: .relaxed) }
        return true
    }

    /// The outcome of a change when its files are written.
    enum Change {
        case refusal(ControlReply)
        /// To be done on the data thread.
        case command(@Sendable (inout DataLoop, Now) -> ControlReply)
    }

    /// Prepares a change where files are written, one after the other and with time, then does it on the data thread.
    func change(
        on loop: any EventLoop, _ prepare: @escaping @Sendable (Daemon) -> Change
    ) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let isPosted = chores.post { [daemon] in
            // The other process is to be asked.
            if daemon.isHandedOver { return promise.fail(TooBusy()) }
            switch prepare(daemon) {
            case .refusal(let reply): promise.succeed(reply)
            case .command(let command):
                let isPosted = daemon.commands.post { loop, now in promise.succeed(command(&loop, now)) }
                if !isPosted { promise.fail(TooBusy()) }
            }
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    /// Has the file read again, as SIGHUP does, and answers when the data thread has done what changed; or says what would
    /// change.
    func reload(dryRun: Bool, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let isPosted = chores.post { [self] in
            if daemon.isHandedOver { return promise.fail(TooBusy()) }
            let reply = reload(dryRun: dryRun)
            if !daemon.commands.post({ _, _ in promise.succeed(reply) }) { promise.fail(TooBusy()) }
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    /// Begins to write down what becomes of packets. One may at a time.
    func beginTrace(_ question: TraceQuestion, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        var key: PublicKey?
        if let peer = question.peer {
            key =
                daemon.configuration.peers.first { $0.name == peer || $0.publicKey.description == peer }?.publicKey
                ?? PublicKey(peer)
        }
        let (promise, wanted, batch) = (loop.makePromise(of: ControlReply.self), key, question.batch)
        let isPosted = daemon.commands.post { data, now in
            guard question.peer == nil || wanted.map({ data.tunnel.hasPeer($0) }) == true else {
                return promise.succeed(
                    ControlReply(
                        .notFound, "no peer has that name or public key", code: "noPeer",
                        cure: "GET /v1/peers lists them"))
            }
            guard let number = data.tunnel.beginTrace(question.wish, of: wanted, into: batch, at: now) else {
                return promise.succeed(
                    ControlReply(
                        .serviceUnavailable, "somebody traces or captures already", code: "busy",
                        cure: "end that first, one may at a time"))
            }
            promise.succeed(ControlReply(.ok, .trace(question, number)))
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    /// Has another process take the place of this one; answers when it has, or why it has not.
    func upgrade(on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let isPosted = chores.post { [self] in
            if daemon.isHandedOver { return promise.fail(TooBusy()) }
            switch daemon.upgrade(chores) {
            case .done(let reply): promise.succeed(ControlReply(reply))
            case .refused(let line):
                promise.succeed(
                    ControlReply(
                        .unprocessableEntity, line, code: "upgradeRefused", cure: "nothing was changed by that"))
            }
            // This process ends when this is done: the answer is on its way then.
            for _ in 0..<2 { try? loop.submit {}.wait() }
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    /// Reads the file again and says what came of it. On the chores' thread for files.
    func reload(dryRun: Bool = false) -> ControlReply {
        let first = daemon.log.history.next
        let outcome = daemon.reload(chores, dryRun: dryRun)
        let said = daemon.log.history.page(since: first, atMost: EventHistory.capacity).events
        let lines = said.filter {
            $0.kind == GatewayEvent.Kind.reload.rawValue || $0.kind == GatewayEvent.Kind.log.rawValue
        }
        return Self.reply(lines, outcome)
    }

    private static func reply(_ lines: [GatewayEvent], _ reload: Reload?) -> ControlReply {
        guard reload == nil, let outcome = lines.last(where: { $0.level == .error }) else {
            return ControlReply(
                ReloadReply(
                    messages: lines.map(\.text), changes: reload?.changes, changedMeanwhile: reload?.changedMeanwhile))
        }
        let faults = lines.filter { $0.level != .error }.map(\.text)
        let rest = faults.count > mostFaults ? ["\(faults.count - mostFaults) more"] : []
        return ControlReply(
            .unprocessableEntity, ([outcome.text] + faults.prefix(mostFaults) + rest).joined(separator: " · "),
            code: "configuration", cure: "mend the file, and reload again")
    }
}

/// More is asked for than gets done.
struct TooBusy: Error {}
