import Addresses
import Control
import LinuxIO
import NIOCore
import NIOHTTP1
import NIOPosix

/// `/metrics` over TCP on this machine, where `MetricsListen` says; nothing else is answered there.
final class MetricsServer: Sendable {
    private static let mostConnections = 16

    private let channel: any Channel

    private let connections = OpenConnections()
    private let copy: CopiedDescriptor

    /// Takes the port.
    static func listen(
        _ endpoint: Endpoint, _ configuration: Configuration
    ) throws(Failure) -> LinuxIO.FileDescriptor {
        do throws(SystemError) {
            return try TCPListener.open(endpoint)
        } catch {
            throw Failure(
                .unavailable,
                "\(configuration.file): MetricsListen = \(endpoint) can't be had: \(SystemError.text(of: error.number)); "
                    + "choose another port, each interface needs its own")
        }
    }

    /// Serves on a socket from `listen`.
    init(
        _ endpoint: Endpoint, _ socket: consuming LinuxIO.FileDescriptor, _ statistics: SharedStatistics,
        on group: MultiThreadedEventLoopGroup
    ) throws(Failure) {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(Self.mostConnections))
                }
            }
            .childChannelInitializer { [connections] channel in
                connections.add(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try ControlServer.configure(channel, MetricsHandler(statistics))
                }
            }
        copy = CopiedDescriptor(of: socket.raw)
        let descriptor = socket.release()
        do {
            channel = try bootstrap.withBoundSocket(descriptor).wait()
        } catch {
            throw Failure(.unavailable, "serve on \(endpoint): \(error)")
        }
    }

    /// Lends another descriptor of the socket.
    func copyDescriptor() -> CopiedDescriptor? { copy.raw < 0 ? nil : copy }

    /// Takes connections, or lets them wait.
    func setAccepting(_ accepts: Bool) { try? channel.setOption(.autoRead, value: accepts).wait() }

    func close() {
        connections.close()
        try? channel.close().wait()
    }
}

/// One connection to it.
final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let patience = TimeAmount.seconds(60)

    private let statistics: SharedStatistics
    private var isTaken = false
    private var end: Scheduled<Void>?

    init(_ statistics: SharedStatistics) { self.statistics = statistics }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        end = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing that is answered here has a body, so the head is all.
        guard case .head(let head) = unwrapInboundIn(data), !isTaken else { return }
        isTaken = true
        let channel = context.channel
        answer(head, on: context.eventLoop).whenComplete { result in
            switch result {
            case .success(let reply): reply.send(for: head.headers, channel)
            case .failure: ControlReply.busy.send(for: head.headers, channel)
            }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else { return context.fireUserInboundEventTriggered(event) }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        // A page somewhere may have its name lead here (DNS rebinding); what is asked by that name is not ours.
        guard Self.isOurs(head.headers.first(name: "Host")) else {
            return loop.makeSucceededFuture(
                ControlReply(
                    .forbidden, "metrics are told to who asks this machine by its address", cure: "use 127.0.0.1"))
        }
        guard ControlTarget(head.uri).path == "/metrics" else {
            return loop.makeSucceededFuture(ControlReply(.notFound, "there is nothing but /metrics here"))
        }
        guard head.method == .GET else {
            var reply = ControlReply(.methodNotAllowed, "/metrics does not take \(head.method)")
            reply.allowed = [.GET]
            return loop.makeSucceededFuture(reply)
        }
        return statistics.snapshot(on: loop).map(\.metrics)
    }

    /// Whether a Host header names this machine: an address of the loopback, or localhost.
    private static func isOurs(_ host: String?) -> Bool {
        guard var name = host?.lowercased(), !name.isEmpty else { return true }
        if let endpoint = HostAndPort(name) { name = endpoint.host }
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        return name == "localhost" || IPAddress(name)?.isLoopback == true
    }
}
