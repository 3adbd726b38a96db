import Glibc

/// A program of the system that is run to its end, without a shell.
enum Program {
    /// Folders to look in besides PATH, which may be a user's.
    private static let folders = ["/usr/sbin/", "/sbin/"]
    /// The bytes of its output that are read at most.
    private static let longestOutput = 4096

    /// Runs it and waits; `arguments` without its name.
    static func run(_ name: String, _ arguments: [String]) -> ProgramOutcome {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return .missing }
        defer { close(ends[0]) }
        let process = spawn(name, arguments, output: ends[1])
        close(ends[1])
        guard let process else { return .missing }
        let output = read(ends[0])
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let said = output.split(whereSeparator: \.isNewline).first ?? ""
        return .ended(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f, said: String(said))
    }

    private static func spawn(_ name: String, _ arguments: [String], output: Int32) -> pid_t? {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // The daemon blocks its signals; a program must not inherit that.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = unsafe ([name] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var process = pid_t()
        if unsafe posix_spawnp(&process, name, &actions, &attributes, &words, environ) == 0 { return process }
        for folder in folders
        where unsafe posix_spawn(&process, folder + name, &actions, &attributes, &words, environ) == 0 {
            return process
        }
        return nil
    }

    /// The beginning of what comes until the other end is closed.
    private static func read(_ socket: Int32) -> String {
        var kept: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: longestOutput)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(socket, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(decoding: kept, as: UTF8.self) }
            kept += chunk[..<min(count, longestOutput - kept.count)]
        }
    }
}
