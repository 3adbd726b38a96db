import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import Steward
import Synchronization
import TunnelCore

// `gatewayctl key rotate` (docs/protocol.md §3.13).

extension ControlDesk {
    /// How long sessions are waited for, then a HELLO on each, and then the peers.
    private static let patience: Int64 = 6_500_000_000
    private static let patienceForHello: Int64 = 1_500_000_000
    private static let patienceForPeers: Int64 = 15_000_000_000
    private static let repeats: Int64 = 1_000_000_000

    private struct KeyRotation: Sendable {
        let leavesBehind: Bool
        let beganAt: Int64
        var endsAt: Int64
        /// Peers that take the key, and why the others don't.
        var able: [PublicKey] = []
        var others: [(key: PublicKey, reason: String)] = []
        var key: PrivateKey?
        var saidAt: Int64?
    }

    /// Has the peers that are gateways told of another public key, and goes over to it when they have it.
    func rotateKey(leavingBehind: Bool, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let now = bootTime()
        look(KeyRotation(leavesBehind: leavingBehind, beganAt: now, endsAt: now + Self.patience), promise)
        return promise.futureResult
    }

    /// Waits until it is known of each peer whether it can be told.
    private func look(_ rotation: KeyRotation, _ promise: EventLoopPromise<ControlReply>) {
        let keys = daemon.configuration.peers.map(\.publicKey)
        let isPosted = daemon.commands.post { [self] loop, now in
            var rotation = rotation
            let time = now.instant.nanoseconds
            rotation.able = []
            rotation.others = []
            var isOpen = false
            for key in keys {
                switch loop.tunnel.rotate(nil, with: key, at: now) {
                case .noPeer: break
                case .reached: rotation.able.append(key)
                case .noSession:
                    isOpen = isOpen || loop.tunnel.hasEndpoint(key) && time < rotation.endsAt
                    rotation.others.append((key, "does not answer"))
                case .takesNone(let saysNothing):
                    isOpen = isOpen || saysNothing && time < rotation.beganAt + Self.patienceForHello
                    rotation.others.append(
                        (key, saysNothing ? "is no gateway, or says nothing to us" : "is a gateway of an older version")
                    )
                }
            }
            guard isOpen else { return begin(rotation, promise) }
            let next = rotation
            promise.futureResult.eventLoop.scheduleTask(in: .milliseconds(50)) { [self] in look(next, promise) }
        }
        if !isPosted { promise.fail(TooBusy()) }
    }

    private func begin(_ rotation: KeyRotation, _ promise: EventLoopPromise<ControlReply>) {
        guard rotation.others.isEmpty || rotation.leavesBehind else {
            let list = rotation.others.map { "\(daemon.name(of: $0.key)) \($0.reason)" }
            let rest = list.count > 20 ? ", and \(list.count - 20) more" : ""
            return promise.succeed(
                ControlReply(
                    .conflict,
                    "\(list.prefix(20).joined(separator: ", "))\(rest): can't be told of a new key; nothing was changed",
                    code: "leavesBehind",
                    cure: "gatewayctl key rotate --leave-behind goes on, and they are to be told by hand"))
        }
        let isPosted = chores.post { [self] in
            guard !daemon.isHandedOver else { return promise.fail(TooBusy()) }
            var rotation = rotation
            do throws(Failure) {
                let key = try daemon.nextPrivateKey()
                rotation.key = key
                daemon.keyHolders.withLock { $0.begin(key.publicKey) }
            } catch {
                return promise.succeed(Self.refusal(error))
            }
            rotation.endsAt = bootTime() + Self.patienceForPeers
            wait(rotation, promise)
        }
        if !isPosted { promise.fail(TooBusy()) }
    }

    /// Tells those that have not confirmed it yet, until all have.
    private func wait(_ rotation: KeyRotation, _ promise: EventLoopPromise<ControlReply>) {
        guard let key = rotation.key else { return promise.fail(TooBusy()) }
        let holders = daemon.keyHolders.withLock { $0 }
        guard holders.refusing.isEmpty else { return giveUp(holders.refusing, promise) }
        let missing = rotation.able.filter { !holders.holding.contains($0) && daemon.settings.peer($0) != nil }
        guard !missing.isEmpty else { return changeOver(to: key, rotation, promise) }
        let now = bootTime()
        guard now < rotation.endsAt else {
            return promise.succeed(
                ControlReply(
                    KeyRotationReply(
                        .underWay, key.publicKey, waitsFor: missing.map { daemon.name(of: $0) },
                        leftBehind: rotation.others.map { daemon.name(of: $0.key) })))
        }
        var rotation = rotation
        if now >= (rotation.saidAt ?? 0) + Self.repeats {
            rotation.saidAt = now
            let record = RotateRecord(.publicKey, .offer, key.publicKey.bytes)
            daemon.commands.post { loop, now in
                for peer in missing { _ = loop.tunnel.rotate(record, with: peer, at: now) }
            }
        }
        let next = rotation
        promise.futureResult.eventLoop.scheduleTask(in: .milliseconds(20)) { [self] in wait(next, promise) }
    }

    private func giveUp(_ refusing: Set<PublicKey>, _ promise: EventLoopPromise<ControlReply>) {
        let names = refusing.map { daemon.name(of: $0) }.sorted().joined(separator: ", ")
        let isPosted = chores.post { [daemon] in
            try? daemon.steward.storeNext(nil)
            promise.succeed(
                ControlReply(
                    .conflict, "\(names) could not write the new key down; nothing was changed", code: "notTaken",
                    cure: "its log says why"))
        }
        if !isPosted { promise.fail(TooBusy()) }
    }

    private func changeOver(to key: PrivateKey, _ rotation: KeyRotation, _ promise: EventLoopPromise<ControlReply>) {
        let isPosted = chores.post { [self] in
            do throws(Failure) { try daemon.changePrivateKey(to: key) } catch {
                return promise.succeed(Self.refusal(error))
            }
            let reply = KeyRotationReply(
                .done, key.publicKey, leftBehind: rotation.others.map { daemon.name(of: $0.key) })
            if !daemon.commands.post({ _, _ in promise.succeed(ControlReply(reply)) }) { promise.fail(TooBusy()) }
        }
        if !isPosted { promise.fail(TooBusy()) }
    }
}
