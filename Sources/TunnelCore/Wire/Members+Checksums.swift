// The first member of a RECALL with deflate (docs/protocol.md §3.16): checksums that are what they must be are left out, since nothing that was
// sent before tells of them.

extension Members {
    /// The form of a packet that is whole but for its checksums, which are zero.
    private static let unchecked: UInt8 = 4

    /// Leaves the checksums of the first member out, if it is one packet and they are right.
    static func shortenFirst(_ members: inout MutableRawSpan) {
        guard members.byteCount > 1, members.bytes.byte(at: 0) == 0, let layout = firstLayout(of: members.bytes),
            layout.checksums != 0
        else { return }
        let before = checksums(of: members.bytes, layout)
        complete(&members, layout)
        guard checksums(of: members.bytes, layout) == before else {
            return store(before, to: &members, layout)
        }
        store(0, to: &members, layout)
        members.store(unchecked, at: 0)
    }

    /// Makes the checksums of the first member, if they were left out.
    static func completeFirst(_ members: inout MutableRawSpan) {
        guard members.byteCount > 1, members.bytes.byte(at: 0) == unchecked, let layout = firstLayout(of: members.bytes)
        else { return }
        complete(&members, layout)
        members.store(0, at: 0)
    }

    private static func firstLayout(of members: RawSpan) -> PacketLayout? {
        let packet = members.extracting(1..<members.byteCount)
        return InternetPacket(packet).map { PacketLayout(packet.extracting(0..<$0.length), $0) }
    }

    private static func complete(_ members: inout MutableRawSpan, _ layout: PacketLayout) {
        guard let header = InternetPacket(members.bytes.extracting(1..<members.byteCount)) else { return }
        let end = 1 + header.length
        let payload = Checksum(of: members.bytes.extracting(1 + layout.header..<end))
        var packet = members.part(1..<end)
        layout.completeChecksums(&packet, payload: payload, header.length - layout.header, except: 0)
    }

    /// The checksums of the packet, at most four half-words.
    private static func checksums(of members: RawSpan, _ layout: PacketLayout) -> UInt64 {
        var found: UInt64 = 0
        var rest = layout.checksums
        while rest != 0 {
            found = found << 16 | UInt64(members.little16(at: 1 + 2 * rest.trailingZeroBitCount))
            rest &= rest - 1
        }
        return found
    }

    private static func store(_ checksums: UInt64, to members: inout MutableRawSpan, _ layout: PacketLayout) {
        var left = layout.checksums.nonzeroBitCount
        var rest = layout.checksums
        while rest != 0 {
            left -= 1
            let value = UInt16(truncatingIfNeeded: checksums >> UInt64(16 * left))
            members.store(little: value, at: 1 + 2 * rest.trailingZeroBitCount)
            rest &= rest - 1
        }
    }
}
