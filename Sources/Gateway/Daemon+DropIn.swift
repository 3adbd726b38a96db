import Control
import Glibc
import LinuxIO
import NIOCore
import NIOPosix
import Synchronization
import TunnelCore

extension Daemon {
    /// Runs an interface as wireguard-go does: it has no addresses and no configuration but what comes over `socket`, and
    /// ends with the interface, with the socket's file, or by a signal. Calls `whenReady` when nothing can fail any more.
    func serve(
        _ device: consuming TunDevice, _ socket: consuming LinuxIO.FileDescriptor, whenReady: () -> Void
    ) throws(Failure) {
        let configuration = configuration
        let signals = try Failure.from(.unavailable) { () throws(SystemError) in try SignalFD([SIGTERM, SIGINT]) }
        Self.prepareProcess()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let uapi = try UAPIServer(self, socket, on: group)
        defer { uapi.close() }
        let chores = try Failure.from(.unavailable) { () throws(SystemError) in try Chores(self) }
        let server = serveControl(chores, on: group)
        defer { server?.close() }
        let sockets = try Self.openSockets(configuration, mark: 0)
        var loop = try makeLoop(device, sockets, signals)
        loop.setOffloads(configuration.interface.offloads)
        try loop.watchFile(UAPIServer.path(of: configuration.interface.name))
        if let server { loop.watch(server) }
        note(loop)
        log.info("ready: UDP port \(loop.sockets.port)")
        whenReady()

        var events = EventLog(self, chores)
        var course = Course(try Hooks(configuration.interface, log), log, isDropIn: true)
        try Failure.from(.unavailable) { () throws(SystemError) in try loop.run(&course, chores, &events) }
        switch course.ending {
        case .signal: log.info("down")
        case .deviceGone: log.info("the interface was deleted: down")
        case .socketGone: log.info("the socket's file was removed: down")
        case .failed, nil: break
        }
        // Before the interface goes: whoever waits for its end may make both anew at once.
        uapi.close()
        server?.close()
        loop.close()
    }

    /// Statistics and the rest of `gatewayctl`: what wireguard-go does not have and its users can do without.
    private func serveControl(_ chores: Chores, on group: MultiThreadedEventLoopGroup) -> ControlServer? {
        do throws(Failure) {
            return try ControlServer(self, chores, on: group)
        } catch {
            log.warning("gatewayctl will not work: \(error.message)")
            return nil
        }
    }
}

extension DataLoop {
    /// Ends the loop when the file is no longer there.
    fileprivate mutating func watchFile(_ path: String) throws(Failure) {
        do throws(SystemError) {
            let watch = try FileWatch(path: path)
            try epoll.add(watch.descriptor, token: Source.socketFile.rawValue)
            socketFile = consume watch
        } catch {
            throw Failure(.unavailable, error)
        }
    }
}
