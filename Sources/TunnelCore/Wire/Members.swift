import BasicContainers

/// Several packets in one record, each after the first as what differs from the one before (docs/protocol.md §3.3).
///
///     │ form │ packet, whole │ form │ length │ mask │ half-words │ payload │ form │ …
///
/// Between consecutive packets of one flow nothing but the payload is left, and the form, a length and an empty mask.
enum Members {
    /// The bytes that a packet needs at most besides its own.
    static let overhead = 3
    /// Payload length and mask, in groups of seven bits.
    private static let longestLength = 3
    private static let longestMask = 9

    private enum Form {
        static let like: UInt8 = 1
        static let segmented: UInt8 = 2
    }

    /// The packet before.
    struct Previous: ~Escapable {
        let packet: RawSpan
        let shape: MemberShape

        @_lifetime(copy packet)
        init(packet: RawSpan, shape: MemberShape) {
            self.packet = packet
            self.shape = shape
        }
    }

    // MARK: Write

    /// Writes `packet` as the next member to `place` of `out`, where there must be room for it and `overhead` bytes; how many
    /// bytes that took. `scratch` has `PacketLayout.longestHeader` bytes.
    static func write(
        _ packet: RawSpan, _ shape: MemberShape, after previous: Previous?,
        to out: inout MutableRawSpan, at place: Int, _ scratch: inout MutableRawSpan
    ) -> Int {
        var end = place + 1
        if shape.segment > 0 {
            out.store(little: UInt16(truncatingIfNeeded: shape.segment), at: end)
            end += 2
        }
        let form = shape.segment > 0 ? Form.segmented : 0
        if let previous, shape.layout.isLike(previous.shape.layout) {
            let mask = difference(packet, shape, from: previous.packet, previous.shape, &scratch)
            let size = longestLength + longestMask + 2 * mask.nonzeroBitCount
            if size <= shape.layout.header {
                out.store(form | Form.like, at: place)
                end += writeNumber(UInt64(packet.byteCount - shape.layout.header), to: &out, at: end)
                end += writeNumber(mask, to: &out, at: end)
                var rest = mask
                while rest != 0 {
                    let offset = rest.trailingZeroBitCount * 2
                    out.store(packet.byte(at: offset), at: end)
                    out.store(packet.byte(at: offset + 1), at: end + 1)
                    end += 2
                    rest &= rest - 1
                }
                let payload = packet.extracting(shape.layout.header..<packet.byteCount)
                out.copy(payload, to: end)
                return end + payload.byteCount - place
            }
        }
        out.store(form, at: place)
        out.copy(packet, to: end)
        return end + packet.byteCount - place
    }

