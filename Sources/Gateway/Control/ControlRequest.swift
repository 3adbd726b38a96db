import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import Steward
import Synchronization
import TunnelCore

/// A request to the control socket (`ControlRoute`).
struct ControlRequest: Sendable {
    let method: HTTPMethod
    let target: ControlTarget
    let body: ControlBody
    /// The client wants to go on hearing.
    let follows: Bool

    /// The reply, which may take some turns of the data thread, or wait for files. `user` is the client's, as the kernel
    /// knows it; whoever could connect at all may read.
    func answer(_ desk: ControlDesk, user: UInt32, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let route = ControlRoute(path: target.path) else {
            return loop.makeSucceededFuture(
                ControlReply(.notFound, "there is no \(target.path)", cure: "see docs/control-api.md"))
        }
        guard route.methods.contains(method) else {
            var reply = ControlReply(.methodNotAllowed, "\(target.path) does not take \(method)")
            reply.allowed = route.methods
            return loop.makeSucceededFuture(reply)
        }
        guard route.isForReaders(method) || user == 0 else {
            return loop.makeSucceededFuture(
                ControlReply(
                    .forbidden, "only root may \(route.deed)",
                    cure: "run it as root; the group gateway may read, and change nothing"))
        }
        return answer(route, desk, on: loop)
    }

    private func answer(
        _ route: ControlRoute, _ desk: ControlDesk, on loop: any EventLoop
    ) -> EventLoopFuture<ControlReply> {
        switch route {
        case .statistics: desk.statistics.snapshot(on: loop).map(\.json)
        case .metrics: desk.statistics.snapshot(on: loop).map(\.metrics)
        case .peers: desk.statistics.snapshot(on: loop).map(\.peers)
        case .peer(let name):
            method == .GET ? desk.statistics.snapshot(on: loop).map { $0.peer(name) } : edit(name, desk, on: loop)
        case .events: loop.makeSucceededFuture(tellEvents(desk.daemon))
        case .trace, .capture: beginTrace(route, desk, on: loop)
        case .diagnosis: desk.diagnose(target["peer"], on: loop)
        case .ping(let name): desk.ping(name, on: loop)
        case .keyRotation: desk.rotateKey(leavingBehind: target["leaveBehind"] == "1", on: loop)
        case .rotation(let name): desk.rotatePresharedKey(name, on: loop)
        case .reload: desk.reload(dryRun: target["dryRun"] == "1", on: loop)
        case .upgrade: desk.upgrade(on: loop)
        case .presharedKey: setPresharedKey(desk, on: loop)
        case .key: method == .GET ? tellKey(desk.daemon, on: loop) : setKey(desk, on: loop)
        }
    }

    private func tellEvents(_ daemon: Daemon) -> ControlReply {
        guard let question = EventQuestion(target, follows: follows) else {
            return ControlReply(
                .badRequest, "since and limit are whole numbers, limit at most \(EventHistory.capacity)",
                code: "badQuery")
        }
        return question.follows
            ? ControlReply(.ok, .events(question)) : ControlReply(question.page(of: daemon.log.history))
    }

    private func beginTrace(
        _ route: ControlRoute, _ desk: ControlDesk, on loop: any EventLoop
    ) -> EventLoopFuture<ControlReply> {
        do throws(TraceQuestion.Malformed) {
            let question =
                route == .trace ? try TraceQuestion(trace: target) : try TraceQuestion(capture: target)
            return desk.beginTrace(question, on: loop)
        } catch {
            guard case .reason(let text) = error else { return loop.makeSucceededFuture(.busy) }
            return loop.makeSucceededFuture(ControlReply(.badRequest, text, code: "badQuery"))
        }
    }

    private func tellKey(_ daemon: Daemon, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let isPosted = daemon.commands.post { loop, _ in
            let reply = loop.tunnel.publicKey.map { ControlReply(KeyReply(publicKey: $0.description)) }
            promise.succeed(reply ?? ControlReply(.notFound, "no private key is set"))
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    /// The new key goes into the file first: if that fails, nothing has changed.
    private func setKey(_ desk: ControlDesk, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let change = decode(KeyChange.self), let key = PrivateKey(base64: change.privateKey) else {
            return loop.makeSucceededFuture(
                ControlReply(
                    .badRequest, "the body holds no private key", code: "badBody",
                    cure: "send {\"privateKey\":\"…\"}, 44 characters of base64"))
        }
        return desk.change(on: loop) { daemon in
            var configuration = daemon.configuration
            do throws(FileFailure) {
                try daemon.steward.store(key)
            } catch {
                return .refusal(ControlReply(.internalServerError, "\(error); nothing was changed"))
            }
            daemon.keyInFile.withLock { $0 = key.publicKey }
            if case .inline = configuration.interface.privateKey {
                configuration.interface.privateKey = .inline(key)
                daemon.change(to: configuration)
            }
            return .command { loop, now in
                loop.tunnel.setPrivateKey(key, at: now)
                daemon.log.info("private key changed, our public key is \(key.publicKey)")
                return ControlReply(KeyReply(publicKey: key.publicKey.description))
            }
        }
    }

    private func edit(_ name: String, _ desk: ControlDesk, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        var values: [PeerEdit.Value] = []
        if method != .DELETE {
            guard let told = decode([String: String?].self) else {
                return loop.makeSucceededFuture(
                    ControlReply(
                        .badRequest, "the body is no object of texts", code: "badBody",
                        cure: "send {\"AllowedIPs\":\"10.2.0.0/24\"}: keys of the config file, null takes one away"))
            }
            values = told.sorted { $0.key < $1.key }.map { PeerEdit.Value(key: $0.key, text: $0.value ?? "") }
        }
        let kind: PeerEdit.Kind = method == .PUT ? .put : method == .PATCH ? .patch : .delete
        guard let edit = PeerEdit(kind, name, values) else {
            return loop.makeSucceededFuture(
                ControlReply(
                    .badRequest, "a name, a key or a value is no line of a config file", code: "badBody",
                    cure: "leave out line feeds and #"))
        }
        return desk.edit(edit, on: loop)
    }

    private func setPresharedKey(_ desk: ControlDesk, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let change = decode(PresharedKeyChange.self), let key = PresharedKey(base64: change.presharedKey) else {
            return loop.makeSucceededFuture(
                ControlReply(
                    .badRequest, "the body holds no preshared key", code: "badBody",
                    cure: "send {\"peer\":\"…\",\"presharedKey\":\"…\"}, the key as 44 characters of base64"))
        }
        return desk.change(on: loop) { daemon in
            var configuration = daemon.configuration
            let found = configuration.peers.firstIndex {
                $0.name == change.peer || $0.publicKey.description == change.peer
            }
            guard let index = found else {
                return .refusal(ControlReply(.notFound, "no peer has that name or public key"))
            }
            configuration.peers[index].presharedKey = key
            daemon.change(to: configuration)
            let peer = configuration.peers[index].publicKey
            return .command { loop, _ in
                loop.tunnel.setPresharedKey(key, of: peer)
                daemon.log.info("\(daemon.name(of: peer)): preshared key changed")
                return ControlReply(KeyReply(publicKey: peer.description))
            }
        }
    }

    private func decode<Value: Decodable>(_ type: Value.Type) -> Value? {
        do throws(JSON.Malformed) { return try JSON.decode(type, from: body.bytes) } catch { return nil }
    }
}
