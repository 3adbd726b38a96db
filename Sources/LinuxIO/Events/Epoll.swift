import CTun

/// Waits for many descriptors at once; each is known by a token of the caller's choice. Level-triggered.
public struct Epoll: ~Copyable, Sendable {
    /// What to wait for, and what has come.
    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let read = Interest(rawValue: 0x001)
        public static let write = Interest(rawValue: 0x004)
        /// Reported without being asked for.
        public static let error = Interest(rawValue: 0x008)
        public static let hangup = Interest(rawValue: 0x010)
    }

    public struct Event: Sendable {
        public let token: UInt64
        public let ready: Interest
    }

    /// The most events that one wait returns; the rest come with the next.
    public static let capacity = 32

    private let file: FileDescriptor
    private var events = InlineArray<32, ctun_event>(repeating: ctun_event())

    public init() throws(SystemError) {
        file = try FileDescriptor(ctun_epoll_open(), "open an epoll")
    }

    /// Starts to wait for `descriptor`, which stays the caller's. Remove it before it is closed.
    public func add(
        _ descriptor: Int32, _ interest: Interest = .read, token: UInt64
    ) throws(SystemError) {
        try SystemError.check(
            ctun_epoll_add(file.raw, descriptor, interest.rawValue, token), "watch descriptor \(descriptor)")
    }

    public func modify(_ descriptor: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
        try SystemError.check(
            ctun_epoll_modify(file.raw, descriptor, interest.rawValue, token), "watch descriptor \(descriptor)")
    }

    public func remove(_ descriptor: Int32) throws(SystemError) {
        try SystemError.check(ctun_epoll_remove(file.raw, descriptor), "stop to watch descriptor \(descriptor)")
    }

    /// Waits up to `milliseconds` (-1: without end, 0: not at all) and returns how many events there are, for
    /// `event(at:)`; 0 when the time is over or a signal came, or -errno.
    public mutating func wait(milliseconds: Int32) -> Int {
        var span = events.mutableSpan
        return Int(ctun_epoll_wait(file.raw, &span, milliseconds))
    }

    /// Event `index` of the last wait.
    public func event(at index: Int) -> Event {
        Event(token: events[index].token, ready: Interest(rawValue: events[index].events))
    }
}
