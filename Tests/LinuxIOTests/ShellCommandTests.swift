import Glibc
import LinuxIO
import Synchronization
import Testing

extension LinuxIOTests {
    @Suite struct ShellCommands {
        @Test(
            "a command that ends by itself tells its status",
            arguments: [("true", 0), ("exit 3", 3), ("kill -9 $$", 137)])
        func status(text: String, status: Int32) throws {
            let interruption = try EventFD()
            let command = try ShellCommand(text)
            let ending = command.wait(limit: nil, interruption: interruption)
            #expect(ending == .init(status: status))
        }

        @Test("a command that is interrupted ends with all that it has begun")
        func interrupted() throws {
            let interruption = try EventFD()
            let command = try ShellCommand("sleep 1000; true")
            interruption.signal()
            let ending = command.wait(limit: nil, interruption: interruption)
            #expect(ending == .init(status: 128 + SIGTERM, cause: .interrupted))
        }

        @Test("a command that has taken too long is ended, and may still do what it has to")
        func late() throws {
            let interruption = try EventFD()
            let command = try ShellCommand("trap 'exit 5' TERM; while :; do sleep 0.01; done")
            let ending = command.wait(limit: 300_000_000, interruption: interruption)
            #expect(ending == .init(status: 5, cause: .late))
        }

        @Test("a command that does not want to end is killed")
        func stubborn() throws {
            let interruption = try EventFD()
            let command = try ShellCommand("trap '' TERM; while :; do sleep 0.01; done")
            let ending = command.wait(limit: 300_000_000, grace: 10_000_000, interruption: interruption)
            #expect(ending == .init(status: 128 + SIGKILL, cause: .late))
        }

        @Test("who wants to hear that a command still runs does, again and again")
        func reminders() throws {
            let told = Mutex(0)
            let end = "/tmp/gateway-reminded-\(getpid())"
            let reminder = ShellCommand.Reminder(every: 5_000_000) {
                let count = told.withLock { count in
                    count += 1
                    return count
                }
                // The third time lets it end.
                if count == 3 { close(unsafe open(end, O_CREAT | O_WRONLY, 0o600)) }
            }
            let interruption = try EventFD()
            let command = try ShellCommand("until [ -e \(end) ]; do sleep 0.01; done; rm \(end)")
            let ending = command.wait(limit: nil, interruption: interruption, reminder)
            #expect(ending == .init(status: 0))
            #expect(told.withLock { $0 } >= 3)
        }

        @Test("a stopped command ends as well")
        func stopped() throws {
            let interruption = try EventFD()
            let command = try ShellCommand("kill -STOP $$; sleep 1000")
            let ending = command.wait(limit: 100_000_000, interruption: interruption)
            #expect(ending == .init(status: 128 + SIGTERM, cause: .late))
        }
    }
}
