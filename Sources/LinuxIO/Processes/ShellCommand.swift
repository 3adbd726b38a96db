import CTun
import Glibc

/// A command of the shell's that runs beside the caller, who may end it.
///
/// It has a process group of its own, so that it can be ended with all that it has begun; but at a terminal it stays in
/// the caller's, since only there may it ask somebody something.
public struct ShellCommand: ~Copyable {
    /// What became of a command.
    public struct Ending: Sendable, Equatable {
        /// Its exit status, or 128 and the number of the signal that ended it.
        public let status: Int32
        /// Why it was ended, if it did not end by itself.
        public let cause: Cause?

        public init(status: Int32, cause: Cause? = nil) {
            self.status = status
            self.cause = cause
        }
    }

    /// Somebody who wants to hear that a command still runs.
    public struct Reminder {
        /// Nanoseconds.
        public let interval: Int64
        public let tell: () -> Void

        public init(every interval: Int64, _ tell: @escaping () -> Void) {
            self.interval = interval
            self.tell = tell
        }
    }

    /// Why a command is ended.
    public enum Cause: Sendable { case interrupted, late }

    /// How long a command may take to end, once it is told to, before it is killed.
    public static let grace: Int64 = 5_000_000_000

    private let process: pid_t
    /// Whom signals go to: the process, or all of its group.
    private let target: pid_t
    /// Readable when it has ended; -1 from a kernel that lacks this.
    private let end: Int32

    /// Starts `/bin/sh -c text`, with the caller's environment and descriptors and no signal blocked.
    public init(_ text: String) throws(SystemError) {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        let isAlone = isatty(STDIN_FILENO) == 0
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | (isAlone ? POSIX_SPAWN_SETPGROUP : 0)
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        let words: [String] = ["sh", "-c", text]
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var process = pid_t()
        let failure = unsafe posix_spawn(&process, "/bin/sh", nil, &attributes, &arguments, environ)
        guard failure == 0 else { throw SystemError("run /bin/sh", number: failure) }
        self.process = process
        target = isAlone ? -process : process
        end = ctun_process_open(process)
    }

    /// Waits until it ends. It is told to end (SIGTERM) when `interruption` is signalled or after `limit` nanoseconds, and
    /// killed when that happens again or after `grace`. While it runs, `reminder` is told at its intervals.
    public consuming func wait(
        limit: Int64?, grace: Int64 = ShellCommand.grace, interruption: borrowing EventFD, _ reminder: Reminder? = nil
    ) -> Ending {
        var cause: Cause?
        var isKilled = false
        var deadline = limit.map { bootTime() + $0 } ?? .max
        var reminding = reminder.map { bootTime() + $0.interval } ?? .max
        while true {
            var status: Int32 = 0
            let found = unsafe waitpid(process, &status, WNOHANG)
            if found == process { return Ending(status: Self.status(status), cause: cause) }
            if found < 0, errno != EINTR { return Ending(status: 127, cause: cause) }
            sleep(until: min(deadline, reminding), interruption)
            if let reminder, bootTime() >= reminding {
                reminding = bootTime() + reminder.interval
                reminder.tell()
            }
            let isInterrupted = interruption.take()
            guard isInterrupted || bootTime() >= deadline else { continue }
            // What even a kill does not end hangs in the kernel.
            if isKilled { return Ending(status: 128 + SIGKILL, cause: cause) }
            isKilled = cause != nil
            cause = cause ?? (isInterrupted ? .interrupted : .late)
            kill(target, isKilled ? SIGKILL : SIGTERM)
            // One that was stopped could do nothing about it.
            kill(target, SIGCONT)
            deadline = bootTime() + grace
        }
    }

    deinit { if end >= 0 { close(end) } }

    /// Sleeps until it has ended, until it is to be ended, or until `deadline`.
    private func sleep(until deadline: Int64, _ interruption: borrowing EventFD) {
        var waiting = [
            pollfd(fd: end, events: Int16(POLLIN), revents: 0),
            pollfd(fd: interruption.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let left = deadline == .max ? Int64.max : max(deadline - bootTime() + 999_999, 0) / 1_000_000
        // Without a descriptor that tells, it is looked after often.
        let longest: Int64 = end >= 0 ? 60_000 : 50
        _ = unsafe poll(&waiting, 2, Int32(min(left, longest)))
    }

    private static func status(_ status: Int32) -> Int32 {
        status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }
}
