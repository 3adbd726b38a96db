import Glibc

/// An open file descriptor with one owner; it is closed when its owner goes.
///
/// Closing does not wake a thread that waits for the descriptor: take it out of its `Epoll` first, on that thread.
public struct FileDescriptor: ~Copyable, Sendable {
    /// The number, borrowed: valid for as long as this value lives.
    public let raw: Int32

    /// Takes over `raw`, which must be open and belong to nobody else.
    public init(owning raw: Int32) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// Closes now.
    public consuming func close() {}

    /// Gives the number away without closing it.
    public consuming func release() -> Int32 {
        let raw = raw
        discard self
        return raw
    }
}

extension FileDescriptor {
    /// Takes over what a call of `CTun` returned.
    init(_ result: Int32, _ attempt: @autoclosure () -> String) throws(SystemError) {
        self.init(owning: try SystemError.check(result, attempt()))
    }
}
