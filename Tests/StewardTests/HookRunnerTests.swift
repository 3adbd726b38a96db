import Control
import LinuxIO
import Synchronization
import Testing

@testable import Steward

/// The operator's commands, and how long they may take.
@Suite("Hooks")
struct HookRunnerTests {
    @Test("a command on the way up that never ends is said to run still, and then ended; the start fails by it")
    func aHookThatHangs() throws {
        let lines = Mutex<[String]>([])
        var interface = Configuration.Interface(name: try #require(InterfaceName("t0")), privateKey: .unset)
        interface.preUp = ["exec sleep 1000"]
        let limits = HookRunner.Limits(down: 1, up: 60_000_000, reminder: 5_000_000)
        let hooks = try HookRunner(interface, { _, line in lines.withLock { $0.append(line) } }, limits)
        let end = try Mailbox<String?>(capacity: 1)
        hooks.start(.preUp) { _ = end.post($0) }
        end.wait(milliseconds: 20_000)
        #expect(end.takeAll() == ["PreUp took longer than 0 s and was ended: exec sleep 1000"])
        #expect(lines.withLock { $0.contains("PreUp still runs: exec sleep 1000") })
    }
}
