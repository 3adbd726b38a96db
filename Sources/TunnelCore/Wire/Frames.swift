import BasicContainers

/// Several Ethernet frames in one record, each behind its length (docs/protocol.md §3.8).
enum Frames {
    private static let lengthSize = 2
    /// The bytes that a frame takes besides its own.
    static let overhead = lengthSize

    /// Writes `frame` as the next to `place` of `out`; how many bytes that took.
    static func write(_ frame: RawSpan, to out: inout MutableRawSpan, at place: Int) -> Int {
        out.store(little: UInt16(truncatingIfNeeded: frame.byteCount), at: place)
        out.copy(frame, to: place + lengthSize)
        return lengthSize + frame.byteCount
    }

    /// Where the next frame of a list is that begins at `offset`; `nil` if it is cut off, or shorter than its header.
    static func next(in record: RawSpan, at offset: Int) -> Range<Int>? {
        guard record.byteCount - offset >= lengthSize else { return nil }
        let start = offset + lengthSize
        let end = start + Int(record.little16(at: offset))
        guard end <= record.byteCount, end - start >= EthernetFrame.headerSize else { return nil }
        return start..<end
    }
}
