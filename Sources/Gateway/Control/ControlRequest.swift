import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import Synchronization
import TunnelCore

/// The reply to a client of the control socket: JSON, or one line of text that says what was wrong.
struct ControlReply: Sendable {
    let status: HTTPResponseStatus
    /// Shared by all who get the same reply.
    let body: ByteBuffer
    let isJSON: Bool

    init(_ status: HTTPResponseStatus, _ message: String) {
        self.init(status, ByteBuffer(string: message + "\n"), isJSON: false)
    }

    /// 200 with the value as JSON.
    init(_ value: some Encodable) {
        do throws(JSON.Malformed) {
            self.init(.ok, ByteBuffer(bytes: try JSON.encode(value)), isJSON: true)
        } catch {
            self.init(.internalServerError, error.description)
        }
    }

    private init(_ status: HTTPResponseStatus, _ body: ByteBuffer, isJSON: Bool) {
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

    /// The reply, which may take some turns of the data thread, or wait for files. `user` is the client's, as the kernel
    /// knows it; whoever could connect at all may read.
    func answer(_ desk: ControlDesk, user: UInt32, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        switch (method, path) {
        case (.GET, "/v1/stats"): desk.statistics.reply(on: loop)
        case (.GET, "/v1/key"): tellKey(desk.daemon, on: loop)
        case (.PUT, "/v1/key") where user == 0: setKey(desk, on: loop)
        case (.PUT, "/v1/psk") where user == 0: setPresharedKey(desk, on: loop)
        case (.PUT, "/v1/key"), (.PUT, "/v1/psk"):
            loop.makeSucceededFuture(ControlReply(.forbidden, "only root may change keys"))
        case (_, "/v1/stats"), (_, "/v1/key"), (_, "/v1/psk"):
            loop.makeSucceededFuture(ControlReply(.methodNotAllowed, "\(path) does not take \(method)"))
        default:
            loop.makeSucceededFuture(ControlReply(.notFound, "there is no \(path); see docs/configuration.md"))
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
            return loop.makeSucceededFuture(ControlReply(.badRequest, "the body holds no private key"))
        }
        return desk.change(on: loop) { daemon in
            var configuration = daemon.configuration
            do throws(FileFailure) {
                try configuration.storePrivateKey(key)
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

    private func setPresharedKey(_ desk: ControlDesk, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        guard let change = decode(PresharedKeyChange.self), let key = PresharedKey(base64: change.presharedKey) else {
            return loop.makeSucceededFuture(ControlReply(.badRequest, "the body holds no preshared key"))
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

/// The desk that requests to the control socket are answered from.
final class ControlDesk: Sendable {
    let daemon: Daemon
    let statistics: SharedStatistics
    private let chores: Chores

    init(_ daemon: Daemon, _ chores: Chores) {
        self.daemon = daemon
        self.chores = chores
        statistics = SharedStatistics(daemon)
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
}

/// More is asked for than gets done.
struct TooBusy: Error {}
