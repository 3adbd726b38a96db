import CTun
import Glibc

/// Notices when a file is unlinked or replaced by another.
public struct FileWatch: ~Copyable, Sendable {
    private let file: FileDescriptor
    private let path: String
    private let identity: Identity

    private struct Identity: Equatable, Sendable {
        let device: UInt
        let number: UInt

        /// `nil` if there is no such file.
        init?(_ path: String) {
            var status = stat()
            guard unsafe lstat(path, &status) == 0 else { return nil }
            device = UInt(status.st_dev)
            number = UInt(status.st_ino)
        }
    }

    /// Begins to watch the file that is there.
    public init(path: String) throws(SystemError) {
        let file = try FileDescriptor(ctun_file_watch_open(path.utf8Span.span), "watch \(path)")
        guard let identity = Identity(path) else { throw SystemError("watch \(path)", number: ENOENT) }
        self.file = file
        self.identity = identity
        self.path = path
    }

    /// For `Epoll`, here or in another process: readable when something happened to the file; borrowed.
    public var descriptor: Int32 { file.raw }

    /// Takes what has happened, so that the descriptor is readable again when something else does.
    public static func take(_ descriptor: Int32) { ctun_file_watch_take(descriptor) }

    /// Whether the file is no longer there. Call it when the descriptor is readable.
    public func isGone() -> Bool {
        Self.take(file.raw)
        return Identity(path) != identity
    }
}
