import CTun
import Glibc

/// A process that is no child of ours: it outlives us, and whoever looks after orphans looks after it.
public struct ProcessApart: ~Copyable, Sendable {
    /// Readable when it has ended; -1 where the kernel can't tell.
    private let end: Int32

    /// Executes a program that is open, with the descriptor of a channel to us. May be called while there are threads.
    public init(
        program: borrowing FileDescriptor, words: [String], environment: [String], channel: Int32
    ) throws(SystemError) {
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer {
            for index in unsafe arguments.indices { unsafe free(arguments[index]) }
            for index in unsafe variables.indices { unsafe free(variables[index]) }
        }
        let result = unsafe ctun_spawn_apart(program.raw, &arguments, &variables, channel)
        let number = try SystemError.check(result, "run \(words.first ?? "a program")")
        end = ctun_process_open(number)
    }

    deinit { if end >= 0 { close(end) } }

    /// Kills it, and waits until it is gone; at most so many milliseconds.
    public func kill(milliseconds: Int32) {
        guard end >= 0 else { return }
        _ = ctun_process_kill(end)
        var waiting = pollfd(fd: end, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&waiting, 1, milliseconds)
    }
}
