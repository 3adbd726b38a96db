import Glibc
import LinuxIO

/// Another descriptor of what a server serves on, which it keeps for a process that takes over.
final class CopiedDescriptor: Sendable {
    private let file: LinuxIO.FileDescriptor

    init(of descriptor: Int32) { file = LinuxIO.FileDescriptor(owning: fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) }

    /// Borrowed; -1 if there is none.
    var raw: Int32 { file.raw }
}
