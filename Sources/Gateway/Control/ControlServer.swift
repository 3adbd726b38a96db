import Control
import LinuxIO
import NIOCore
import NIOHTTP1
import NIOPosix
import Steward
import Synchronization

/// HTTP/1.1 on the interface's control socket, on an event-loop thread beside the data thread.
final class ControlServer: Sendable {
    private static let mostConnections = 64
    /// What a request's head may be.
    static let limits = {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 8 << 10
        limits.maxHeaderListSize = 16 << 10
        limits.maxHeaderFieldCount = 64
        return limits
    }()

    private struct State {
        var channel: (any Channel)?
        var watch: NIOLoopBound<EventWatch>?
        var isClosed = false
        /// Another descriptor of the socket, for a process that takes over.
        var copy: CopiedDescriptor?
    }

    let path: String
    private let log: Log
    private let desk: ControlDesk
    private let name: InterfaceName
    private let group: MultiThreadedEventLoopGroup
    private let steward: Steward
    private let connections = OpenConnections()
    private let state = Mutex(State())

    /// Listens on `/run/gateway/NAME.sock`, for root and the group `gateway`, on one of the group's loops; or goes on with a socket that
    /// another process made.
    init(
        _ daemon: Daemon, _ chores: Chores, on group: MultiThreadedEventLoopGroup,
        _ socket: consuming LinuxIO.FileDescriptor? = nil
    ) throws(Failure) {
        name = daemon.configuration.interface.name
        path = RunDirectory.current.socket(of: name)
        log = daemon.log
        steward = daemon.steward
        desk = ControlDesk(daemon, chores)
        self.group = group
        let (channel, copy) = try open(socket)
        let loop = group.next()
        let statistics = desk.statistics
        let watch = try? loop.submit {
            let watch = EventWatch(statistics, daemon, on: loop)
            watch.start()
            RotationWatch(daemon).start(on: loop)
            return NIOLoopBound(watch, eventLoop: loop)
        }.wait()
        state.withLock { state in
            state.channel = channel
            state.copy = copy
            state.watch = watch
        }
    }

    /// The statistics that its clients get.
    var statistics: SharedStatistics { desk.statistics }

    /// Makes the socket anew when somebody removed its file, or the folder. That it can't is said. May block.
    func reopen() {
        state.withLock { state in
            guard !state.isClosed else { return }
            do throws(Failure) {
                let (channel, copy) = try open(nil)
                state.channel?.close(promise: nil)
                state.channel = channel
                state.copy = copy
                log.warning("\(path) had been removed and was made again")
            } catch {
                log.warning("\(path) was removed, gatewayctl will not work: \(error.message)")
            }
        }
    }

    /// Lends another descriptor of the socket.
    func copyDescriptor() -> CopiedDescriptor? { state.withLock { $0.copy } }

    /// Takes connections, or lets them wait.
    func setAccepting(_ accepts: Bool) {
        let channel = state.withLock { $0.channel }
        try? channel?.setOption(.autoRead, value: accepts).wait()
    }

    /// Closes the socket and removes its file, unless another process has taken it over; once.
    func close(keepingFile keeps: Bool = false) {
        let (channel, watch) = state.withLock { state in
            state.isClosed = true
            defer {
                state.channel = nil
                state.watch = nil
            }
            return (state.channel, state.watch)
        }
        if let watch { group.next().execute { watch.value.stop() } }
        connections.close()
        guard let channel else { return }
        if !keeps { steward.removeSocket(.control) }
        try? channel.close().wait()
    }

    private func listen() throws(Failure) -> LinuxIO.FileDescriptor {
        do throws(SystemError) {
            return try steward.listen(.control)
        } catch {
            guard error.number == EADDRINUSE else {
                throw Failure(error.number == EACCES ? .permission : .cantCreate, "\(error)")
            }
            throw Failure(.cantCreate, "another gateway named \(name) is running (it answers on \(path))")
        }
    }

    private func open(_ made: consuming LinuxIO.FileDescriptor?) throws(Failure) -> (any Channel, CopiedDescriptor) {
        let socket: LinuxIO.FileDescriptor
        if let made { socket = made } else { socket = try listen() }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(Self.mostConnections))
                }
            }
            .childChannelInitializer { [desk, connections] channel in
                connections.add(channel)
                return channel.eventLoop.makeCompletedFuture { try Self.configure(channel, ControlHandler(desk)) }
            }
        let copy = CopiedDescriptor(of: socket.raw)
        let descriptor = socket.release()
        do {
            return (try bootstrap.withBoundSocket(descriptor).wait(), copy)
        } catch {
            throw Failure(.unavailable, "serve on \(path): \(error)")
        }
    }

    /// Makes a connection one that takes a request within limits, and gives it to the handler.
    static func configure(_ channel: any Channel, _ handler: some ChannelInboundHandler) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(IdleStateHandler(readTimeout: .seconds(10)))
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false,
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(handler)
    }
}
