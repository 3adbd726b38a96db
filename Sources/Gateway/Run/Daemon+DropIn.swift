import Control
import Glibc
import LinuxIO

extension Daemon {
    /// Runs an interface as wireguard-go does: it has no addresses and no configuration but what comes over `socket`, and
    /// ends with the interface, with the socket's file, or by a signal. Calls `whenReady` when nothing can fail any more.
    func serve(
        _ device: consuming TunDevice, _ socket: consuming LinuxIO.FileDescriptor, whenReady: () -> Void
    ) throws(Failure) {
        let signals = try Failure.from(.unavailable) { () throws(SystemError) in try SignalFD([SIGTERM, SIGINT]) }
        Self.prepareProcess()
        try Failure.from(.unavailable) { () throws(SystemError) in try log.writeBehind() }
        defer { log.finish() }
        var interface = try RunningInterface(self, Hooks(configuration.interface, log))
        try interface.adopt(device, socket, signals)
        whenReady()
        switch try interface.serve(isDropIn: true) {
        case .signal: log.info("down")
        case .deviceGone: log.info("the interface was deleted: down")
        case .socketGone: log.info("the socket's file was removed: down")
        case .failed, nil: break
        }
        interface.end()
    }
}
