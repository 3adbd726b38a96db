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

    private let path: String
    private let channel: any Channel
    private let isOpen = Atomic<Bool>(true)

    /// Listens on `/run/gateway/NAME.sock`, for root and the group `gateway`, on one of the group's loops.
    init(_ daemon: Daemon, _ chores: Chores, on group: MultiThreadedEventLoopGroup) throws(Failure) {
        let directory = RunDirectory.current
        let name = daemon.configuration.interface.name
        path = directory.socket(of: name)
        _ = unsafe mkdir(directory.path, 0o755)
        let socket: LinuxIO.FileDescriptor
        do throws(SystemError) {
            socket = try UnixListener.open(path: path, mode: 0o660, group: "gateway")
        } catch {
            guard error.number == EADDRINUSE else {
                throw Failure(error.number == EACCES ? .permission : .cantCreate, "\(error)")
            }
            throw Failure(.cantCreate, "another gateway named \(name) is running (it answers on \(path))")
        }
        let desk = ControlDesk(daemon, chores)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(Self.mostConnections))
                }
            }
            .childChannelInitializer { channel in
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
            channel = try bootstrap.withBoundSocket(descriptor).wait()
        } catch {
            throw Failure(.unavailable, "serve on \(path): \(error)")
        }
    }

    /// Closes the socket and removes its file; once.
    func close() {
        guard isOpen.exchange(false, ordering: .relaxed) else { return }
        _ = unsafe unlink(path)
        try? channel.close().wait()
    }
}
