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

    /// The bytes before a member that is written in full.
    static func formSize(_ shape: MemberShape) -> Int { shape.segment > 0 ? 3 : 1 }

    /// Writes what is before a member that stands there in full.
    static func writeForm(_ shape: MemberShape, to out: inout MutableRawSpan, at place: Int) {
        out.store(shape.segment > 0 ? Form.segmented : 0, at: place)
        if shape.segment > 0 { out.store(little: UInt16(truncatingIfNeeded: shape.segment), at: place + 1) }
    }

    /// A packet that is to be written.
    struct Packet: ~Escapable {
        let bytes: RawSpan
        let shape: MemberShape

        @_lifetime(copy bytes)
        init(_ bytes: RawSpan, _ shape: MemberShape) {
            self.bytes = bytes
            self.shape = shape
        }
    }

    // MARK: Write

    /// Writes `packet` as the next member to `place` of `out`, where there must be room for it and `overhead` bytes; how many
    /// bytes that took. `scratch` has `PacketLayout.longestHeader` bytes.
    static func write(
        _ packet: Packet, after previous: Packet?, to out: inout MutableRawSpan, at place: Int,
        _ scratch: inout MutableRawSpan
    ) -> Int {
        let (bytes, shape) = (packet.bytes, packet.shape)
        var end = place + 1
        if shape.segment > 0 {
            out.store(little: UInt16(truncatingIfNeeded: shape.segment), at: end)
            end += 2
        }
        let form = shape.segment > 0 ? Form.segmented : 0
        if let previous, shape.layout.isLike(previous.shape.layout) {
            let mask = difference(packet, from: previous, &scratch)
            let size = longestLength + longestMask + 2 * mask.nonzeroBitCount
            if size <= shape.layout.header {
                out.store(form | Form.like, at: place)
                end += writeNumber(UInt64(bytes.byteCount - shape.layout.header), to: &out, at: end)
                end += writeNumber(mask, to: &out, at: end)
                var rest = mask
                while rest != 0 {
                    let offset = rest.trailingZeroBitCount * 2
                    out.store(bytes.byte(at: offset), at: end)
                    out.store(bytes.byte(at: offset + 1), at: end + 1)
                    end += 2
                    rest &= rest - 1
                }
                let payload = bytes.extracting(shape.layout.header..<bytes.byteCount)
                out.copy(payload, to: end)
                return end + payload.byteCount - place
            }
        }
        out.store(form, at: place)
        out.copy(bytes, to: end)
        return end + bytes.byteCount - place
    }

    /// The half-words of a packet's header that are not what the one before lets expect.
    private static func difference(
        _ packet: Packet, from previous: Packet, _ scratch: inout MutableRawSpan
    ) -> UInt64 {
        let (bytes, layout) = (packet.bytes, packet.shape.layout)
        let payload = bytes.extracting(layout.header..<bytes.byteCount)
        scratch.copy(previous.bytes.extracting(0..<layout.header), to: 0)
        layout.advance(
            &scratch, past: previous.shape, previous.bytes.byteCount - layout.header, payload: payload.byteCount)
        var mask: UInt64 = 0
        for index in 0..<layout.header / 2
        where scratch.bytes.little16(at: 2 * index) != bytes.little16(at: 2 * index) { mask |= 1 << UInt64(index) }
        // The checksums are expected to be right, not to be those of the packet before.
        mask &= ~layout.checksums
        if packet.shape.segment > 0 { return mask }
        scratch.copy(bytes.extracting(0..<layout.header), to: 0)
        layout.completeChecksums(&scratch, payload: Checksum(of: payload), payload.byteCount, except: 0)
        var rest = layout.checksums
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            if scratch.bytes.little16(at: 2 * index) != bytes.little16(at: 2 * index) { mask |= 1 << UInt64(index) }
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

    /// One member as it stands in a record.
    struct Member {
        let isLike: Bool
        /// 0: it is one packet.
        let segment: Int
        /// The length of the packet.
        let length: Int
        private let header: Int
        private let mask: UInt64
        /// Where the half-words that differ, and the payload, or the whole packet start.
        private let differing: Int
        private let payload: Int
        let end: Int

        /// Finds the parts of the member at `start`; `nil` if they are not all there.
        init?(_ record: RawSpan, at start: Int, after last: PacketLayout?) {
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
                    size <= UInt64(Limits.packet - last.header)
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
        func copy(from record: RawSpan, to packet: inout MutableRawSpan) {
            packet.copy(record.extracting(payload..<end), to: header)
        }

        /// The packet's shape if it is what a member may be; the header of one that is like the one before is whole.
        func check(_ packet: RawSpan, after last: PacketLayout?) -> MemberShape? {
            guard let header = InternetPacket(packet), header.length == packet.byteCount else { return nil }
            let layout = PacketLayout(packet, header)
            if isLike, let last, !layout.isLike(last) || layout.header != self.header { return nil }
            guard segment == 0 || layout.maySegment(packet, header, segment: segment) else { return nil }
            return MemberShape(layout: layout, segment: segment)
        }

        /// Makes the header of the packet at `start`, whose payload is in its place, from that of the packet before, at 0.
        func writeHeader(
            to packets: inout MutableRawSpan, at start: Int, after last: MemberShape, from record: RawSpan
        ) {
            let layout = last.layout
            packets.repeatBytes(0..<layout.header, at: start)
            var packet = packets.part(start..<packets.byteCount)
            layout.advance(&packet, past: last, start - layout.header, payload: packet.byteCount - layout.header)
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
