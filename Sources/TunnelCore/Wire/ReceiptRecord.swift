/// RECEIPT: the peer's word of what of a lane has arrived, and which counters it wants to be sent again (docs/protocol.md §3.10). The idea
/// of ranges below the highest is that of QUIC's ACK frame (RFC 9000 §19.3).
struct ReceiptRecord: Equatable {
    static let fixedSize = 44
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
    /// Counters that the path has lost so far, in how many runs, and how many of them parity gave back; modulo 2³².
    var lost: UInt32 = 0
    var runs: UInt32 = 0
    var rebuilt: UInt32 = 0
    /// What is to be sent again.
    var missing: CounterRanges

    var size: Int { Record.headerSize + Self.fixedSize + missing.size }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.receipt, parameter: isAES ? 1 : 0, length: size - Record.headerSize, to: &payload)
        payload.store(little: highest, at: 4)
        payload.store(little: datagrams, at: 12)
        payload.store(little: bytes, at: 20)
        payload.store(little: clock, at: 28)
        payload.store(little: age, at: 32)
        payload.store(little: lost, at: 36)
        payload.store(little: runs, at: 40)
        payload.store(little: rebuilt, at: 44)
        missing.write(to: &payload, at: Record.headerSize + Self.fixedSize)
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
        lost = body.little32(at: 32)
        runs = body.little32(at: 36)
        rebuilt = body.little32(at: 40)
        guard let ranges = CounterRanges(body, at: Self.fixedSize, below: highest) else { return nil }
        missing = ranges
    }
}

/// GONE: the word that counters will not be sent again, which nobody needs to wait for.
struct GoneRecord: Equatable {
    static let fixedSize = 8

    var isAES: Bool
    /// Above all of them.
    let end: UInt64
    var gone: CounterRanges

    /// The word of none yet.
    init(isAES: Bool, below end: UInt64) {
        self.isAES = isAES
        self.end = end
        gone = CounterRanges(below: end)
    }

    var size: Int { Record.headerSize + Self.fixedSize + gone.size }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.gone, parameter: isAES ? 1 : 0, length: size - Record.headerSize, to: &payload)
        payload.store(little: end, at: 4)
        gone.write(to: &payload, at: Record.headerSize + Self.fixedSize)
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
/// many counters it has. Kept as they are written: messages that hold it are passed by value, those of every packet too.
struct CounterRanges: Equatable {
    static let most = 8

    private struct Step: Equatable {
        var distance: UInt16
        var length: UInt16
    }

    private var steps = InlineArray<8, Step>(repeating: Step(distance: 0, length: 0))
    private(set) var count = 0
    /// The counter that the first distance is from, and the start of the last range.
    private var end: UInt64
    private var start: UInt64

    /// No ranges below a counter.
    init(below end: UInt64) {
        self.end = end
        start = end
    }

    var isFull: Bool { count == Self.most }
    var isEmpty: Bool { count == 0 }
    /// Bytes on the wire.
    var size: Int { count * 4 }

    /// Adds a range that lies below all others; false if there is no room, or if it is none that can be written.
    mutating func append(_ range: Range<UInt64>) -> Bool {
        guard !isFull, !range.isEmpty, range.upperBound <= start, start - range.upperBound <= UInt16.max,
            range.upperBound - range.lowerBound <= UInt16.max
        else { return false }
        steps[count] = Step(
            distance: UInt16(truncatingIfNeeded: start - range.upperBound),
            length: UInt16(truncatingIfNeeded: range.upperBound - range.lowerBound))
        count += 1
        start = range.lowerBound
        return true
    }

    /// One of the ranges.
    subscript(index: Int) -> Range<UInt64> {
        var range = end..<end
        for step in 0...index {
            let upper = range.lowerBound - UInt64(steps[step].distance)
            range = upper - UInt64(steps[step].length)..<upper
        }
        return range
    }

    fileprivate func write(to payload: inout MutableRawSpan, at offset: Int) {
        for index in 0..<count {
            payload.store(little: steps[index].distance, at: offset + index * 4)
            payload.store(little: steps[index].length, at: offset + index * 4 + 2)
        }
    }

    /// Reads what stands from `offset` to the end; `nil` if that are no ranges below `end`.
    fileprivate init?(_ body: RawSpan, at offset: Int, below end: UInt64) {
        self.init(below: end)
        let rest = body.byteCount - offset
        guard rest % 4 == 0, rest / 4 <= Self.most else { return nil }
        for index in 0..<rest / 4 {
            let distance = UInt64(body.little16(at: offset + index * 4))
            let length = UInt64(body.little16(at: offset + index * 4 + 2))
            guard length > 0, distance + length <= start, append(start - distance - length..<start - distance) else {
                return nil
            }
        }
    }

    static func == (a: CounterRanges, b: CounterRanges) -> Bool {
        a.count == b.count && a.end == b.end && (0..<a.count).allSatisfy { a.steps[$0] == b.steps[$0] }
    }
}
