import Control
import LinuxIO
import NIOCore
import NIOPosix
import Steward
import Synchronization

/// WireGuard's configuration protocol on `/var/run/wireguard/NAME.sock`, for `wg`, `wg-quick` and every other tool.
final class UAPIServer: Sendable {
    private static let mostConnections = 128

    private let steward: Steward
    private let connections = OpenConnections()
    private let channel: any Channel
    private let isOpen = Atomic<Bool>(true)
    /// Another descriptor of the socket, for a process that takes over.
    private let copy: CopiedDescriptor

    /// Makes the socket, for root alone. One that nobody answers on is replaced. `make` is `UAPISocket.open` where there is no
    /// steward.
    static func open(
        _ name: InterfaceName, _ make: () throws(SystemError) -> LinuxIO.FileDescriptor
    ) throws(Failure) -> LinuxIO.FileDescriptor {
        do throws(SystemError) {
            return try make()
        } catch {
            guard error.number == EADDRINUSE else {
                throw Failure(error.number == EACCES ? .permission : .cantCreate, "\(error)")
            }
            throw Failure(
                .cantCreate, "another WireGuard named \(name) is running (it answers on \(UAPISocket.path(of: name)))")
        }
    }

    /// Serves on a socket from `open`, on one of the group's loops.
    init(
        _ daemon: Daemon, _ socket: consuming LinuxIO.FileDescriptor, on group: MultiThreadedEventLoopGroup
    ) throws(Failure) {
        steward = daemon.steward
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
            .childChannelInitializer { [connections] channel in
                connections.add(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(UAPIHandler(daemon, order.value))
                }
            }
        copy = CopiedDescriptor(of: socket.raw)
        let descriptor = socket.release()
        do {
            channel = try bootstrap.withBoundSocket(descriptor).wait()
        } catch {
            throw Failure(
                .unavailable, "serve on \(UAPISocket.path(of: daemon.configuration.interface.name)): \(error)")
        }
    }

    /// Lends another descriptor of the socket.
    func copyDescriptor() -> CopiedDescriptor? { copy.raw < 0 ? nil : copy }

    /// Takes connections, or lets them wait.
    func setAccepting(_ accepts: Bool) { try? channel.setOption(.autoRead, value: accepts).wait() }

    /// Closes the socket and removes its file, unless another process has taken it over; once.
    func close(keepingFile keeps: Bool = false) {
        guard isOpen.exchange(false, ordering: .relaxed) else { return }
        if !keeps { steward.removeSocket(.uapi) }
        connections.close()
        try? channel.close().wait()
    }
}
