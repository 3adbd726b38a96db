import CTun
import Glibc

/// Whoever started this process as a service and wants to hear how it goes: systemd, or what speaks its protocol, datagrams
/// of text to the socket in `NOTIFY_SOCKET` (sd_notify(3)).
public final class Supervisor: Sendable {
    /// What there is to tell.
    public enum Notice: Sendable {
        /// It serves; also that a reload is done.
        case ready
        /// The configuration is read again; `ready` follows.
        case reloading
        /// It ends.
        case stopping
        /// It is not stuck.
        case alive

        fileprivate var text: String {
            switch self {
            case .ready: "READY=1"
            case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(ctun_monotonic_time() / 1000)"
            case .stopping: "STOPPING=1"
            case .alive: "WATCHDOG=1"
            }
        }
    }

    /// Within how many nanoseconds it wants to hear `alive` again, once it has heard `ready`; `nil` if it does not care.
    public let patience: Int64?
    private let socket: FileDescriptor
    private let path: String

    /// The one that the environment names, if there is one; its variables are taken out of the environment, so that no
    /// command that is run speaks for us. Call it before there are threads.
    public static func takeFromEnvironment() -> Supervisor? {
        let values = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].map { name in
            let value = unsafe getenv(name).map { unsafe String(cString: $0) }
            unsafe unsetenv(name)
            return value
        }
        guard let path = values[0] else { return nil }
        let isMeant = values[2].map { Int32($0) == getpid() } ?? true
        return Supervisor(path: path, patience: isMeant ? values[1].flatMap { Int64($0) } : nil)
    }

    /// `path` begins with `/`, or with `@` for a name without a file; `patience` in microseconds. `nil` if nobody listens.
    public init?(path: String, patience: Int64?) {
        let bytes = Array(path.utf8)
        let result = ctun_notify_open(bytes.span)
        guard result >= 0 else { return nil }
        socket = FileDescriptor(owning: result)
        self.path = path
        self.patience = patience.flatMap { $0 > 0 && $0 < Int64.max / 1000 ? $0 * 1000 : nil }
    }

    /// What a process needs in its environment to be heard by the same.
    public var environment: [String] {
        ["NOTIFY_SOCKET=\(path)"] + (patience.map { ["WATCHDOG_USEC=\($0 / 1000)"] } ?? [])
    }

    /// Another process is the one to look after from now on; it is heard once this has arrived.
    public func tell(mainProcess number: Int32) { send("MAINPID=\(number)", mustArrive: true) }

    /// Tells it, with a line for people. Waits a second at most where it must not get lost; else for nothing.
    public func tell(_ notice: Notice, status: String? = nil) {
        let mustArrive =
            switch notice {
            case .ready, .reloading: true
            case .stopping, .alive: false
            }
        send(notice.text + (status.map { "\n\(Self.line($0))" } ?? ""), mustArrive: mustArrive)
    }

    /// Gives it a line for people.
    public func tell(status: String) { send(Self.line(status), mustArrive: false) }

    private static func line(_ status: String) -> String {
        "STATUS=\(status.split { $0.isNewline }.joined(separator: " "))"
    }

    private func send(_ text: String, mustArrive: Bool) {
        let bytes = Array(text.utf8)
        _ = ctun_notify_send(socket.raw, bytes.span, mustArrive ? 1 : 0)
    }
}
