/// The version that both programs tell.
public enum Release {
    /// Printed by `--version`; the one place where it is written.
    public static let version = "0.1.0"
}

/// Exit codes of both commands, as `sysexits.h` numbers them.
public enum ExitStatus: Int32, Sendable {
    case usage = 64
    /// Input that was read but isn't what it should be: a file without a key, an unknown peer.
    case data = 65
    case missingInput = 66
    /// The daemon isn't there, or doesn't answer.
    case unavailable = 69
    case software = 70
    /// A file that can't be created, or exists and is never overwritten.
    case cantCreate = 73
    case inputOutput = 74
    case permission = 77
    case configuration = 78
}
