import Glibc
import LinuxIO
import Synchronization

/// Writes lines to standard error on a thread of its own, so that a reader who stops holds up nobody: a pipe that nobody
/// empties is full after 64 KB. What finds no room is counted and told as soon as something is written again.
final class LogWriter: Sendable {
    /// Lines that wait.
    private static let capacity = 1024

    private struct State {
        var thread: WorkThread<String>?
        var waiting = 0
        var missing = 0
    }

    private let state = Mutex(State())
    /// The line that says how many are missing.
    private let missing: @Sendable (Int) -> String

    init(missing: @escaping @Sendable (Int) -> String) { self.missing = missing }

    /// Until it is called, lines are written at once.
    func start() throws(SystemError) {
        let thread = try WorkThread<String>(name: "log", capacity: Self.capacity) { [self] in { self.take($0) } }
        state.withLock { $0.thread = thread }
    }

    func write(_ line: String) {
        let isTaken = state.withLock { state in
            guard let thread = state.thread else { return false }
            // What waits is in the thread's mailbox, or taken from it and not yet written.
            if state.waiting < Self.capacity, thread.post(line) { state.waiting += 1 } else { state.missing += 1 }
            return true
        }
        if !isTaken { Self.put(line) }
    }

    /// Waits until nothing waits, for a second at most.
    func finish() {
        let end = bootTime() + 1_000_000_000
        while state.withLock({ $0.waiting > 0 }), bootTime() < end { usleep(1000) }
    }

    private func take(_ line: String) {
        Self.put(line)
        let missing = state.withLock { state in
            state.waiting -= 1
            defer { state.missing = 0 }
            return state.missing
        }
        if missing > 0 { Self.put(self.missing(missing)) }
    }

    static func put(_ line: String) {
        var bytes = Array((line + "\n").utf8)
        _ = unsafe Glibc.write(STDERR_FILENO, &bytes, bytes.count)
    }
}
