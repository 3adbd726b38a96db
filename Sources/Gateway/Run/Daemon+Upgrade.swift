import Control
import Glibc
import LinuxIO
import Steward
import Synchronization
import TunnelCore

/// What became of an upgrade.
enum UpgradeOutcome {
    case done(UpgradeReply)
    /// This process goes on; a line that says why.
    case refused(String)
}

extension Daemon {
    /// Milliseconds in which the new process must have read the file and given up its rights.
    private static let patience: Int32 = 30_000
    /// What a state may take beyond what it took a moment ago.
    private static let reserve = 64 << 10
    /// The largest state that is written or read.
    static let largestState = 1 << 30

    /// Has another process take the place of this one, with all that there is. On the chores' thread for files, so that no reload and no
    /// change of a key comes between. The file is read again before, since the other goes by what stands in it now.
    func upgrade(_ chores: Chores) -> UpgradeOutcome {
        if let problem = prepareFile(chores) { return .refused(problem) }
        let channel: MessageChannel
        switch steward.beginSuccessor() {
        case .begun(let begun): channel = begun
        case .refused(let line): return .refused(line)
        }
        let outcome = upgrade(to: channel)
        if case .refused(let line) = outcome {
            try? channel.send(SuccessionMessage.abort.bytes)
            steward.endSuccessor()
            log.warning("upgrade: \(line); this process goes on")
        }
        return outcome
    }

    /// Applies what changed in the file; why there can be no upgrade with it.
    private func prepareFile(_ chores: Chores) -> String? {
        guard !configuration.file.isEmpty else { return nil }
        guard let reload = reload(chores) else {
            return "\(configuration.file) has errors, or another Mode; see: gatewayctl reload"
        }
        for key in [ConfigurationKey.bridge, .hub] where reload.changes(key) {
            return "\(key.rawValue) changed in \(configuration.file) and takes a restart"
        }
        return nil
    }

    private func upgrade(to channel: MessageChannel) -> UpgradeOutcome {
        do throws(SystemError) {
            let (version, process) = try prepared(channel)
            let memory = try makeMemory()
            let handover = try Handover(to: channel, process: process, memory, kept(), self)
            doors.withLock { $0 }.setAccepting(false)
            let isPosted = commands.post { loop, _ in loop.handover = handover }
            switch isPosted ? handover.wait() : .refused("the data thread is busy") {
            case .refused(let line):
                doors.withLock { $0 }.setAccepting(true)
                return .refused(line)
            case .done(let nanoseconds):
                let microseconds = UInt64(max(nanoseconds, 0) / 1000)
                departure.withLock { $0 = handover }
                log.info(
                    "upgraded to \(version): process \(process) goes on, after \(microseconds) µs in which packets waited"
                )
                return .done(UpgradeReply(version: version, process: process, waitedMicroseconds: microseconds))
            }
        } catch {
            return .refused(
                error.number == ECONNRESET || error.number == EPIPE
                    ? "the new process ended and did not say why: is it a gateway that can take over?" : "\(error)")
        }
    }

    /// Waits until the new process is ready for what there is.
    private func prepared(_ channel: MessageChannel) throws(SystemError) -> (version: String, process: Int32) {
        switch SuccessionMessage(try channel.receive(milliseconds: Self.patience).bytes) {
        case .prepared(let version, let process): return (version, process)
        case .refused(_, let line): throw SystemError(line, number: 0)
        default: throw SystemError("understand the new process", number: EPROTO)
        }
    }

    private func makeMemory() throws(SystemError) -> SecretMemory {
        guard let needed = onLoop({ loop, _ in loop.tunnel.largestState }) else {
            throw SystemError("ask the data thread", number: EBUSY)
        }
        let size = min(needed + needed / 8 + Self.reserve, Self.largestState)
        for isSecret in [true, false] {
            if let file = try? steward.makeMemory(size: size, isSecret: isSecret),
                let memory = try? SecretMemory(adopting: file, atMost: Self.largestState)
            {
                return memory
            }
        }
        throw SystemError("make memory for the state", number: ENOMEM)
    }

    private func kept() -> KeptDaemon {
        let network = network.withLock { network -> KeptDaemon.KeptNetwork? in
            guard let mark = network?.plan.mark, let derived = network?.derived, let rules = network?.rules else {
                return nil
            }
            return KeptDaemon.KeptNetwork(mark: mark, derived: derived, rules: rules)
        }
        let metrics = configuration.interface.metricsListen
        return KeptDaemon(
            name: configuration.interface.name.description, started: started, nextEvent: log.history.next,
            metrics: metrics, network: network)
    }

    /// The last of this process once another goes on: it stays for the sake of its number where nobody was told of the other; its exit
    /// code.
    func depart() -> Int32 {
        guard let handover = departure.withLock({ $0 }) else { return 0 }
        guard handover.stays else {
            handover.passOn()
            return 0
        }
        // Nothing of what it knew is of use here any more.
        change(to: Configuration(file: "", interface: .init(name: configuration.interface.name, privateKey: .unset)))
        return handover.keep()
    }
}
