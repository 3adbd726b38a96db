import Glibc

/// Lines on standard error that a person can use: one an event, none a packet, never a secret.
///
/// Under systemd each line begins with its priority (sd-daemon(3)), and the journal adds the time.
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

        /// What `LOG_LEVEL` asks for, in the words of wireguard-go; `nil` if it is not set or another.
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

    /// `level` is what holds unless `LOG_LEVEL` says otherwise.
    init(_ name: String, _ level: Level) {
        self.name = name
        self.level = Level.wanted ?? level
        isJournal = unsafe getenv("JOURNAL_STREAM") != nil
    }

    /// Something went as it should.
    func info(_ message: String) { write(.info, message) }
    /// Something is not as it should be, and goes on.
    func warning(_ message: String) { write(.warning, message) }
    /// Something ends.
    func error(_ message: String) { write(.error, message) }

    private func write(_ priority: Priority, _ message: String) {
        guard priority.rawValue <= level.rawValue else { return }
        let line = message.split { $0.isNewline }.joined(separator: " ")
        Self.print(isJournal ? "<\(priority.rawValue)>\(name): \(line)" : "\(name): \(line)")
    }

    /// One line, in one write.
    static func print(_ line: String) {
        var bytes = Array((line + "\n").utf8)
        _ = unsafe Glibc.write(STDERR_FILENO, &bytes, bytes.count)
    }
}
