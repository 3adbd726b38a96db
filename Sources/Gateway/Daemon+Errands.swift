import Control
import LinuxIO

extension Daemon {
    /// Runs an operator's commands while the loop goes on: they may well ask `wg` about the interface, which the loop
    /// answers. What else ended the loop meanwhile is returned; the first command that fails ends them, and is thrown.
    func run(
        _ commands: [String], _ key: String, _ hooks: Hooks, beside loop: inout DataLoop, _ chores: Chores,
        _ events: inout EventLog
    ) throws(Failure) -> DataLoop.Ending? {
        guard !commands.isEmpty else { return nil }
        try start(commands, key, hooks)
        var ending: DataLoop.Ending?
        while true {
            switch loop.run(self, chores, &events) {
            case .errandDone(let failure):
                if let failure { throw failure }
                return ending
            case let other: ending = other
            }
        }
    }

    private func start(_ lines: [String], _ key: String, _ hooks: Hooks) throws(Failure) {
        let errands = try Failure.from(.unavailable) { [commands] () throws(SystemError) in
            try WorkThread<[String]>(name: "hooks", capacity: 1) {
                { lines in
                    var failure: Failure?
                    do throws(Failure) { try hooks.run(lines, key) } catch { failure = error }
                    commands.post { [failure] loop, _ in loop.ending = .errandDone(failure) }
                }
            }
        }
        errands.post(lines)
    }
}
