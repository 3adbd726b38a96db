/// A failure that ends a command early: a line that says what, where and what to do, and the exit code.
public struct Failure: Error, Sendable {
    public let status: ExitStatus
    public let message: String

    public init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    public init(_ failure: FileFailure) { self.init(failure.exitStatus, failure.description) }
    public init(_ error: ControlError) { self.init(error.exitStatus, error.description) }
}
