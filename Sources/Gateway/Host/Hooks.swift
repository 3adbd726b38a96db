import Control
import Glibc
import LinuxIO
import Steward

/// The operator's own commands around the life of the interface, which the steward runs: a list at a time, and its end is an
/// event, `descriptor` becomes readable.
struct Hooks: Sendable {
    private let steward: Steward

    init(_ steward: Steward) { self.steward = steward }

    /// Begins with the commands of that moment, one after the other. Of `PreUp` and `PostUp` the first that fails ends them;
    /// of the others each gets its turn and so much time.
    func start(_ moment: HookMoment) { steward.startHooks(moment) }

    /// Ends the command that runs.
    func interrupt() { steward.interruptHooks() }

    /// Readable when commands that were started are done, and when the steward is gone.
    var descriptor: Int32 { steward.hooksDescriptor }

    /// The outcome of the list, when the descriptor is readable.
    func takeEnd() -> End {
        switch steward.takeHooksEnd() {
        case .done: .done
        case .failed(let message): .failed(Failure(.unavailable, message))
        case .lost: .lost
        }
    }

    enum End {
        case done
        case failed(Failure)
        /// Nobody is there to run them.
        case lost
    }

    /// The end of everything when the steward is gone.
    static let loss = Failure(
        .unavailable, "the helper process has ended, without which there are no files and commands")

    /// Runs the commands of that moment while there is no loop yet, or no longer. A signal interrupts the one that runs;
    /// true if one came.
    func run(_ moment: HookMoment) throws(Failure) -> Bool {
        var wasInterrupted = false
        var end: End?
        do throws(SystemError) {
            // SIGHUP waits for the loop.
            let signals = try SignalFD([SIGTERM, SIGINT])
            var epoll = try Epoll()
            try epoll.add(signals.descriptor, token: 0)
            try epoll.add(descriptor, token: 1)
            start(moment)
            while end == nil {
                let count = epoll.wait(milliseconds: -1)
                for index in 0..<max(count, 0) {
                    if epoll.event(at: index).token == 1 {
                        end = takeEnd()
                    } else if signals.read() != nil {
                        wasInterrupted = true
                        interrupt()
                    }
                }
            }
        } catch {
            throw Failure(.unavailable, error)
        }
        switch end {
        case .failed(let failure) where !wasInterrupted: throw failure
        case .lost: throw Self.loss
        case .done, .failed, nil: return wasInterrupted
        }
    }
}
