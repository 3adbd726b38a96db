import Glibc
import Synchronization

/// A bounded queue into a thread: anyone posts, its owner is woken and takes all.
///
/// Waking a sleeping thread costs the sender some 12 µs, so it happens only when the queue was empty.
public final class Mailbox<Message: Sendable>: Sendable {
    private let capacity: Int
    private let messages = Mutex<[Message]>([])
    private let bell: EventFD

    public init(capacity: Int) throws(SystemError) {
        self.capacity = capacity
        bell = try EventFD()
    }

    /// Readable while messages wait; the owner adds it to its epoll.
    public var descriptor: Int32 { bell.descriptor }

    /// Adds a message; false if the queue is full, and then nothing happens.
    @discardableResult
    public func post(_ message: Message) -> Bool {
        let outcome = messages.withLock { messages -> (isAccepted: Bool, isFirst: Bool) in
            guard messages.count < capacity else { return (false, false) }
            messages.append(message)
            return (true, messages.count == 1)
        }
        if outcome.isFirst { bell.signal() }
        return outcome.isAccepted
    }

    /// Waits until there is a message, for an owner who waits for nothing else; at most so many milliseconds, or without
    /// end (-1). May return too early.
    public func wait(milliseconds: Int32 = -1) {
        var bell = pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&bell, 1, milliseconds)
    }

    /// Takes all that wait, oldest first.
    public func takeAll() -> [Message] {
        _ = bell.take()
        return messages.withLock { messages in
            defer { messages = [] }
            return messages
        }
    }
}
