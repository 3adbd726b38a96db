import Control
import Glibc
import LinuxIO
import Synchronization

/// The operator's own commands around the life of the interface: `PreUp`, `PostUp`, `PreDown`, `PostDown`, and what stands in
/// the file in other words, `DNS`.
///
/// They run on a thread of their own, a list at a time; which they are is known from the start.
final class HookRunner: Sendable {
    /// How long commands may take, in nanoseconds.
    struct Limits {
        /// On the way down: two of them end before systemd loses its patience.
        var down: Int64 = 30_000_000_000
        /// On the way up, where one may wait for something.
        var up: Int64 = 900_000_000_000
        /// After how long it is said, and then again and again, that one on the way up still runs.
        var reminder: Int64 = 60_000_000_000
    }

    /// A line of the shell's, and the key that asks for it.
    private struct Command {
        let key: String
        let text: String
        var cure = ""
    }

    private let lists: Mutex<[HookMoment: [Command]]>
    private let log: Steward.Log
    private let limits: Limits
    private let interruption: EventFD
    private let isOver = Mutex(false)
    private let isRunning = Mutex(false)

    init(
        _ interface: Configuration.Interface, _ log: @escaping Steward.Log, _ limits: Limits = Limits()
    ) throws(SystemError) {
        self.log = log
        self.limits = limits
        interruption = try EventFD()
        lists = Mutex(Self.lists(interface))
    }

    /// The commands of another configuration are what is run from now on.
    func adopt(_ interface: Configuration.Interface) { lists.withLock { $0 = Self.lists(interface) } }

    /// Hands the name servers to the system, or takes them back if there are none; why that failed.
    func setNameServers(_ interface: Configuration.Interface) -> String? {
        let setting = DNS.setting(interface)
        let lines = setting.isEmpty ? ["resolvconf -d %i -f"] : setting
        for line in lines {
            let text = line.replacing("%i", with: interface.name.description)
            if let failure = run(Command(key: "DNS", text: text, cure: Self.cureOfDNS), .postDown) { return failure }
        }
        return nil
    }

    private static let cureOfDNS = "; is resolvconf installed, and may it write /etc/resolv.conf?"

    private static func lists(_ interface: Configuration.Interface) -> [HookMoment: [Command]] {
        let name = interface.name.description
        let own = { (key: String, lines: [String]) in
            lines.map { Command(key: key, text: $0.replacing("%i", with: name)) }
        }
        let ofDNS = { (lines: [String]) in
            lines.map {
                Command(
                    key: "DNS", text: $0.replacing("%i", with: name),
                    cure: cureOfDNS)
            }
        }
        return [
            .preUp: own("PreUp", interface.preUp),
            .postUp: ofDNS(DNS.setting(interface)) + own("PostUp", interface.postUp),
            .preDown: own("PreDown", interface.preDown),
            .failure: interface.postUp.isEmpty ? [] : ofDNS(DNS.unsetting(interface)),
            .postDown: ofDNS(DNS.unsetting(interface)) + own("PostDown", interface.postDown),
        ]
    }

    /// Begins with the commands of that moment, one after the other. Of `PreUp` and `PostUp` the first that fails ends them; of
    /// the others each gets its turn and so much time. `end` is told the failure, on another thread.
    func start(_ moment: HookMoment, _ end: @escaping @Sendable (String?) -> Void) {
        interruption.take()
        guard !lists.withLock({ $0[moment, default: []].isEmpty }) else { return end(nil) }
        let isFree = isRunning.withLock { isRunning in
            defer { isRunning = true }
            return !isRunning
        }
        guard isFree else { return end("commands run already") }
        do throws(SystemError) {
            try startThread("commands") { [self] in
                let failure = run(moment)
                isRunning.withLock { $0 = false }
                end(failure)
            }
        } catch {
            isRunning.withLock { $0 = false }
            end("\(error)")
        }
    }

    /// Ends the command that runs.
    func interrupt() { interruption.signal() }

    /// Ends the command that runs, waits for that, and begins no other.
    func stop() {
        isOver.withLock { $0 = true }
        interrupt()
        while isRunning.withLock({ $0 }) { usleep(10_000) }
    }

    private func run(_ moment: HookMoment) -> String? {
        for command in lists.withLock({ $0[moment, default: []] }) {
            if isOver.withLock({ $0 }) { return nil }
            guard let failure = run(command, moment) else { continue }
            switch moment {
            case .preUp, .postUp: return failure
            case .preDown, .postDown, .failure: log(.warning, failure)
            }
        }
        return nil
    }

    private func run(_ command: Command, _ moment: HookMoment) -> String? {
        let (key, text) = (command.key, command.text)
        log(.information, "\(key): \(text)")
        var ending = ShellCommand.Ending(status: 127)
        let isGoingUp = moment == .preUp || moment == .postUp
        let limit = isGoingUp ? limits.up : limits.down
        do throws(SystemError) {
            let process = try ShellCommand(text)
            let reminder = ShellCommand.Reminder(every: limits.reminder) { [log] in
                log(.warning, "\(key) still runs: \(text)")
            }
            ending = process.wait(limit: limit, interruption: interruption, isGoingUp ? reminder : nil)
        } catch {
            log(.warning, "\(error)")
        }
        switch ending.cause {
        case .interrupted: return "\(key) was interrupted: \(text)"
        case .late: return "\(key) took longer than \(Self.seconds(limit)) and was ended: \(text)"
        case nil: break
        }
        guard ending.status == 0 else {
            return "\(key) failed with status \(ending.status): \(text)\(command.cure)"
        }
        return nil
    }
}

extension HookRunner {
    private static func seconds(_ nanoseconds: Int64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        return seconds >= 120 ? "\(seconds / 60) min" : "\(seconds) s"
    }
}

extension String {
    /// The text with `other` in the place of every `pattern`.
    fileprivate func replacing(_ pattern: String, with other: String) -> String {
        var result = ""
        var rest = Substring(self)
        while let range = rest.firstRange(of: pattern) {
            result += rest[..<range.lowerBound] + other
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
