import BasicContainers

/// Several Ethernet frames in one record, each behind its length (docs/protocol.md §3.8).
enum Frames {
    private static let lengthSize = 2
    /// What a frame takes besides its bytes.
    static let overhead = lengthSize

    /// Writes `frame` as the next to `place` of `out`; how many bytes that took.
    static func write(_ frame: RawSpan, to out: inout MutableRawSpan, at place: Int) -> Int {
        out.store(little: UInt16(truncatingIfNeeded: frame.byteCount), at: place)
        out.copy(frame, to: place + lengthSize)
        return lengthSize + frame.byteCount
    }

    /// Reads frames to the end of `record` and puts them into the inbox's memory; false if the record is malformed from
    /// some frame on, in which case those before it have been found.
    static func read(_ record: RawSpan, into inbox: inout Inbox, _ found: inout RigidArray<Members.Found>) -> Bool {
        var offset = 0
        while offset < record.byteCount {
            guard record.byteCount - offset >= lengthSize, found.count < found.capacity else { return false }
            let start = offset + lengthSize
            let end = start + Int(record.little16(at: offset))
            guard end <= record.byteCount, readOne(record.extracting(start..<end), into: &inbox, &found) else {
                return false
            }
            offset = end
        }
        return !found.isEmpty
    }

    /// Reads one frame; false if it is shorter than its header.
    static func readOne(
        _ frame: RawSpan, into inbox: inout Inbox, _ found: inout RigidArray<Members.Found>
    ) -> Bool {
        guard frame.byteCount >= EthernetFrame.headerSize else { return false }
        let place = inbox.decode(frame.byteCount) { space in
            space.copy(frame, to: 0)
            return frame.byteCount
        }
        guard let place else { return false }
        found.append(Members.Found(place: place, shape: MemberShape(layout: .none, segment: 0)))
        return true
    }
}
