import Glibc
import LinuxIO
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

        @Test("a stopped command ends as well")
        func stopped() throws {
            let interruption = try EventFD()
            let command = try ShellCommand("kill -STOP $$; sleep 1000")
            let ending = command.wait(limit: 100_000_000, interruption: interruption)
            #expect(ending == .init(status: 128 + SIGTERM, cause: .late))
        }
    }
}
