/// Bytes one after the other, of which one chunk is in memory.
struct ByteStream {
    private let more: () throws(CaptureFailure) -> [UInt8]
    private var chunk: [UInt8] = []
    private var next = 0
    /// How many bytes were read or skipped.
    private(set) var offset: UInt64 = 0
    /// The end came before the bytes that somebody asked for.
    private(set) var isShort = false

    /// - Parameter more: gives the next bytes, as many as it likes; none at the end.
    init(_ more: @escaping () throws(CaptureFailure) -> [UInt8]) { self.more = more }

    /// Whether there is nothing left.
    mutating func isAtEnd() throws(CaptureFailure) -> Bool {
        if next < chunk.count { return false }
        chunk = try more()
        next = 0
        return chunk.isEmpty
    }

    /// The next `count` bytes; `nil` if there are not so many.
    mutating func read(_ count: Int) throws(CaptureFailure) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            guard !(try isAtEnd()) else {
                isShort = true
                return nil
            }
            bytes += chunk[take(count - bytes.count)]
        }
        return bytes
    }

    /// Goes over the next `count` bytes; false if there are not so many.
    mutating func skip(_ count: Int) throws(CaptureFailure) -> Bool {
        var left = count
        while left > 0 {
            guard !(try isAtEnd()) else {
                isShort = true
                return false
            }
            left -= take(left).count
        }
        return true
    }

    /// Up to `count` bytes of the chunk.
    private mutating func take(_ count: Int) -> Range<Int> {
        let range = next..<min(next + count, chunk.count)
        next = range.upperBound
        offset += UInt64(range.count)
        return range
    }
}

/// How numbers of several bytes are written.
enum ByteOrder {
    case little
    case big

    /// The number at `offset`, all of which must be in `bytes`.
    func number<Number: FixedWidthInteger & UnsignedInteger>(_ bytes: [UInt8], at offset: Int) -> Number {
        var number: Number = 0
        let size = Number.bitWidth / 8
        for index in 0..<size {
            number = number << 8 | Number(bytes[offset + (self == .big ? index : size - 1 - index)])
        }
        return number
    }

    func word(_ bytes: [UInt8], at offset: Int) -> UInt32 { number(bytes, at: offset) }
    func half(_ bytes: [UInt8], at offset: Int) -> UInt16 { number(bytes, at: offset) }
}
