/// Why a question to a daemon has no answer.
public enum ControlError: Error, Hashable, Sendable {
    /// No socket, or nobody behind it.
    case notRunning(interface: InterfaceName, socket: String)
    /// The socket's mode keeps us out.
    case permission(socket: String)
    /// The daemon said no, in its own words.
    case refused(status: Int, message: String)
    case timeout(socket: String)
    /// The answer can't be understood: garbage, cut off, or larger than `HTTPReply.largest`.
    case malformed(socket: String, reason: String)
    /// Another failure of the system.
    case system(socket: String, reason: String)

    public var exitStatus: ExitStatus {
        switch self {
        case .notRunning, .timeout: .unavailable
        case .permission: .permission
        case .refused(let status, _):
            switch status {
            case 401, 403: .permission
            case 400..<500: .data
            default: .software
            }
        case .malformed: .software
        case .system: .inputOutput
        }
    }
}

extension ControlError: CustomStringConvertible {
    /// One line: what, where, what to do.
    public var description: String {
        switch self {
        case .notRunning(let interface, let socket):
            "no gateway named \"\(interface)\" is running (\(socket)); "
                + "start it with: gateway run --config \(interface).conf"
        case .permission(let socket):
            "may not use \(socket): permission denied; run as root, or for reading join the socket's group"
        case .refused(let status, let message):
            message.isEmpty ? "the gateway refused with HTTP status \(status)" : "the gateway refused: \(message)"
        case .timeout(let socket):
            "the gateway behind \(socket) doesn't answer; look at its log, or start it again"
        case .malformed(let socket, let reason):
            "the answer from \(socket) can't be read: \(reason); is it another version of gateway?"
        case .system(let socket, let reason):
            "can't talk to \(socket): \(reason)"
        }
    }
}
