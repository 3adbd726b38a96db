import CTun
import Glibc

/// One end of a stream between two processes that carries messages, whole and in order, each perhaps with a descriptor.
///
/// A message is its length, four bytes, and its bytes. What breaks that ends the channel.
public final class MessageChannel: Sendable {
    /// The bytes of the largest message.
    public static let largest = 4 << 20

    /// What came.
    public struct Message: ~Copyable, Sendable {
        public let bytes: [UInt8]
        private let passed: FileDescriptor?

        fileprivate init(_ bytes: [UInt8], _ passed: consuming FileDescriptor?) {
            self.bytes = bytes
            self.passed = passed
        }

        /// The descriptor that came with it.
        public consuming func takeDescriptor() -> FileDescriptor? { passed }

        /// The same, borrowed; -1 if none came.
        public var descriptor: Int32 {
            switch passed {
            case .some(let passed): passed.raw
            case .none: -1
            }
        }
    }

    private let file: FileDescriptor

    private init(_ file: consuming FileDescriptor) { self.file = file }

    /// An end that another process has given us.
    public convenience init(adopting file: consuming FileDescriptor) { self.init(file) }

    /// Two ends.
    public static func pair() throws(SystemError) -> (MessageChannel, MessageChannel) {
        var ends: [Int32] = [-1, -1]
        var span = ends.mutableSpan
        try SystemError.check(ctun_channel_pair(&span), "make a pair of sockets")
        return (MessageChannel(FileDescriptor(owning: ends[0])), MessageChannel(FileDescriptor(owning: ends[1])))
    }

    /// Readable when a message comes, or the other end is gone; borrowed.
    public var descriptor: Int32 { file.raw }

    /// Another descriptor of this end.
    public func copyDescriptor() throws(SystemError) -> FileDescriptor {
        let copy = fcntl(file.raw, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw SystemError("copy a channel", number: errno) }
        return FileDescriptor(owning: copy)
    }

    /// Sends a message, with a copy of the descriptor if it is not negative. `EMSGSIZE` if it is too large, `EPIPE` if nobody
    /// is there.
    public func send(_ message: [UInt8], passing descriptor: Int32 = -1) throws(SystemError) {
        guard message.count <= Self.largest else { throw SystemError("send a message", number: EMSGSIZE) }
        let length = UInt32(message.count)
        let head = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        try SystemError.check(ctun_channel_send(file.raw, head.span, descriptor), "send a message")
        try SystemError.check(ctun_channel_send(file.raw, message.span, -1), "send a message")
    }

    /// Waits for the next message, so many milliseconds at most for what is missing (`ETIMEDOUT`), or without end (-1).
    /// `ECONNRESET` if nobody is there any more, `EPROTO` for one that is too large.
    public func receive(milliseconds: Int32 = -1) throws(SystemError) -> Message {
        var passed: [Int32] = [-1]
        var head: [UInt8] = [0, 0, 0, 0]
        do throws(SystemError) {
            try fill(&head, milliseconds, &passed)
            let length = head.reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length <= Self.largest else { throw SystemError("receive a message", number: EPROTO) }
            var bytes = [UInt8](repeating: 0, count: length)
            if length > 0 { try fill(&bytes, milliseconds, &passed) }
            return Message(bytes, passed[0] < 0 ? nil : FileDescriptor(owning: passed[0]))
        } catch {
            if passed[0] >= 0 { close(passed[0]) }
            throw error
        }
    }

    /// Ends it for both: who waits at either end is woken.
    public func end() { Glibc.shutdown(file.raw, Int32(SHUT_RDWR)) }

    private func fill(
        _ bytes: inout [UInt8], _ milliseconds: Int32, _ passed: inout [Int32]
    ) throws(SystemError) {
        var span = bytes.mutableSpan
        var place = passed.mutableSpan
        try SystemError.check(ctun_channel_receive(file.raw, &span, milliseconds, &place), "receive a message")
    }
}
