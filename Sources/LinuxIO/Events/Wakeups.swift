import CTun

/// Wakes the thread that waits for it. `signal` may be called from any thread, any number of times: the waiter wakes
/// once and takes them all.
public struct EventFD: ~Copyable, Sendable {
    private let file: FileDescriptor

    public init() throws(SystemError) {
        file = try FileDescriptor(ctun_eventfd_open(), "open an eventfd")
    }

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { file.raw }

    public func signal() {
        // It fails for a closed descriptor only, and this value holds it open.
        _ = ctun_eventfd_signal(file.raw)
    }

    /// Takes the signals that wait; false if there were none.
    @discardableResult
    public func take() -> Bool { ctun_eventfd_take(file.raw) > 0 }
}

/// A timer that fires once at a time of `bootTime()`.
public struct TimerFD: ~Copyable, Sendable {
    private let file: FileDescriptor

    public init() throws(SystemError) {
        file = try FileDescriptor(ctun_timerfd_open(), "open a timer")
    }

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { file.raw }

    /// Fires at `time` (nanoseconds of `bootTime()`), at once if that has passed. Replaces an earlier time.
    public func arm(at time: Int64) {
        _ = ctun_timerfd_set(file.raw, max(time, 0))
    }

    public func disarm() {
        _ = ctun_timerfd_set(file.raw, -1)
    }

    /// True once after it fired; it is then disarmed.
    @discardableResult
    public func take() -> Bool { ctun_eventfd_take(file.raw) > 0 }
}

/// Signals as something to wait for.
public struct SignalFD: ~Copyable, Sendable {
    private let file: FileDescriptor

    /// Blocks `signals` in the calling thread and in those it starts later, so make it first thing in `main`.
    public init(_ signals: [Int32]) throws(SystemError) {
        file = try FileDescriptor(ctun_signalfd_open(signals.span), "wait for the signals \(signals)")
    }

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { file.raw }

    /// The next signal that came, `nil` if none waits.
    public func read() -> Int32? {
        let signal = ctun_signalfd_read(file.raw)
        return signal > 0 ? signal : nil
    }
}
