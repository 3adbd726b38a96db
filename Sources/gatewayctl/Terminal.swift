import Control
import Glibc

/// Standard output and error of this process.
enum Terminal {
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Colours as `wg` would use them here, and none where `NO_COLOR` is set (no-color.org).
    static var ink: Ink {
        var mode: String?
        if let value = unsafe getenv("NO_COLOR"), unsafe value.pointee != 0 { mode = "never" }
        if let value = unsafe getenv("WG_COLOR_MODE") { mode = unsafe String(cString: value) }
        return Ink.choose(mode: mode, isTerminal: isTerminal)
    }

    /// Seconds since 1970.
    static var now: Int64 {
        var moment = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &moment)
        return Int64(moment.tv_sec)
    }

    static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }
    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// One line on standard error.
    static func complain(_ message: String) {
        let line = message.split { $0.isNewline }.joined(separator: " ")
        write(Array("gatewayctl: \(line)\n".utf8), to: STDERR_FILENO)
    }

    /// One line for the person, on standard error.
    static func say(_ message: String) { write(Array("\(message)\n".utf8), to: STDERR_FILENO) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            // Nobody reads any more; there is nothing left to tell.
            guard count > 0 else { exit(ExitStatus.inputOutput.rawValue) }
            done += count
        }
    }
}
