import Control
import Glibc
import LinuxIO
import NIOCore
import NIOPosix
import Synchronization

/// WireGuard's configuration protocol on `/var/run/wireguard/NAME.sock`, for `wg`, `wg-quick` and every other tool.
final class UAPIServer: Sendable {
    private static let directory = "/var/run/wireguard"
    private static let mostConnections = 128

    private let path: String
    private let channel: any Channel
    private let isOpen = Atomic<Bool>(true)

    static func path(of name: InterfaceName) -> String { "\(directory)/\(name).sock" }

    /// Makes the socket, for root alone. One that nobody answers on is replaced.
    static func open(_ name: InterfaceName) throws(Failure) -> LinuxIO.FileDescriptor {
        _ = unsafe mkdir(directory, 0o755)
        do throws(SystemError) {
            return try UnixListener.open(path: path(of: name), mode: 0o600, group: nil)
        } catch {
            guard error.number == EADDRINUSE else {
                throw Failure(error.number == EACCES ? .permission : .cantCreate, "\(error)")
            }
            throw Failure(
                .cantCreate, "another WireGuard named \(name) is running (it answers on \(path(of: name)))")
        }
    }

    /// Serves on a socket from `open`, on one of the group's loops.
    init(
        _ daemon: Daemon, _ socket: consuming LinuxIO.FileDescriptor, on group: MultiThreadedEventLoopGroup
    ) throws(Failure) {
        path = Self.path(of: daemon.configuration.interface.name)
        let loop = group.next()
        let order = NIOLoopBoundBox.makeBoxSendingValue(UAPIOrder(loop), eventLoop: loop)
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(Self.mostConnections))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(UAPIHandler(daemon, order.value))
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
