import Control
import LinuxIO
import Steward

/// The course of an interface while its loop runs: its `PostUp`, its service, its `PreDown`. The loop tells what happens, and
/// goes on until that is the end.
struct Course: ~Copyable {
    /// Why it ends.
    enum Ending {
        case signal
        case deviceGone
        /// Somebody removed the file of the UAPI socket.
        case socketGone
        /// Nobody is there any more to run commands and to read and write files.
        case stewardGone
        /// Another process has taken over all of it.
        case handedOver
        /// A command of `PostUp` failed.
        case failed(Failure)
    }

    private enum Phase { case comingUp, serving, goingDown, over }

    /// Known from the moment on when the end begins.
    private(set) var ending: Ending?
    private let hooks: Hooks
    private let log: Log
    private let supervisor: Supervisor?
    /// Somebody else's end of the interface is what ends a drop-in, and a fault of one that is to run.
    private let isDropIn: Bool
    private var phase = Phase.comingUp

    /// Begins with `PostUp`.
    init(_ hooks: Hooks, _ log: Log, _ supervisor: Supervisor?, isDropIn: Bool) {
        self.hooks = hooks
        self.log = log
        self.supervisor = supervisor
        self.isDropIn = isDropIn
        hooks.start(.postUp)
    }

    /// Goes on with what another process began.
    init(takingOver hooks: Hooks, _ log: Log, _ supervisor: Supervisor?, isDropIn: Bool) {
        self.hooks = hooks
        self.log = log
        self.supervisor = supervisor
        self.isDropIn = isDropIn
        phase = .serving
    }

    /// Another process goes on.
    mutating func handOver() {
        ending = .handedOver
        phase = .over
    }

    var isOver: Bool { phase == .over }

    /// Whether `PostUp` is done and nothing has ended it yet.
    var isServing: Bool { phase == .serving }

    /// Readable when `noteHooks` is to be called.
    var hooksDescriptor: Int32 { hooks.descriptor }

    /// Something ends it. A signal also ends the command that runs.
    mutating func end(_ cause: Ending) {
        if case .signal = cause, phase != .serving { hooks.interrupt() }
        ending = ending ?? cause
        if phase == .serving { goDown() }
    }

    /// Commands are done.
    mutating func noteHooks() {
        switch (phase, hooks.takeEnd()) {
        case (_, .lost):
            ending = ending ?? .stewardGone
            phase = .over
        case (.comingUp, .done):
            phase = .serving
            if ending != nil { goDown() } else { supervisor?.tell(.ready) }
        case (.comingUp, .failed(let failure)):
            guard ending == nil else {
                log.warning(failure.message)
                return goDown()
            }
            ending = .failed(failure)
            phase = .over
        case (.goingDown, _): phase = .over
        case (.serving, _), (.over, _): break
        }
    }

    private mutating func goDown() {
        if case .deviceGone = ending, !isDropIn { log.warning("the interface was deleted") }
        phase = .goingDown
        supervisor?.tell(.stopping, status: "ending")
        hooks.start(.preDown)
    }
}
