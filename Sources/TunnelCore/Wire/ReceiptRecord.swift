/// RECEIPT: the peer's word of what of a lane has arrived, and which counters it wants to be sent again (docs/protocol.md §3.10). The idea
/// of ranges below the highest is that of QUIC's ACK frame (RFC 9000 §19.3).
struct ReceiptRecord: Equatable {
    static let fixedSize = 32
    /// Its cost without ranges: padded, as a datagram, with the headers of UDP and IPv4.
    static let wireSize = Transport.wireSize(48)

    /// The lane for AES-256-GCM, not WireGuard's.
    var isAES: Bool
    /// The highest counter.
    var highest: UInt64
    /// Datagrams and their bytes so far.
    var datagrams: UInt64
    var bytes: UInt64
    /// The sender's clock when the highest came, in microseconds, and how long ago that is.
    var clock: UInt32
    var age: UInt32
    /// What is to be sent again.
    var missing = CounterRanges()

    var size: Int { Record.headerSize + Self.fixedSize + missing.size }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.receipt, parameter: isAES ? 1 : 0, length: size - Record.headerSize, to: &payload)
        payload.store(little: highest, at: 4)
        payload.store(little: datagrams, at: 12)
        payload.store(little: bytes, at: 20)
        payload.store(little: clock, at: 28)
        payload.store(little: age, at: 32)
        missing.write(to: &payload, at: 36, below: highest)
        return size
    }
}

extension ReceiptRecord {
    /// Reads the body; `nil` if it is cut off, of a lane that there isn't, or if it asks for counters that can't be.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.fixedSize else { return nil }
        isAES = parameter == 1
        highest = body.little64(at: 0)
        datagrams = body.little64(at: 8)
        bytes = body.little64(at: 16)
        clock = body.little32(at: 24)
        age = body.little32(at: 28)
        guard let ranges = CounterRanges(body, at: Self.fixedSize, below: highest) else { return nil }
        missing = ranges
    }
}

/// GONE: the word that counters will not be sent again, which nobody needs to wait for.
struct GoneRecord: Equatable {
    static let fixedSize = 8

    var isAES: Bool
    /// Above all of them.
    var end: UInt64
    var gone = CounterRanges()

    var size: Int { Record.headerSize + Self.fixedSize + gone.size }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.gone, parameter: isAES ? 1 : 0, length: size - Record.headerSize, to: &payload)
        payload.store(little: end, at: 4)
        gone.write(to: &payload, at: 12, below: end)
        return size
    }
}

extension GoneRecord {
    /// Reads the body; `nil` likewise.
    init?(parameter: UInt8, body: RawSpan) {
        guard parameter <= 1, body.byteCount >= Self.fixedSize else { return nil }
        isAES = parameter == 1
        end = body.little64(at: 0)
        guard let ranges = CounterRanges(body, at: Self.fixedSize, below: end) else { return nil }
        gone = ranges
    }
}

/// Ranges of counters, the highest first, each of 4 bytes on the wire: how far its end lies below the start of the one before, and how
/// many counters it has.
struct CounterRanges: Equatable {
    static let most = 32

    private var ranges = InlineArray<32, Range<UInt64>>(repeating: 0..<0)
    private(set) var count = 0

    init() {}

    var isFull: Bool { count == Self.most }
    var isEmpty: Bool { count == 0 }
    /// Bytes on the wire.
    var size: Int { count * 4 }
    subscript(index: Int) -> Range<UInt64> { ranges[index] }

    /// Adds a range that lies below all others; false if there is no room, or if it is none that can be written.
    mutating func append(_ range: Range<UInt64>, below end: UInt64) -> Bool {
        let ceiling = count == 0 ? end : ranges[count - 1].lowerBound
        guard !isFull, !range.isEmpty, range.upperBound <= ceiling, ceiling - range.upperBound <= UInt16.max,
            range.upperBound - range.lowerBound <= UInt16.max
        else { return false }
        ranges[count] = range
        count += 1
        return true
    }

    fileprivate func write(to payload: inout MutableRawSpan, at offset: Int, below end: UInt64) {
        var ceiling = end
        for index in 0..<count {
            let range = ranges[index]
            payload.store(little: UInt16(truncatingIfNeeded: ceiling - range.upperBound), at: offset + index * 4)
            payload.store(
                little: UInt16(truncatingIfNeeded: range.upperBound - range.lowerBound), at: offset + index * 4 + 2)
            ceiling = range.lowerBound
        }
    }

    /// Reads what stands from `offset` to the end; `nil` if that are no ranges below `end`.
    fileprivate init?(_ body: RawSpan, at offset: Int, below end: UInt64) {
        let rest = body.byteCount - offset
        guard rest % 4 == 0, rest / 4 <= Self.most else { return nil }
        var ceiling = end
        for index in 0..<rest / 4 {
            let distance = UInt64(body.little16(at: offset + index * 4))
            let length = UInt64(body.little16(at: offset + index * 4 + 2))
            guard length > 0, distance + length <= ceiling else { return nil }
            ranges[index] = ceiling - distance - length..<ceiling - distance
            count += 1
            ceiling -= distance + length
        }
    }

    static func == (a: CounterRanges, b: CounterRanges) -> Bool {
        a.count == b.count && (0..<a.count).allSatisfy { a.ranges[$0] == b.ranges[$0] }
    }
}
