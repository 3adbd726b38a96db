import Glibc

/// A connection to a Unix socket. Every call ends by the deadline.
struct UnixStream: ~Copyable {
    private let descriptor: Int32
    private let path: String
    private let deadline: ContinuousClock.Instant

    /// Connects. `interface` is for the message when nobody is there.
    init(interface: InterfaceName, path: String, deadline: ContinuousClock.Instant) throws(ControlError) {
        descriptor = try Self.connected(interface: interface, path: path, deadline: deadline)
        self.path = path
        self.deadline = deadline
    }

    deinit { close(descriptor) }

    /// The process that listens.
    borrowing func serverProcess() throws(ControlError) -> pid_t {
        // struct ucred: process, user, group.
        var who: (pid_t, UInt32, UInt32) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: who))
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 else {
            throw .system(socket: path, reason: FileFailure.reason(errno))
        }
        return who.0
    }

    /// Sends all bytes.
    borrowing func send(_ bytes: [UInt8]) throws(ControlError) {
        var done = 0
        while done < bytes.count {
            try wait(for: Int16(POLLOUT), by: deadline)
            let count = unsafe bytes[done...].withUnsafeBytes { buffer in
                unsafe Glibc.send(
                    descriptor, buffer.baseAddress, buffer.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            // A server that refuses early closes before it has read all; what it said is still to be received.
            if count < 0, errno == EPIPE { return }
            guard count > 0 else { throw .system(socket: path, reason: FileFailure.reason(errno)) }
            done += count
        }
    }

    /// Appends what has arrived, at least one byte; false at the end of the stream.
    borrowing func receive(into bytes: inout [UInt8]) throws(ControlError) -> Bool {
        try receive(into: &bytes, by: deadline)
    }

    /// The same, by another deadline: the stream has no end of its own.
    borrowing func receive(into bytes: inout [UInt8], within patience: Duration) throws(ControlError) -> Bool {
        try receive(into: &bytes, by: .now + patience)
    }

    private borrowing func receive(
        into bytes: inout [UInt8], by deadline: ContinuousClock.Instant
    ) throws(ControlError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            try wait(for: Int16(POLLIN), by: deadline)
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            // Closed with our bytes unread: the same as an end, and what arrived before decides.
            if count < 0, errno == ECONNRESET { return false }
            guard count >= 0 else { throw .system(socket: path, reason: FileFailure.reason(errno)) }
            bytes += chunk[..<count]
            return count > 0
        }
    }

    private borrowing func wait(for events: Int16, by deadline: ContinuousClock.Instant) throws(ControlError) {
        while true {
            let patience = Self.milliseconds(until: deadline)
            guard patience > 0 else { throw .timeout(socket: path) }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let ready = unsafe poll(&entry, 1, patience)
            if ready > 0 { return }
            guard ready == 0 || errno == EINTR else {
                throw .system(socket: path, reason: FileFailure.reason(errno))
            }
        }
    }

    /// A descriptor connected to the socket; the caller closes it.
    private static func connected(
        interface: InterfaceName, path: String, deadline: ContinuousClock.Instant
    ) throws(ControlError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
            guard bytes.count < field.count, !bytes.contains(0) else { return false }
            unsafe field.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw .system(socket: path, reason: "the path is too long for a socket") }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(socket: path, reason: FileFailure.reason(errno)) }

        // A full backlog makes connect wait, and this is what ends that.
        var patience = timeval(tv_sec: max(1, Int(milliseconds(until: deadline)) / 1000), tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result == 0 { return descriptor }
        let code = errno
        close(descriptor)
        switch code {
        case ENOENT, ECONNREFUSED, ENOTDIR: throw .notRunning(interface: interface, socket: path)
        case EACCES, EPERM: throw .permission(socket: path)
        case EAGAIN, EINPROGRESS: throw .timeout(socket: path)
        default: throw .system(socket: path, reason: FileFailure.reason(code))
        }
    }

    private static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
        let left = ContinuousClock.now.duration(to: deadline).components
        guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
        return Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
    }
}
