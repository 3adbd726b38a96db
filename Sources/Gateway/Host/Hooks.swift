import Control
import Glibc
import LinuxIO
import Synchronization

/// The operator's own commands around the life of the interface: `PreUp`, `PostUp`, `PreDown`, `PostDown`, and what stands in
/// the file in other words, `DNS`.
///
/// They run on a thread of their own, a list at a time, and its end is an event: `descriptor` becomes readable.
final class Hooks: Sendable {
    enum Moment: String {
        case preUp = "PreUp", postUp = "PostUp", preDown = "PreDown", postDown = "PostDown"
        /// A command of `PostUp` failed: name servers are not to stay behind.
        case failure = "Failure"
    }

    private let runner: Runner
    /// There is none where there is nothing to run.
    private let thread: WorkThread<Moment>?

    init(_ interface: Configuration.Interface, _ log: Log) throws(Failure) {
        do throws(SystemError) {
            let runner = try Runner(interface, log)
            self.runner = runner
            thread =
                runner.isIdle ? nil : try WorkThread(name: "hooks", capacity: 1) { { moment in runner.run(moment) } }
        } catch {
            throw Failure(.unavailable, error)
        }
    }

    /// Begins with the commands of that moment, one after the other. Of `PreUp` and `PostUp` the first that fails ends them;
    /// of the others each gets its turn and so much time.
    func start(_ moment: Moment) {
        runner.interruption.take()
        if thread?.post(moment) != true { runner.ends.post(nil) }
    }

    /// Ends the command that runs.
    func interrupt() { runner.interruption.signal() }

    /// Readable when commands that were started are done.
    var descriptor: Int32 { runner.ends.descriptor }

    /// The outcome of the list; `nil` if it is not done.
    func takeEnd() -> End? { runner.ends.takeAll().first.map { End(failure: $0) } }

    struct End {
        let failure: Failure?
    }

    /// Runs the commands of that moment while there is no loop yet, or no longer. A signal interrupts the one that runs;
    /// true if one came.
    func run(_ moment: Moment) throws(Failure) -> Bool {
        var wasInterrupted = false
        var failure: Failure?
        do throws(SystemError) {
            // SIGHUP waits for the loop.
            let signals = try SignalFD([SIGTERM, SIGINT])
            var epoll = try Epoll()
            try epoll.add(signals.descriptor, token: 0)
            try epoll.add(descriptor, token: 1)
            start(moment)
            while true {
                if let end = takeEnd() {
                    failure = end.failure
                    break
                }
                _ = epoll.wait(milliseconds: -1)
                if signals.read() != nil {
                    wasInterrupted = true
                    interrupt()
                }
            }
        } catch {
            throw Failure(.unavailable, error)
        }
        if let failure, !wasInterrupted { throw failure }
        return wasInterrupted
    }
}

/// The thread's work.
private final class Runner: Sendable {
    /// How long a command on the way down may take, in nanoseconds: two of them end before systemd loses its patience.
    private static let limit: Int64 = 30_000_000_000

    let ends: Mailbox<Failure?>
    let interruption: EventFD
    /// A line of the shell's, and the key that asks for it.
    private struct Command {
        let key: String
        let text: String
        var cure = ""
    }

    private let commands: [Hooks.Moment: [Command]]
    private let log: Log

    init(_ interface: Configuration.Interface, _ log: Log) throws(SystemError) {
        ends = try Mailbox(capacity: 1)
        interruption = try EventFD()
        self.log = log
        let name = interface.name.description
        let own = { (moment: Hooks.Moment, lines: [String]) in
            lines.map { Command(key: moment.rawValue, text: Self.replace("%i", with: name, in: $0)) }
        }
        let ofDNS = { (lines: [String]) in
            lines.map {
                Command(
                    key: "DNS", text: Self.replace("%i", with: name, in: $0),
                    cure: "; is resolvconf installed, and may it write /etc/resolv.conf?")
            }
        }
        commands = [
            .preUp: own(.preUp, interface.preUp),
            .postUp: ofDNS(DNS.setting(interface)) + own(.postUp, interface.postUp),
            .preDown: own(.preDown, interface.preDown),
            .failure: interface.postUp.isEmpty ? [] : ofDNS(DNS.unsetting(interface)),
            .postDown: ofDNS(DNS.unsetting(interface)) + own(.postDown, interface.postDown),
        ]
    }

    var isIdle: Bool { commands.values.allSatisfy(\.isEmpty) }

    func run(_ moment: Hooks.Moment) {
        var failure: Failure?
        for command in commands[moment, default: []] {
            do throws(Failure) {
                try run(command, moment)
            } catch {
                switch moment {
                case .preUp, .postUp: failure = error
                case .preDown, .postDown, .failure: log.warning(error.message)
                }
            }
            if failure != nil { break }
        }
        ends.post(failure)
    }

    private func run(_ command: Command, _ moment: Hooks.Moment) throws(Failure) {
        let (key, text) = (command.key, command.text)
        log.info("\(key): \(text)")
        var ending = ShellCommand.Ending(status: 127)
        do throws(SystemError) {
            let process = try ShellCommand(text)
            let mayTakeLong = moment == .preUp || moment == .postUp
            ending = process.wait(limit: mayTakeLong ? nil : Self.limit, interruption: interruption)
        } catch {
            log.warning("\(error)")
        }
        switch ending.cause {
        case .interrupted: throw Failure(.unavailable, "\(key) was interrupted: \(text)")
        case .late: throw Failure(.unavailable, "\(key) took longer than 30 s and was ended: \(text)")
        case nil: break
        }
        guard ending.status == 0 else {
            throw Failure(.unavailable, "\(key) failed with status \(ending.status): \(text)\(command.cure)")
        }
    }

    private static func replace(_ pattern: String, with text: String, in command: String) -> String {
        var result = ""
        var rest = Substring(command)
        while let range = rest.firstRange(of: pattern) {
            result += rest[..<range.lowerBound] + text
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
