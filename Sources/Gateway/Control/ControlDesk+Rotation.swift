import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import TunnelCore

// `gatewayctl psk rotate` (docs/protocol.md §3.13).

extension ControlDesk {
    /// How long a session is waited for, then a HELLO on it, and then the peer.
    private static let patience: Int64 = 6_500_000_000
    private static let patienceForHello: Int64 = 1_000_000_000
    private static let patienceForPeer: Int64 = 15_000_000_000

    private struct Rotation: Sendable {
        let key: PublicKey
        let name: String
        var endsAt: Int64
        var helloBy: Int64?
        /// The key that is to be the new one, once it is written down.
        var wanted: PresharedKey?
    }

    /// Has both ends go over to another preshared key. Answers when they have, or why not, or that it takes longer.
    func rotatePresharedKey(_ name: String, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let peers = daemon.configuration.peers
        guard let peer = peers.first(where: { $0.name == name || $0.publicKey.description == name }) else {
            return loop.makeSucceededFuture(Self.noSuchPeer)
        }
        let promise = loop.makePromise(of: ControlReply.self)
        let rotation = Rotation(
            key: peer.publicKey, name: daemon.name(of: peer.publicKey), endsAt: bootTime() + Self.patience)
        reach(rotation, promise)
        return promise.futureResult
    }

    private static let noSuchPeer = ControlReply(
        .notFound, "no peer has that name or public key", code: "noPeer", cure: "GET /v1/peers lists them")

    /// Waits until the peer can be told.
    private func reach(_ rotation: Rotation, _ promise: EventLoopPromise<ControlReply>) {
        let isPosted = daemon.commands.post { [self] loop, now in
            var rotation = rotation
            let time = now.instant.nanoseconds
            switch loop.tunnel.rotate(nil, with: rotation.key, at: now) {
            case .noPeer: return promise.succeed(Self.noSuchPeer)
            case .reached: return begin(rotation, promise)
            case .noSession:
                guard time < rotation.endsAt else {
                    return promise.succeed(
                        ControlReply(
                            .conflict, "\(rotation.name) does not answer; nothing was changed", code: "noSession",
                            cure: "gatewayctl diagnose says why"))
                }
            case .takesNone(let saysNothing):
                rotation.helloBy = rotation.helloBy ?? time + Self.patienceForHello
                guard saysNothing, let end = rotation.helloBy, time < end else {
                    let what = saysNothing ? "is no gateway, or says nothing to us" : "is a gateway of an older version"
                    return promise.succeed(
                        ControlReply(
                            .conflict,
                            "\(rotation.name) \(what), and takes no new key through the tunnel; nothing was changed",
                            code: "takesNoKeys", cure: "change it at both ends by hand: gatewayctl psk set"))
                }
            }
            let next = rotation
            promise.futureResult.eventLoop.scheduleTask(in: .milliseconds(20)) { [self] in reach(next, promise) }
        }
        if !isPosted { promise.fail(TooBusy()) }
    }

    /// Writes a new key down, unless one is on its way already, and offers it.
    private func begin(_ rotation: Rotation, _ promise: EventLoopPromise<ControlReply>) {
        let isPosted = chores.post { [self] in
            guard !daemon.isHandedOver, let peer = daemon.settings.peer(rotation.key) else {
                return promise.fail(TooBusy())
            }
            var (rotation, keys) = (rotation, peer.presharedKeys)
            if !keys.isChanging {
                keys.next = .generate()
                do throws(Failure) { try daemon.write(keys, of: peer, chores) } catch {
                    return promise.succeed(Self.refusal(error))
                }
            }
            rotation.wanted = keys.next ?? keys.current
            rotation.endsAt = bootTime() + Self.patienceForPeer
            RotationWatch.say(keys, rotation.key, daemon)
            wait(rotation, promise)
        }
        if !isPosted { promise.fail(TooBusy()) }
    }

    /// Waits until no other key than the new one is taken.
    private func wait(_ rotation: Rotation, _ promise: EventLoopPromise<ControlReply>) {
        guard let peer = daemon.settings.peer(rotation.key) else { return promise.succeed(Self.noSuchPeer) }
        let keys = peer.presharedKeys
        if !keys.isChanging {
            let isNew = rotation.wanted.map { keys.current?.isSame(as: $0) == true } ?? false
            return promise.succeed(
                isNew
                    ? ControlReply(RotationReply(.done))
                    : ControlReply(
                        .conflict, "\(rotation.name) could not write the new key down; nothing was changed",
                        code: "notTaken", cure: "its log says why"))
        }
        guard bootTime() < rotation.endsAt else { return promise.succeed(ControlReply(RotationReply(.underWay))) }
        promise.futureResult.eventLoop.scheduleTask(in: .milliseconds(20)) { [self] in wait(rotation, promise) }
    }
}
