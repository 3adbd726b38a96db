import Glibc

/// A program of the system that is run for what it prints. Never through a shell.
enum HostCommand {
    struct Output {
        let status: Int32
        let text: String
    }

    /// Runs it to its end, for so many seconds at most; `nil` if it is not there.
    static func run(_ arguments: [String], seconds: Int = 5) -> Output? {
        guard let started = start(arguments) else { return nil }
        return started.finish(seconds: seconds)
    }

    /// Starts it; `nil` if it is not there.
    static func start(_ arguments: [String]) -> Running? {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        var strings: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe strings.indices { unsafe free(strings[index]) } }
        var process = pid_t()
        let failure = unsafe posix_spawnp(&process, arguments[0], &actions, nil, &strings, environ)
        close(ends[1])
        guard failure == 0 else {
            close(ends[0])
            return nil
        }
        return Running(process: process, output: ends[0])
    }

    /// One that runs.
    struct Running {
        let process: pid_t
        let output: Int32

        /// Waits for its end, for so many seconds at most, then ends it.
        func finish(seconds: Int) -> Output {
            let deadline = ContinuousClock.now + .seconds(seconds)
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65536)
            while true {
                let left = ContinuousClock.now.duration(to: deadline).components
                let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
                var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
                guard milliseconds > 0, unsafe poll(&entry, 1, Int32(clamping: milliseconds)) > 0 else {
                    kill(process, SIGTERM)
                    break
                }
                let count = unsafe read(output, &chunk, chunk.count)
                guard count > 0 else { break }
                bytes += chunk[..<count]
            }
            close(output)
            var status: Int32 = 0
            while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
            return Output(
                status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f,
                text: String(decoding: bytes, as: UTF8.self))
        }
    }
}
