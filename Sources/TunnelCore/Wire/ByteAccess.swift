// Integers at byte offsets, in both byte orders. Each access is bounds-checked by the span; callers check lengths
// first, so that no datagram can reach the trap.

extension RawSpan {
    /// Whether the bytes of `head` stand at the start.
    @inline(__always)
    func begins(with head: RawSpan) -> Bool {
        guard head.byteCount <= byteCount else { return false }
        var offset = 0
        while offset + 8 <= head.byteCount {
            guard big64(at: offset) == head.big64(at: offset) else { return false }
            offset += 8
        }
        while offset < head.byteCount {
            guard byte(at: offset) == head.byte(at: offset) else { return false }
            offset += 1
        }
        return true
    }

    @inline(__always) func byte(at offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

    @inline(__always) func little16(at offset: Int) -> UInt16 {
        unsafe UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always) func little32(at offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always) func little64(at offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always) func big16(at offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always) func big32(at offset: Int) -> UInt32 {
        unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always) func big64(at offset: Int) -> UInt64 {
        unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always) func big128(at offset: Int) -> UInt128 {
        unsafe UInt128(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt128.self))
    }

    /// The `count` bytes from `offset` on as an array of that size; the span must hold them.
    @inline(__always) func array<let count: Int>(at offset: Int) -> InlineArray<count, UInt8> {
        InlineArray { byte(at: offset + $0) }
    }
}

extension MutableRawSpan {
    @inline(__always) mutating func store(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    @inline(__always) mutating func store(little value: UInt16, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inline(__always) mutating func store(little value: UInt32, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    @inline(__always) mutating func store(little value: UInt64, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    }

    @inline(__always) mutating func store(big value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inline(__always) mutating func store(big value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// The bytes of `range`, to write to while nothing else is done with this span.
    @_lifetime(&self)
    @inline(__always) mutating func part(_ range: some RangeExpression<Int>) -> MutableRawSpan {
        _mutatingExtracting(range)
    }

    /// Copies all of `source` to `offset`.
    @inline(__always) mutating func copy(_ source: RawSpan, to offset: Int) {
        precondition(offset >= 0 && source.byteCount <= byteCount - offset)
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { source in
                guard let from = source.baseAddress, let start = target.baseAddress else { return }
                unsafe (start + offset).copyMemory(from: from, byteCount: source.count)
            }
        }
    }

    /// Copies `count` bytes from an address to `offset`. A span of what the compiler takes to live for ever would be kept in a closure that is
    /// allocated.
    @unsafe @inline(__always) mutating func copy(_ source: UnsafeRawPointer, count: Int, to offset: Int) {
        precondition(offset >= 0 && count >= 0 && count <= byteCount - offset)
        unsafe withUnsafeMutableBytes { target in
            guard let start = target.baseAddress else { return }
            unsafe (start + offset).copyMemory(from: source, byteCount: count)
        }
    }

    /// Copies the bytes of `range`, which end before `offset`, to `offset`.
    @inline(__always) mutating func repeatBytes(_ range: Range<Int>, at offset: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= offset && range.count <= byteCount - offset)
        unsafe withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe (start + offset).copyMemory(from: start + range.lowerBound, byteCount: range.count)
        }
    }

    /// Sets `range` to zero.
    @inline(__always) mutating func zero(_ range: Range<Int>) {
        for offset in range { store(0 as UInt8, at: offset) }
    }
}

extension InlineArray where Element == UInt8 {
    /// Stores the bytes of `value`, least significant first.
    @inline(__always) mutating func store(little value: UInt32, at offset: Int) {
        for index in 0..<4 { self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }

    @inline(__always) func little32(at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(self[offset + $1]) << (8 * UInt32($1)) }
    }

    /// Copies `source` to `offset`.
    @inline(__always) mutating func copy<let other: Int>(_ source: InlineArray<other, UInt8>, to offset: Int) {
        for index in 0..<other { self[offset + index] = source[index] }
    }

    /// The bytes from `offset` on, as many as the result holds.
    @inline(__always) func slice<let other: Int>(at offset: Int) -> InlineArray<other, UInt8> {
        InlineArray<other, UInt8> { self[offset + $0] }
    }
}
