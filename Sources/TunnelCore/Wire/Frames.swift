import BasicContainers

/// Several Ethernet frames in one record, each behind its length (docs/protocol.md §3.8).
///
///     │ length │ frame │ length │ frame │ 0 │ segment │ length │ frame that stands for several │ …
enum Frames {
    private static let lengthSize = 2
    /// The bytes that a frame takes besides its own, and those that one takes which stands for several.
    static let overhead = lengthSize
    static let segmentedOverhead = 3 * lengthSize

    /// A frame as it stands in a record.
    struct Entry {
        let place: Range<Int>
        /// The payload of each frame that it stands for but the last; 0 if it is one frame.
        let segment: Int
    }

    /// Writes `frame` as the next to `place` of `out`; how many bytes that took.
    static func write(_ frame: RawSpan, _ shape: MemberShape, to out: inout MutableRawSpan, at place: Int) -> Int {
        let start = writeHead(of: frame.byteCount, shape, to: &out, at: place)
        out.copy(frame, to: place + start)
        return start + frame.byteCount
    }

    /// Writes what stands before a frame; how many bytes that took.
    static func writeHead(of length: Int, _ shape: MemberShape, to out: inout MutableRawSpan, at place: Int) -> Int {
        var end = place
        if shape.segment > 0 {
            out.store(little: 0 as UInt16, at: end)
            out.store(little: UInt16(truncatingIfNeeded: shape.segment), at: end + lengthSize)
            end += 2 * lengthSize
        }
        out.store(little: UInt16(truncatingIfNeeded: length), at: end)
        return end + lengthSize - place
    }

    /// The next frame of a list, which begins at `offset`; `nil` if it is cut off, or shorter than its header.
    static func next(in record: RawSpan, at offset: Int) -> Entry? {
        guard record.byteCount - offset >= lengthSize else { return nil }
        var start = offset + lengthSize
        var length = Int(record.little16(at: offset))
        var segment = 0
        if length == 0 {
            guard record.byteCount - offset >= segmentedOverhead else { return nil }
            segment = Int(record.little16(at: start))
            guard segment > 0 else { return nil }
            length = Int(record.little16(at: start + lengthSize))
            start = offset + segmentedOverhead
        }
        guard length >= EthernetFrame.headerSize, length <= record.byteCount - start else { return nil }
        return Entry(place: start..<start + length, segment: segment)
    }

    /// The shape of a frame; `nil` if it can't stand for several with so much payload each.
    static func shape(of frame: RawSpan, segment: Int) -> MemberShape? {
        guard segment > 0 else { return MemberShape(layout: .none, segment: 0) }
        guard let ethernet = EthernetFrame(frame), let header = ethernet.packet(in: frame),
            frame.byteCount == ethernet.payload + header.length
        else { return nil }
        let packet = frame.extracting(ethernet.payload..<frame.byteCount)
        let layout = PacketLayout(packet, header)
        guard layout.maySegment(packet, header, segment: segment) else { return nil }
        return MemberShape(layout: layout, segment: segment, start: ethernet.payload)
    }
}
