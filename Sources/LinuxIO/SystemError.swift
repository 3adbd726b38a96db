import Glibc

/// A call to the system that failed: what was tried and why it did not work.
public struct SystemError: Error, Equatable {
    /// What was tried, as a person reads it: `open /dev/net/tun`, `bind UDP port 51820`.
    public let attempt: String
    /// The errno, positive.
    public let number: Int32

    public init(_ attempt: String, number: Int32) {
        self.attempt = attempt
        self.number = number
    }
}

extension SystemError: CustomStringConvertible {
    /// `open /dev/net/tun: Permission denied`
    public var description: String { "\(attempt): \(Self.text(of: number))" }

    /// The system's words for an errno. Not for hot paths: it allocates.
    public static func text(of number: Int32) -> String {
        guard let text = unsafe strerror(number) else { return "error \(number)" }
        return unsafe String(cString: text)
    }
}

extension SystemError {
    /// `result` if it is not negative; else the error that -errno stands for.
    @discardableResult
    static func check(
        _ result: Int32, _ attempt: @autoclosure () -> String
    ) throws(SystemError) -> Int32 {
        guard result < 0 else { return result }
        throw SystemError(attempt(), number: -result)
    }
}
