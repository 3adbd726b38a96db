/// A fixed block of memory that is handed out as spans. Made once; it never grows.
@safe
public struct Arena: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer

    public init(capacity: Int) {
        unsafe memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { unsafe memory.deallocate() }

    @inline(__always)
    public var capacity: Int { unsafe memory.count }

    /// The bytes of `range`, for as long as nothing else is done with the arena.
    @inline(__always)
    public subscript(range: Range<Int>) -> MutableRawSpan {
        @_lifetime(&self) mutating get {
            let slice = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[range])
            return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: slice), mutating: &self)
        }
    }

    /// The bytes of `range`, to read.
    @inline(__always)
    @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan {
        let slice = unsafe UnsafeRawBufferPointer(rebasing: memory[range])
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: slice), borrowing: self)
    }

    /// Where `offset` is, good for as long as the arena lives.
    @unsafe @inline(__always)
    public func pointer(at offset: Int) -> UnsafeMutableRawPointer {
        precondition((0...capacity).contains(offset))
        guard let base = unsafe memory.baseAddress else { preconditionFailure("an arena is never empty") }
        return unsafe base + offset
    }
}
