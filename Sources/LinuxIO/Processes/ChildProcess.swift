import CTun
import Glibc

/// A copy of this process that goes its own way.
public struct ChildProcess: Sendable {
    private let number: pid_t

    /// Forks. The child, in which all signals are blocked, runs `body` and never returns. It keeps no descriptor but the
    /// first three and `kept`, and is called `title` in lists of processes. Only while there is one thread.
    public init(
        title: String, keeping kept: [Int32], _ body: () -> Never
    ) throws(SystemError) {
        let result = try SystemError.check(ctun_fork(), "start another process")
        guard result == 0 else {
            number = result
            return
        }
        Self.closeOthers(kept.sorted())
        Self.setTitle(title)
        body()
    }

    /// Waits for its end, so many milliseconds at most.
    public func waitForEnd(milliseconds: Int) {
        for _ in 0..<max(milliseconds, 1) {
            var status: Int32 = 0
            let found = unsafe waitpid(number, &status, WNOHANG)
            guard found == 0 || found < 0 && errno == EINTR else { return }
            usleep(1000)
        }
    }

    private static func closeOthers(_ sorted: [Int32]) { _ = ctun_close_others(sorted.span) }

    /// Writes it over the arguments.
    private static func setTitle(_ title: String) {
        let arguments = unsafe CommandLine.unsafeArgv
        guard let first = unsafe arguments[0] else { return }
        var end = unsafe first
        for index in 0..<Int(CommandLine.argc) {
            guard let word = unsafe arguments[index], unsafe word == end else { break }
            unsafe end = word + strlen(word) + 1
        }
        let space = unsafe UnsafeMutableRawBufferPointer(start: first, count: end - first)
        let bytes = Array(title.utf8)
        var span = unsafe space.bindMemory(to: UInt8.self).mutableSpan
        _ = ctun_name_process(&span, bytes.span)
    }
}
