/// Packets that came out of a unit, a bundle or a frame, and stand in the inbox's memory.
struct DecodedPackets {
    /// Their numbers among the inbox's decoded packets, good until `Inbox.clear()`.
    let packets: Range<Int>
    /// The codec of the unit; `nil`: they were not compressed.
    let codec: Codec?
    /// They came in a bundle.
    let isBundle: Bool
    /// One of the datagrams met congestion.
    let isMarked: Bool
    /// Not all of the record could be read.
    let isCutOff: Bool
    /// The bytes of the datagrams, as UDP payload.
    let wire: Int
    /// It was a unit that refers to others.
    var isOfStream = false
    /// It was one that could refer to a dictionary.
    var isRecalled = false
}

extension Cargo {
    /// Reads what is in `record` to its end and puts it into the inbox's memory; false if the record is malformed from some
    /// place on, in which case what stands before that has been found.
    func read(_ record: RawSpan, into inbox: inout Inbox) -> Bool {
        switch self {
        case .packets: Self.readPackets(record, into: &inbox)
        case .frames: Self.readFrames(record, into: &inbox)
        }
    }

    /// Reads the one packet that was decoded to `place`; false if it is none.
    static func readPacket(at place: Range<Int>, of inbox: inout Inbox) -> Bool {
        guard let header = InternetPacket(inbox.bytes(decoded: place)) else { return false }
        let layout = PacketLayout(inbox.bytes(decoded: place), header)
        let packet = place.lowerBound..<place.lowerBound + header.length
        return inbox.note(decoded: packet, MemberShape(layout: layout, segment: 0))
    }

    /// Reads one frame, of whatever shape; false if it is shorter than its header.
    static func readFrame(
        _ frame: RawSpan, _ shape: MemberShape = MemberShape(layout: .none, segment: 0), into inbox: inout Inbox
    ) -> Bool {
        guard frame.byteCount >= EthernetFrame.headerSize else { return false }
        let place = inbox.decode(frame.byteCount) { space in
            space.copy(frame, to: 0)
            return frame.byteCount
        }
        guard let place else { return false }
        return inbox.note(decoded: place, shape)
    }

    private static func readFrames(_ record: RawSpan, into inbox: inout Inbox) -> Bool {
        var offset = 0
        var count = 0
        while offset < record.byteCount {
            guard let entry = Frames.next(in: record, at: offset),
                let shape = Frames.shape(of: record.extracting(entry.place), segment: entry.segment)
            else { return false }
            count += shape.packets(of: entry.place.count)
            guard count <= Limits.recordPackets, readFrame(record.extracting(entry.place), shape, into: &inbox) else {
                return false
            }
            offset = entry.place.upperBound
        }
        return count > 0
    }

    private static func readPackets(_ record: RawSpan, into inbox: inout Inbox) -> Bool {
        var offset = 0
        var packets = 0
        var last: Inbox.Decoded?
        while offset < record.byteCount {
            guard let member = Members.Member(record, at: offset, after: last?.shape.layout) else { return false }
            let place = inbox.decode(member.length) { packet in
                member.copy(from: record, to: &packet)
                return member.length
            }
            guard let place else { return false }
            if let last, member.isLike {
                // Both packets as one stretch of memory: the inbox puts one behind the other.
                var both = inbox[decoded: last.place.lowerBound..<place.upperBound]
                member.writeHeader(to: &both, at: last.place.count, after: last.shape, from: record)
            }
            guard let shape = member.check(inbox.bytes(decoded: place), after: last?.shape.layout) else { return false }
            packets += shape.packets(of: place.count)
            guard packets <= Limits.recordPackets, inbox.note(decoded: place, shape) else { return false }
            last = Inbox.Decoded(place: place, shape: shape)
            offset = member.end
        }
        return packets > 0
    }
}
