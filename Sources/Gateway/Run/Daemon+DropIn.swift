import Control
import Glibc
import LinuxIO
import Steward

extension Daemon {
    /// Runs an interface as wireguard-go does: it has no addresses and no configuration but what comes over `socket`, and
    /// ends with the interface, with the socket's file, or by a signal. Calls `whenReady` when nothing can fail any more.
    func serve(
        _ device: consuming TunDevice, _ socket: consuming LinuxIO.FileDescriptor, whenReady: (Steward) -> Void
    ) throws(Failure) {
        // The last of all, since it removes the sockets.
        defer { steward.end() }
        do throws(Failure) {
            try confineAndServe(device, socket, whenReady: whenReady)
        } catch {
            steward.removeSocket(.uapi)
            throw error
        }
    }

    private func confineAndServe(
        _ device: consuming TunDevice, _ socket: consuming LinuxIO.FileDescriptor, whenReady: (Steward) -> Void
    ) throws(Failure) {
        let signals = try Failure.from(.unavailable) { () throws(SystemError) in try SignalFD([SIGTERM, SIGINT]) }
        Self.prepareProcess()
        let openings = Openings(device: device, sockets: try Self.openSockets(configuration, mark: 0))
        let confined = try confine(portIsKnown: false)
        try Failure.from(.unavailable) { () throws(SystemError) in try log.writeBehind() }
        defer { log.finish() }
        var interface = try RunningInterface(self, Hooks(steward))
        try interface.adopt(openings, socket, signals)
        tell(confined)
        whenReady(steward)
        let ending = try interface.serve(isDropIn: true)
        if case .handedOver = ending { return interface.leave() }
        try end(interface, ending, isDropIn: true, Hooks(steward))
    }
}
