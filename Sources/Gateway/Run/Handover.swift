import Control
import Glibc
import LinuxIO
import Steward
import Synchronization
import TunnelCore

/// The old process' side of an upgrade: what it gives to the one that takes its place, and what that one says.
final class Handover: Sendable {
    enum Outcome: Sendable {
        /// The other goes on; for how long nobody did.
        case done(nanoseconds: Int64)
        /// This one goes on; why.
        case refused(String)
    }

    /// Milliseconds that the other may take for each of its answers, in which packets wait.
    private static let patience: Int32 = 3000

    private let channel: MessageChannel
    private let memory: SecretMemory
    private let first: KeptDaemon
    private let doors: Doors
    private let process: Int32
    private let supervisor: Supervisor?
    /// The old process stays for the sake of its number.
    let stays: Bool
    private let outcome: Mailbox<Outcome>
    private let came = Atomic<Int32>(0)
    private let isCancelled = Atomic<Bool>(false)

    /// `process` is the number of the other.
    init(
        to channel: MessageChannel, process: Int32, _ memory: SecretMemory, _ first: KeptDaemon, _ daemon: Daemon
    ) throws(SystemError) {
        self.channel = channel
        self.process = process
        self.memory = memory
        self.first = first
        doors = daemon.doors.withLock { $0 }
        supervisor = daemon.supervisor
        stays = daemon.supervisor == nil && !daemon.hasKeeper
        outcome = try Mailbox(capacity: 1)
    }

    // MARK: On the data thread

    /// Writes the state; its length, or `nil` if there is no room.
    func write(_ body: (inout StateWriter) -> Void) -> Int? { unsafe StateEnvelope.wrap(into: memory.bytes, body) }

    func writeFirst(to state: inout StateWriter) { first.write(to: &state) }

    func give(_ what: Inheritance, _ descriptor: Int32) throws(SystemError) {
        try channel.send(SuccessionMessage.descriptor(what).bytes, passing: descriptor)
    }

    /// Gives what is left to give, and the word once the other has all; why it did not come to that. Once the word is given this process
    /// must not send any more, unless the other is gone before it did.
    func finish(signals: borrowing SignalFD) throws(SystemError) -> String? {
        if isCancelled.load(ordering: .acquiring) { return "it took too long" }
        if let copy = doors.uapi?.copyDescriptor() { try give(.uapi, copy.raw) }
        if let copy = doors.control?.copyDescriptor() { try give(.control, copy.raw) }
        if let copy = doors.metrics?.copyDescriptor() { try give(.metrics, copy.raw) }
        try give(.memory, memory.descriptor)
        try channel.send(SuccessionMessage.handedOver.bytes)
        switch try receive() {
        case .ready: break
        case .refused(_, let line): return line
        default: return "the new process said what makes no sense"
        }
        if let signal = signals.read() {
            came.store(signal, ordering: .relaxed)
            return "a signal came"
        }
        supervisor?.tell(mainProcess: process)
        try channel.send(SuccessionMessage.go(stays: stays).bytes)
        do throws(SystemError) {
            guard case .running = try receive() else { throw SystemError("hear of it", number: EPROTO) }
        } catch {
            // It may send already, unless it is gone.
            if error.number == ECONNRESET {
                supervisor?.tell(mainProcess: getpid())
                return "the new process ended"
            }
        }
        if let signal = signals.read() { try? channel.send(SuccessionMessage.signal(signal).bytes) }
        return nil
    }

    /// A signal that came meanwhile.
    var signal: Int32? {
        let signal = came.load(ordering: .relaxed)
        return signal == 0 ? nil : signal
    }

    /// Has the other end.
    func abort() {
        try? channel.send(SuccessionMessage.abort.bytes)
        memory.wipe()
    }

    func tell(_ outcome: Outcome) { self.outcome.post(outcome) }

    private func receive() throws(SystemError) -> SuccessionMessage? {
        SuccessionMessage(try channel.receive(milliseconds: Self.patience).bytes)
    }

    // MARK: On another thread

    /// Waits for the outcome.
    func wait() -> Outcome {
        outcome.wait(milliseconds: 10 * Self.patience)
        if let outcome = outcome.takeAll().first { return outcome }
        isCancelled.store(true, ordering: .releasing)
        // It may just have begun.
        outcome.wait(milliseconds: 10 * Self.patience)
        return outcome.takeAll().first ?? .refused("the data thread is busy")
    }

    /// Passes on what was signalled to this process before anybody knew of the other.
    func passOn() {
        guard let signals = try? SignalFD([SIGTERM, SIGINT, SIGHUP]) else { return }
        while let signal = signals.read() { try? channel.send(SuccessionMessage.signal(signal).bytes) }
    }

    /// Stays until the other ends, and passes signals on; its exit code.
    func keep() -> Int32 {
        do throws(SystemError) {
            let signals = try SignalFD([SIGTERM, SIGINT, SIGHUP])
            var epoll = try Epoll()
            try epoll.add(signals.descriptor, token: 0)
            try epoll.add(channel.descriptor, token: 1)
            while true {
                let count = epoll.wait(milliseconds: -1)
                for index in 0..<max(count, 0) {
                    if epoll.event(at: index).token == 0 {
                        guard let signal = signals.read() else { continue }
                        try? channel.send(SuccessionMessage.signal(signal).bytes)
                    } else if case .ended(let status)? = try receive() {
                        // Its process ends when it is gone.
                        _ = try? receive()
                        return status
                    }
                }
            }
        } catch {
            return ExitStatus.unavailable.rawValue
        }
    }

    // MARK: In the new process

    /// The signal that a process before passes on; `nil` if it is gone.
    static func signal(from channel: MessageChannel) -> Int32? {
        guard let message = try? channel.receive(milliseconds: patience),
            case .signal(let signal)? = SuccessionMessage(message.bytes)
        else { return nil }
        return signal
    }
}

/// The servers whose sockets are handed over.
struct Doors: Sendable {
    var uapi: UAPIServer?
    var control: ControlServer?
    var metrics: MetricsServer?

    /// Takes no more connections for now, which wait, or goes on with that.
    func setAccepting(_ accepts: Bool) {
        uapi?.setAccepting(accepts)
        control?.setAccepting(accepts)
        metrics?.setAccepting(accepts)
    }
}
