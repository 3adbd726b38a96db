/// The answer to `POST /v1/upgrade`, when another process has taken over.
public struct UpgradeReply: Codable, Hashable, Sendable {
    /// The version of the new process, and its number.
    public var version: String
    public var process: Int32
    /// For how long packets waited in the kernel.
    public var waitedMicroseconds: UInt64

    public init(version: String, process: Int32, waitedMicroseconds: UInt64) {
        self.version = version
        self.process = process
        self.waitedMicroseconds = waitedMicroseconds
    }
}
