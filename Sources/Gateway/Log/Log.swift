import Control
import Glibc
import Keys
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

        var level: GatewayEvent.Level {
            switch self {
            case .error: .error
            case .warning: .warning
            case .info: .info
            }
        }
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
    /// All that was said lately, whatever the level.
    let history = EventHistory()

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
    func info(_ message: String) { write(.info, Subject(message), message) }
    /// Something is not as it should be, and goes on.
    func warning(_ message: String) { write(.warning, Subject(message), message) }
    /// Something ends.
    func error(_ message: String) { write(.error, Subject(message), message) }

    /// The same of a subject that programs want to know.
    func say(_ level: GatewayEvent.Level, _ subject: Subject, _ message: String) {
        let priority: Priority =
            switch level {
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
        write(priority, subject, message)
    }

    /// What a line is about.
    struct Subject {
        var kind: GatewayEvent.Kind
        var peer: String?
        var key: PublicKey?

        init(_ kind: GatewayEvent.Kind, peer: String? = nil, key: PublicKey? = nil) {
            self.kind = kind
            self.peer = peer
            self.key = key
        }

        /// The subject of a line that nobody has named one of.
        init(_ message: String) { kind = message.hasPrefix("reload") ? .reload : .log }
    }

    private func write(_ priority: Priority, _ subject: Subject, _ message: String) {
        history.append(
            GatewayEvent(
                subject.kind, priority.level, peer: subject.peer, publicKey: subject.key?.description, text: message))
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
