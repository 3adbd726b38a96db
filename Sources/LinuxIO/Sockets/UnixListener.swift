import Glibc

/// A listening Unix socket at a path in the filesystem.
public enum UnixListener {
    /// Binds and listens. A socket file that nobody answers on is replaced; one that somebody does is left alone, and
    /// the error is EADDRINUSE. The file gets `mode`, and `group` if there is a group of that name; it is never open to
    /// more than that, not even between two calls.
    public static func open(path: String, mode: UInt32, group: String?) throws(SystemError) -> FileDescriptor {
        let attempt = "listen on \(path)"
        let file = FileDescriptor(
            owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        guard file.raw >= 0 else { throw SystemError(attempt, number: errno) }
        guard unsafe withAddress(path, { unsafe connectsNowhere($0, $1) }) ?? true else {
            throw SystemError(attempt, number: EADDRINUSE)
        }
        _ = unsafe unlink(path)
        let old = umask(0o777 & ~mode)
        let bound = unsafe withAddress(path) { unsafe bind(file.raw, $0, $1) == 0 ? 0 : errno }
        umask(old)
        guard bound == 0 else { throw SystemError(attempt, number: bound ?? ENAMETOOLONG) }
        if let group, let entry = unsafe getgrnam(group) { _ = unsafe chown(path, 0, entry.pointee.gr_gid) }
        guard listen(file.raw, 64) == 0 else { throw SystemError(attempt, number: errno) }
        return file
    }

    /// Whether no daemon answers at the address.
    private static func connectsNowhere(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Bool {
        let probe = FileDescriptor(
            owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        return unsafe connect(probe.raw, address, length) != 0 && errno != EAGAIN
    }

    /// Lends the socket address of `path`; `nil` if the path is too long for one.
    private static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
