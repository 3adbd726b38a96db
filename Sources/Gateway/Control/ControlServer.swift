import Control
import Glibc
import LinuxIO
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// HTTP/1.1 on the interface's control socket, on an event-loop thread beside the data thread.
final class ControlServer: Sendable {
    private static let mostConnections = 64
    /// How long a connection may last, whatever is still heard of it.
    private static let patience = TimeAmount.seconds(60)

    private struct State {
        var channel: (any Channel)?
        var isClosed = false
    }

    let path: String
    private let log: Log
    private let desk: ControlDesk
    private let name: InterfaceName
    private let group: MultiThreadedEventLoopGroup
    private let state = Mutex(State())

    /// Listens on `/run/gateway/NAME.sock`, for root and the group `gateway`, on one of the group's loops.
    init(_ daemon: Daemon, _ chores: Chores, on group: MultiThreadedEventLoopGroup) throws(Failure) {
        name = daemon.configuration.interface.name
        path = RunDirectory.current.socket(of: name)
        log = daemon.log
        desk = ControlDesk(daemon, chores)
        self.group = group
        let channel = try open()
        state.withLock { $0.channel = channel }
    }

    /// Makes the socket anew when somebody removed its file, or the folder. That it can't is said. May block.
    func reopen() {
        state.withLock { state in
            guard !state.isClosed else { return }
            do throws(Failure) {
                let channel = try open()
                state.channel?.close(promise: nil)
                state.channel = channel
                log.warning("\(path) had been removed and was made again")
            } catch {
                log.warning("\(path) was removed, gatewayctl will not work: \(error.message)")
            }
        }
    }

    /// Closes the socket and removes its file; once.
    func close() {
        let channel = state.withLock { state in
            state.isClosed = true
            defer { state.channel = nil }
            return state.channel
        }
        guard let channel else { return }
        _ = unsafe unlink(path)
        try? channel.close().wait()
    }

    private func open() throws(Failure) -> any Channel {
        _ = unsafe mkdir(TextFile.folder(of: path), 0o755)
        let socket: LinuxIO.FileDescriptor
        do throws(SystemError) {
            socket = try UnixListener.open(path: path, mode: 0o660, group: "gateway")
        } catch {
            guard error.number == EADDRINUSE else {
                throw Failure(error.number == EACCES ? .permission : .cantCreate, "\(error)")
            }
            throw Failure(.cantCreate, "another gateway named \(name) is running (it answers on \(path))")
        }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(Self.mostConnections))
                }
            }
            .childChannelInitializer { [desk] channel in
                let end = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
                channel.closeFuture.whenComplete { _ in end.cancel() }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(IdleStateHandler(readTimeout: .seconds(10)))
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(ControlHandler(desk))
                }
            }
        let descriptor = socket.release()
        do {
            return try bootstrap.withBoundSocket(descriptor).wait()
        } catch {
            throw Failure(.unavailable, "serve on \(path): \(error)")
        }
    }
}
