import Control
import Glibc

/// The operator's own commands around the life of the interface: `PreUp`, `PostUp`, `PreDown`, `PostDown`.
struct Hooks {
    private let name: String
    private let log: Log

    init(_ interface: InterfaceName, _ log: Log) {
        name = interface.description
        self.log = log
    }

    /// Runs each command with `/bin/sh`, `%i` replaced by the interface's name; the first that fails ends it.
    func run(_ commands: [String], _ key: String) throws(Failure) {
        for command in commands {
            let text = Self.replace("%i", with: name, in: command)
            log.info("\(key): \(text)")
            let status = Self.shell(text)
            guard status == 0 else {
                throw Failure(.unavailable, "\(key) failed with status \(status): \(text)")
            }
        }
    }

    /// As `run`, but a failure is only logged.
    func runAnyway(_ commands: [String], _ key: String) {
        for command in commands {
            do throws(Failure) {
                try run([command], key)
            } catch {
                log.warning(error.message)
            }
        }
    }

    /// The exit status of a shell command, or 128 and the signal that ended it.
    private static func shell(_ text: String) -> Int32 {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // The daemon blocks its signals; a command must not inherit that.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words: [String] = ["sh", "-c", text]
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var process = pid_t()
        guard unsafe posix_spawn(&process, "/bin/sh", nil, &attributes, &arguments, environ) == 0 else { return 127 }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    private static func replace(_ pattern: String, with text: String, in command: String) -> String {
        var result = ""
        var rest = Substring(command)
        while let range = rest.firstRange(of: pattern) {
            result += rest[..<range.lowerBound] + text
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
