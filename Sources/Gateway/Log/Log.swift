import Glibc
import LinuxIO

/// Lines on standard error that a person can use: one an event, none a packet, never a secret.
///
/// Under systemd each line begins with its priority (sd-daemon(3)), and the journal adds the time. Once `writeBehind` was
/// called, whoever says something waits for nobody.
struct Log: Sendable {
    private enum Priority: Int {
        case error = 3
        case warning = 4
        case info = 6
    }

    /// How much is written.
    enum Level: Int {
        case silent = 0
        case errors = 3
        case warnings = 4
        case information = 6

        /// The level that `LOG_LEVEL` asks for, in the words of wireguard-go; `nil` if it is not set or another.
        static var wanted: Level? {
            guard let value = unsafe getenv("LOG_LEVEL") else { return nil }
            switch unsafe String(cString: value) {
            case "verbose", "debug", "info": return .information
            case "error": return .errors
            case "silent": return .silent
            default: return nil
            }
        }
    }

    /// The interface.
    private let name: String
    private let level: Level
    private let isJournal: Bool
    private let writer: LogWriter

    /// `level` is what holds unless `LOG_LEVEL` says otherwise.
    init(_ name: String, _ level: Level) {
        self.name = name
        self.level = Level.wanted ?? level
        let isJournal = unsafe getenv("JOURNAL_STREAM") != nil
        self.isJournal = isJournal
        writer = LogWriter { Self.line("\($0) lines are missing here: nobody read them", .warning, name, isJournal) }
    }

    /// From now on a thread of its own writes. It inherits the caller's mask of signals.
    func writeBehind() throws(SystemError) { try writer.start() }

    /// Waits until all that was said is written, for a second at most.
    func finish() { writer.finish() }

    /// Something went as it should.
    func info(_ message: String) { write(.info, message) }
    /// Something is not as it should be, and goes on.
    func warning(_ message: String) { write(.warning, message) }
    /// Something ends.
    func error(_ message: String) { write(.error, message) }

    private func write(_ priority: Priority, _ message: String) {
        guard priority.rawValue <= level.rawValue else { return }
        writer.write(Self.line(message, priority, name, isJournal))
    }

    private static func line(_ message: String, _ priority: Priority, _ name: String, _ isJournal: Bool) -> String {
        let line = message.split { $0.isNewline }.joined(separator: " ")
        return isJournal ? "<\(priority.rawValue)>\(name): \(line)" : "\(name): \(line)"
    }

    /// One line, in one write; nothing if nobody has read for a second what was written before.
    static func print(_ line: String) {
        var ready = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&ready, 1, 1000) != 0 else { return }
        LogWriter.put(line)
    }
}
