import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import Synchronization
import TunnelCore

/// What a client of the control socket gets: JSON, or one line of text that says what was wrong.
struct ControlReply: Sendable {
    let status: HTTPResponseStatus
    let body: [UInt8]
    let isJSON: Bool

    init(_ status: HTTPResponseStatus, _ message: String) {
        self.init(status, Array((message + "\n").utf8), isJSON: false)
    }

    /// 200 with the value as JSON.
    init(_ value: some Encodable) {
        do throws(JSON.Malformed) {
            self.init(.ok, try JSON.encode(value), isJSON: true)
        } catch {
            self.init(.internalServerError, error.description)
        }
    }

    private init(_ status: HTTPResponseStatus, _ body: [UInt8], isJSON: Bool) {
        self.status = status
        self.body = body
        self.isJSON = isJSON
    }
}

/// A request to the control socket.
///
///     GET /v1/stats     statistics                       the socket's group, root
///     GET /v1/key       our public key                   the socket's group, root
///     PUT /v1/key       another private key              root
///     PUT /v1/psk       another preshared key of a peer  root
struct ControlRequest: Sendable {
    let method: HTTPMethod
    let path: String
    let body: ControlBody

    /// The reply, which may take a turn of the data thread. `user` is the client's, as the kernel knows it; whoever
    /// could connect at all may read.
    func answer(_ daemon: Daemon, user: UInt32, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        switch (method, path) {
        case (.GET, "/v1/stats"):
            ask(daemon, on: loop) { loop, now in (loop.tunnel.statistics(at: now.instant), loop.refusals()) }
                .map { tunnel, refused in ControlReply(daemon.describe(tunnel, refused)) }
        case (.GET, "/v1/key"):
            ask(daemon, on: loop) { loop, _ in loop.tunnel.publicKey }.map { key in
                key.map { ControlReply(KeyReply(publicKey: $0.description)) }
                    ?? ControlReply(.notFound, "no private key is set")
            }
        case (.PUT, "/v1/key") where user == 0: setKey(daemon, on: loop)
        case (.PUT, "/v1/psk") where user == 0: setPresharedKey(daemon, on: loop)
        case (.PUT, "/v1/key"), (.PUT, "/v1/psk"):
            loop.makeSucceededFuture(ControlReply(.forbidden, "only root may change keys"))
        case (_, "/v1/stats"), (_, "/v1/key"), (_, "/v1/psk"):
            loop.makeSucceededFuture(ControlReply(.methodNotAllowed, "\(path) does not take \(method)"))
        default:
            loop.makeSucceededFuture(ControlReply(.notFound, "there is no \(path); see docs/configuration.md"))
        }
    }

    /// The new key goes into the file first: if that fails, nothing has changed.
    private func setKey(_ daemon: Daemon, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let change = decode(KeyChange.self), let key = PrivateKey(base64: change.privateKey) else {
            return loop.makeSucceededFuture(ControlReply(.badRequest, "the body holds no private key"))
        }
        do throws(FileFailure) {
            try daemon.configuration.withLock { configuration throws(FileFailure) in
                try configuration.storePrivateKey(key)
                if case .inline = configuration.interface.privateKey {
                    configuration.interface.privateKey = .inline(key)
                }
            }
        } catch {
            return loop.makeSucceededFuture(ControlReply(.internalServerError, "\(error); nothing was changed"))
        }
        return ask(daemon, on: loop) { loop, now in
            loop.tunnel.setPrivateKey(key, at: now)
            return key.publicKey
        }.map { publicKey in
            daemon.log.info("private key changed, our public key is \(publicKey)")
            return ControlReply(KeyReply(publicKey: publicKey.description))
        }
    }

    private func setPresharedKey(_ daemon: Daemon, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let change = decode(PresharedKeyChange.self), let key = PresharedKey(base64: change.presharedKey) else {
            return loop.makeSucceededFuture(ControlReply(.badRequest, "the body holds no preshared key"))
        }
        let found = daemon.configuration.withLock { configuration -> PublicKey? in
            guard
                let index = configuration.peers.firstIndex(where: {
                    $0.name == change.peer || $0.publicKey.description == change.peer
                })
            else { return nil }
            configuration.peers[index].presharedKey = key
            return configuration.peers[index].publicKey
        }
        guard let peer = found else {
            return loop.makeSucceededFuture(ControlReply(.notFound, "no peer has that name or public key"))
        }
        return ask(daemon, on: loop) { loop, _ in loop.tunnel.setPresharedKey(key, of: peer) }.map {
            daemon.log.info("\(daemon.name(of: peer)): preshared key changed")
            return ControlReply(KeyReply(publicKey: peer.description))
        }
    }

    private func decode<Value: Decodable>(_ type: Value.Type) -> Value? {
        do throws(JSON.Malformed) { return try JSON.decode(type, from: body.bytes) } catch { return nil }
    }

    /// Has something done on the data thread and brings its result back.
    private func ask<Answer: Sendable>(
        _ daemon: Daemon, on loop: any EventLoop, _ question: @escaping @Sendable (inout DataLoop, Now) -> Answer
    ) -> EventLoopFuture<Answer> {
        let promise = loop.makePromise(of: Answer.self)
        let isPosted = daemon.commands.post { loop, now in promise.succeed(question(&loop, now)) }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    private struct TooBusy: Error {}
}
