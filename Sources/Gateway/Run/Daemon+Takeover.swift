import Control
import Glibc
import Keys
import LinuxIO
import Steward
import TunnelCore

extension Daemon {
    /// Takes the place of another process of this interface, which waits at the other end of the channel. `key` is that of the file, `nil`
    /// for a drop-in, which has none.
    ///
    /// The state is read when the rights are given up: what made it reads the network.
    func takeOver(_ key: PrivateKey?, from channel: MessageChannel) throws(Failure) {
        let signals = try Failure.from(.unavailable) { () throws(SystemError) in
            try SignalFD(key == nil ? [SIGTERM, SIGINT] : [SIGTERM, SIGINT, SIGHUP])
        }
        Self.prepareProcess()
        defer { steward.end() }
        let early = EarlyOpenings(configuration)
        let confined = try confine(portIsKnown: key != nil)
        try Failure.from(.unavailable) { () throws(SystemError) in try log.writeBehind() }
        defer { log.finish() }
        // What takes a moment, while the other still carries packets.
        _ = ChaChaImplementation.fastest
        let hooks = Hooks(steward)
        var interface = try RunningInterface(self, hooks)
        let inherited = try Inherited(from: channel)
        try interface.takeOver(inherited, key, early, signals)
        tell(confined)
        let ending = try interface.serve(isDropIn: key == nil)
        if case .handedOver = ending { return interface.leave() }
        try end(interface, ending, isDropIn: key == nil, hooks)
    }

    /// Takes over what was made in the network.
    func adopt(_ kept: KeptDaemon, _ index: UInt32) throws(Failure) {
        adoptStart(kept.started)
        log.history.begin(at: kept.nextEvent)
        guard let made = kept.network else { return }
        do throws(SystemError) {
            store(try Network(adopting: made, index: index, configuration, steward, log))
        } catch {
            throw Failure(.unavailable, error)
        }
    }

    /// Ends an interface and says why.
    func end(
        _ interface: consuming RunningInterface, _ ending: Course.Ending?, isDropIn: Bool, _ hooks: Hooks
    ) throws(Failure) {
        if isDropIn {
            switch ending {
            case .signal: log.info("down")
            case .deviceGone: log.info("the interface was deleted: down")
            case .socketGone: log.info("the socket's file was removed: down")
            case .failed, .stewardGone, .handedOver, nil: break
            }
        }
        interface.end()
        if case .stewardGone = ending { throw Hooks.loss }
        guard !isDropIn else { return }
        _ = try hooks.run(.postDown)
        log.info("down")
        // Somebody else ended it: a service that is to run is started again.
        if case .deviceGone = ending {
            throw Failure(.unavailable, "the interface \(configuration.interface.name) was deleted while it ran")
        }
    }
}
