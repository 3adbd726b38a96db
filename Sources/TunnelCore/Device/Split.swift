/// Cuts a super-segment of the device into the packets that it stands for, in place: each packet's headers are written
/// before its payload, over the end of the packet before, which has been sent by then.
///
///     │ headers │ payload 0 │ payload 1 │ payload 2 │
///     └──── packet 0 ──────┘
///               └─ headers ─┴ packet 1 ─┘                  (over the end of payload 0)
struct Split {
    private let header: InternetPacket
    private let kind: VirtioHeader.Kind
    /// Where the transport header starts.
    private let transport: Int
    /// IP and transport headers together.
    private let headerLength: Int
    private let segment: Int
    private let end: Int
    private let firstIdentifier: UInt16
    /// How many packets each of the parts stands for that it is cut into.
    var identifierStep: UInt16 = 1
    private let firstSequence: UInt32
    private let flags: UInt8
    /// The headers, since those in the buffer are overwritten.
    private let template: InlineArray<192, UInt8>
    private var next: Int
    private var count = 0

    /// 60 bytes of IPv4, or 40 of IPv6 and 92 of its extensions; 60 of TCP.
    private static let longestHeaders = 192
    /// TCP flags that only the last segment carries: FIN and PSH (RFC 9293 §3.1).
    private static let lastOnly: UInt8 = 0x09
    /// The one that only the first carries: CWR (RFC 3168 §6.1.2).
    private static let firstOnly: UInt8 = 0x80

    /// How many packets it stands for.
    var packets: Int { (end - headerLength + segment - 1) / segment }

    /// `nil` if the packet is not what the virtio header says it is.
    init?(_ packet: RawSpan, _ header: InternetPacket, virtio: VirtioHeader) {
        guard !header.isFragment, virtio.segment > 0, let start = Self.transport(header, virtio) else { return nil }
        let length: Int
        switch virtio.kind {
        case .none: return nil
        case .tcp4, .tcp6:
            guard header.length >= start + TCPHeader.size else { return nil }
            let size = Int(packet.byte(at: start + TCPHeader.dataOffset) >> 4) * 4
            guard size >= TCPHeader.size else { return nil }
            length = start + size
            firstSequence = packet.big32(at: start + TCPHeader.sequence)
            flags = packet.byte(at: start + TCPHeader.flags)
        case .udp:
            guard header.length >= start + UDPHeader.size else { return nil }
            length = start + UDPHeader.size
            firstSequence = 0
            flags = 0
        }
        guard length <= Self.longestHeaders, length < header.length else { return nil }
        transport = start
        headerLength = length
        template = InlineArray { $0 < length ? packet.byte(at: $0) : 0 }
        self.header = header
        kind = virtio.kind
        segment = Int(virtio.segment)
        end = header.length
        firstIdentifier = header.isV4 ? packet.big16(at: IPv4Header.identification) : 0
        next = headerLength
    }

    /// Where the transport header starts: behind the IP header, or where the kernel says if IPv6's extensions stand between
    /// (hop-by-hop options, routing, destination options). `nil` if it is another transport.
    private static func transport(_ header: InternetPacket, _ virtio: VirtioHeader) -> Int? {
        switch (header.isV4, header.transport) {
        case (_, virtio.kind == .udp ? IPProtocol.udp : IPProtocol.tcp): return header.headerLength
        case (false, IPProtocol.hopByHopOptions), (false, IPProtocol.routing), (false, IPProtocol.destinationOptions):
            let start = Int(virtio.checksumStart)
            return virtio.needsChecksum && start > header.headerLength ? start : nil
        default: return nil
        }
    }

    /// The size of the largest of them.
    var largest: Int { min(headerLength + segment, end) }

    /// Makes the next packet and says where it is; `nil` after the last.
    @inline(__always)
    mutating func nextPacket(in superSegment: inout MutableRawSpan) -> Range<Int>? {
        guard next < end else { return nil }
        let payload = next..<min(next + segment, end)
        let start = payload.lowerBound - headerLength
        if count > 0 {
            unsafe superSegment.copy(template.span.bytes.extracting(0..<headerLength), to: start)
        }
        var packet = superSegment.part(start..<payload.upperBound)
        write(&packet, isLast: payload.upperBound == end)
        next = payload.upperBound
        count += 1
        return start..<payload.upperBound
    }

    @inline(__always)
    private func write(_ packet: inout MutableRawSpan, isLast: Bool) {
        let length = packet.byteCount - transport
        if header.isV4 {
            packet.store(big: UInt16(truncatingIfNeeded: packet.byteCount), at: IPv4Header.totalLength)
            let identifier = firstIdentifier &+ UInt16(truncatingIfNeeded: count) &* identifierStep
            packet.store(big: identifier, at: IPv4Header.identification)
            packet.storeHeaderChecksum(length: transport)
        } else {
            let payload = UInt16(truncatingIfNeeded: packet.byteCount - header.headerLength)
            packet.store(big: payload, at: IPv6Header.payloadLength)
        }
        let checksum: Int
        if kind == .udp {
            packet.store(big: UInt16(truncatingIfNeeded: length), at: transport + UDPHeader.length)
            checksum = transport + UDPHeader.checksum
        } else {
            let sequence = firstSequence &+ UInt32(truncatingIfNeeded: count &* segment)
            packet.store(big: sequence, at: transport + TCPHeader.sequence)
            let elsewhere = (isLast ? 0 : Self.lastOnly) | (count == 0 ? 0 : Self.firstOnly)
            packet.store(flags & ~elsewhere, at: transport + TCPHeader.flags)
            checksum = transport + TCPHeader.checksum
        }
        var sum = pseudoHeader(of: packet.bytes, length: length, checksum)
        packet.store(checksum: 0, at: checksum)
        sum.add(packet.bytes.extracting(transport..<packet.byteCount))
        // A UDP checksum of zero would mean that there is none (RFC 768).
        packet.store(checksum: kind == .udp && sum.value == 0 ? 0xffff : sum.value, at: checksum)
    }

    /// The sum of a packet's pseudo-header.
    @inline(__always)
    private func pseudoHeader(of packet: RawSpan, length: Int, _ checksum: Int) -> Checksum {
        guard transport > header.headerLength else {
            return Checksum(pseudoHeaderOf: packet, header, length: length)
        }
        // A routing header may hide the last destination. The kernel knows it: what stands in the field is the sum for the
        // length of the whole super-segment.
        let whole = UInt16(template[checksum]) << 8 | UInt16(template[checksum + 1])
        return Checksum(pseudoHeader: whole, from: end - transport, to: length)
    }
}

extension VirtioHeader {
    /// Adds what is missing of a checksum that the kernel left to us; false if it would not be within the packet.
    @inline(__always)
    func completeChecksum(of packet: inout MutableRawSpan) -> Bool {
        let start = Int(checksumStart)
        let field = start + Int(checksumOffset)
        guard field + 2 <= packet.byteCount else { return false }
        // The field holds the pseudo-header's sum and is part of what is summed.
        var sum = Checksum()
        sum.add(packet.bytes.extracting(start..<packet.byteCount))
        packet.store(checksum: sum.value == 0 ? 0xffff : sum.value, at: field)
        return true
    }
}