    /// Which half-words of a packet's header are not what the one before lets expect.
    private static func difference(
        _ packet: RawSpan, _ shape: MemberShape, from previous: RawSpan, _ last: MemberShape,
        _ scratch: inout MutableRawSpan
    ) -> UInt64 {
        let layout = shape.layout
        let payload = packet.extracting(layout.header..<packet.byteCount)
        scratch.copy(previous.extracting(0..<layout.header), to: 0)
        layout.advance(&scratch, past: last, previous.byteCount - layout.header, payload: payload.byteCount)
        var mask: UInt64 = 0
        for index in 0..<layout.header / 2
        where scratch.bytes.little16(at: 2 * index) != packet.little16(at: 2 * index) { mask |= 1 << UInt64(index) }
        // The checksums are expected to be right, not to be those of the packet before.
        mask &= ~layout.checksums
        if shape.segment > 0 { return mask }
        scratch.copy(packet.extracting(0..<layout.header), to: 0)
        layout.completeChecksums(&scratch, payload: Checksum(of: payload), payload.byteCount, except: 0)
        var rest = layout.checksums
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            if scratch.bytes.little16(at: 2 * index) != packet.little16(at: 2 * index) { mask |= 1 << UInt64(index) }
            rest &= rest - 1
        }
        return mask
    }

    private static func writeNumber(_ number: UInt64, to out: inout MutableRawSpan, at place: Int) -> Int {
        var rest = number
        var end = place
        while rest > 0x7f {
            out.store(UInt8(truncatingIfNeeded: rest) | 0x80, at: end)
            rest >>= 7
            end += 1
        }
        out.store(UInt8(truncatingIfNeeded: rest), at: end)
        return end + 1 - place
    }

    // MARK: Read

    /// A packet that was read, and where it is in the inbox.
    struct Found {
        let place: Range<Int>
        let shape: MemberShape

        init(place: Range<Int>, shape: MemberShape) {
            self.place = place
            self.shape = shape
        }

        /// The one packet that was decoded to `place`; `nil` if it is none.
        init?(_ place: Range<Int>, of inbox: borrowing Inbox) {
            let packet = inbox.bytes(decoded: place)
            guard let header = InternetPacket(packet) else { return nil }
            self.place = place.lowerBound..<place.lowerBound + header.length
            shape = MemberShape(layout: PacketLayout(packet, header), segment: 0)
        }
    }

    /// Reads members to the end of `record` and puts their packets into the inbox's memory; false if the record is
    /// malformed from some member on, in which case those before it have been found.
    static func read(_ record: RawSpan, into inbox: inout Inbox, _ found: inout RigidArray<Found>) -> Bool {
        var offset = 0
        var packets = 0
        while offset < record.byteCount {
            let last = found.isEmpty ? nil : found[found.count - 1]
            guard let member = Member(record, at: offset, after: last?.shape.layout) else { return false }
            let place = inbox.decode(member.length) { packet in
                member.copy(from: record, to: &packet)
                return member.length
            }
            guard let place else { return false }
            if let last, member.isLike { complete(member, at: place, after: last, of: record, in: &inbox) }
            guard let shape = check(member, at: place, after: last?.shape.layout, in: inbox) else { return false }
            packets += shape.packets(of: place.count)
            guard packets <= Limits.recordPackets, found.count < found.capacity else { return false }
            found.append(Found(place: place, shape: shape))
            offset = member.end
        }
        return !found.isEmpty
    }

    private static func complete(
        _ member: Member, at place: Range<Int>, after last: Found, of record: RawSpan, in inbox: inout Inbox
    ) {
        // Both packets as one stretch of memory: the inbox puts one behind the other.
        var both = inbox[decoded: last.place.lowerBound..<place.upperBound]
        member.writeHeader(to: &both, at: place.lowerBound - last.place.lowerBound, after: last, from: record)
    }

    private static func check(
        _ member: Member, at place: Range<Int>, after last: PacketLayout?, in inbox: borrowing Inbox
    ) -> MemberShape? {
        member.check(inbox.bytes(decoded: place), after: last)
    }

    /// One member as it stands in a record.
    struct Member {
        let isLike: Bool
        /// 0: it is one packet.
        let segment: Int
        /// The length of the packet.
        let length: Int
        private let header: Int
        fileprivate let mask: UInt64
        /// Where the half-words that differ, and the payload, or the whole packet start.
        fileprivate let differing: Int
        private let payload: Int
        let end: Int

        /// Finds the parts of the member at `start`; `nil` if they are not all there.
        fileprivate init?(_ record: RawSpan, at start: Int, after last: PacketLayout?) {
            var offset = start
            let form = record.byte(at: offset)
            offset += 1
            guard form & ~(Form.like | Form.segmented) == 0 else { return nil }
            isLike = form & Form.like != 0
            if form & Form.segmented != 0 {
                guard record.byteCount - offset >= 2 else { return nil }
                segment = Int(record.little16(at: offset))
                guard segment > 0 else { return nil }
                offset += 2
            } else {
                segment = 0
            }
            if isLike {
                guard let last, let size = readNumber(record, &offset, atMost: longestLength),
                    let mask = readNumber(record, &offset, atMost: longestMask), mask >> UInt64(last.header / 2) == 0,
                    size <= UInt64(Limits.unit - last.header)
                else { return nil }
                self.mask = mask
                header = last.header
                differing = offset
                payload = offset + 2 * mask.nonzeroBitCount
                length = header + Int(size)
                end = payload + Int(size)
            } else {
                guard let packet = InternetPacket(record.extracting(offset..<record.byteCount)) else { return nil }
                mask = 0
                header = 0
                differing = offset
                payload = offset
                length = packet.length
                end = offset + length
            }
            guard end <= record.byteCount else { return nil }
        }

        /// Copies what is in the record to where it belongs in the packet.
        fileprivate func copy(from record: RawSpan, to packet: inout MutableRawSpan) {
            packet.copy(record.extracting(payload..<end), to: header)
        }

        /// The packet's shape if it is what a member may be; the header of one that is like the one before is whole.
        fileprivate func check(_ packet: RawSpan, after last: PacketLayout?) -> MemberShape? {
            guard let header = InternetPacket(packet), header.length == packet.byteCount else { return nil }
            let layout = PacketLayout(packet, header)
            if isLike, let last, !layout.isLike(last) || layout.header != self.header { return nil }
            guard segment == 0 || layout.maySegment(packet, header, segment: segment) else { return nil }
            return MemberShape(layout: layout, segment: segment)
        }
    }

    private static func readNumber(_ record: RawSpan, _ offset: inout Int, atMost longest: Int) -> UInt64? {
        var number: UInt64 = 0
        for index in 0..<longest {
            guard offset < record.byteCount else { return nil }
            let byte = record.byte(at: offset)
            offset += 1
            number |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte < 0x80 { return number }
        }
        return nil
    }
}

extension Members.Member {
    /// Makes the header of the packet at `start`, whose payload is in its place, from that of the packet before, at 0.
    fileprivate func writeHeader(
        to packets: inout MutableRawSpan, at start: Int, after last: Members.Found, from record: RawSpan
    ) {
        let layout = last.shape.layout
        packets.repeatBytes(0..<layout.header, at: start)
        var packet = packets.part(start..<packets.byteCount)
        layout.advance(
            &packet, past: last.shape, last.place.count - layout.header, payload: packet.byteCount - layout.header)
        var rest = mask
        var offset = differing
        while rest != 0 {
            let place = rest.trailingZeroBitCount * 2
            packet.store(record.byte(at: offset), at: place)
            packet.store(record.byte(at: offset + 1), at: place + 1)
            offset += 2
            rest &= rest - 1
        }
        // Those of a segmented packet are made when it is cut.
        guard segment == 0 else { return }
        let length = packet.byteCount - layout.header
        let sum = Checksum(of: packet.bytes.extracting(layout.header..<packet.byteCount))
        layout.completeChecksums(&packet, payload: sum, length, except: mask)
    }
}
