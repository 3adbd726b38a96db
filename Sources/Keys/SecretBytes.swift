import CSodium

/// Fills `bytes` from the system's randomness.
public func fillRandom(_ bytes: inout MutableSpan<UInt8>) {
    unsafe randombytes_buf(bytes.start, bytes.count)
}

/// Overwrites secrets that are about to go out of scope, in a way that the compiler cannot leave out.
public func wipe(_ bytes: inout MutableSpan<UInt8>) {
    unsafe sodium_memzero(bytes.start, bytes.count)
}

/// Overwrites a secret that is about to go out of scope.
public func wipe<let count: Int>(_ bytes: inout InlineArray<count, UInt8>) {
    var span = bytes.mutableSpan
    wipe(&span)
}

/// Whether all bytes are zero, in constant time.
public func isZero(_ bytes: Span<UInt8>) -> Bool {
    unsafe sodium_is_zero(bytes.start, bytes.count) == 1
}

extension Span where Element == UInt8 {
    /// Where the bytes are, for a C function to read while the span lives; somewhere, if there are none.
    @unsafe package var start: UnsafePointer<UInt8> {
        unsafe withUnsafeBufferPointer { unsafe $0.baseAddress ?? UnsafePointer(nowhere) }
    }
}

extension MutableSpan where Element == UInt8 {
    /// Where the bytes are, for a C function to write while the span lives; somewhere, if there are none.
    @unsafe package var start: UnsafeMutablePointer<UInt8> {
        mutating get { unsafe withUnsafeMutableBufferPointer { unsafe $0.baseAddress ?? nowhere } }
    }
}

/// A pointer for C functions that are given no bytes and yet don't take NULL.
private nonisolated(unsafe) let nowhere = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
