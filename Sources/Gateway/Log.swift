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

    /// The interface.
    private let name: String
    private let isJournal: Bool

    init(_ name: String) {
        self.name = name
        isJournal = unsafe getenv("JOURNAL_STREAM") != nil
    }

    /// Something went as it should.
    func info(_ message: String) { write(.info, message) }
    /// Something is not as it should be, and goes on.
    func warning(_ message: String) { write(.warning, message) }
    /// Something ends.
    func error(_ message: String) { write(.error, message) }

    private func write(_ priority: Priority, _ message: String) {
        let line = message.split { $0.isNewline }.joined(separator: " ")
        Self.print(isJournal ? "<\(priority.rawValue)>\(name): \(line)" : "\(name): \(line)")
    }

    /// One line, in one write.
    static func print(_ line: String) {
        var bytes = Array((line + "\n").utf8)
        _ = unsafe Glibc.write(STDERR_FILENO, &bytes, bytes.count)
    }
}
