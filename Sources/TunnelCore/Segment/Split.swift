/// Cuts a super-segment of the device into the packets that it stands for, in place: each packet's headers are written
/// before its payload, over the end of the packet before, which has been sent by then.
///
///     │ headers │ payload 0 │ payload 1 │ payload 2 │
///     └──── packet 0 ──────┘
///               └─ headers ─┴ packet 1 ─┘                  (over the end of payload 0)
struct Split {
    private let header: InternetPacket
    private let kind: VirtioHeader.Kind
    /// IP and transport headers together.
    private let headerLength: Int
    private let segment: Int
    private let end: Int
    private let firstIdentifier: UInt16
    private let firstSequence: UInt32
    private let flags: UInt8
    /// The headers, since those in the buffer are overwritten.
    private let template: InlineArray<120, UInt8>
    private var next: Int
    private var count = 0

    /// 60 bytes of IP, 60 of TCP.
    private static let longestHeaders = 120
    /// TCP flags that only the last segment carries: FIN and PSH (RFC 9293 §3.1).
    private static let lastOnly: UInt8 = 0x09
    private static let sequenceOffset = 4
    private static let flagsOffset = 13

    /// `nil` if the packet is not what the virtio header says it is.
    init?(_ packet: RawSpan, _ header: InternetPacket, _ virtio: VirtioHeader) {
        let start = header.headerLength
        guard !header.isFragment, virtio.segment > 0 else { return nil }
        let length: Int
        switch virtio.kind {
        case .none: return nil
        case .tcp4, .tcp6:
            guard header.transport == 6, header.length >= start + 20 else { return nil }
            let transport = Int(packet.byte(at: start + 12) >> 4) * 4
            guard transport >= 20 else { return nil }
            length = start + transport
            firstSequence = packet.big32(at: start + Self.sequenceOffset)
            flags = packet.byte(at: start + Self.flagsOffset)
        case .udp:
            guard header.transport == 17, header.length >= start + 8 else { return nil }
            length = start + 8
            firstSequence = 0
            flags = 0
        }
        guard length <= Self.longestHeaders, length < header.length else { return nil }
        headerLength = length
        template = InlineArray { $0 < length ? packet.byte(at: $0) : 0 }
        self.header = header
        kind = virtio.kind
        segment = Int(virtio.segment)
        end = header.length
        firstIdentifier = header.isV4 ? packet.big16(at: 4) : 0
        next = headerLength
    }

    /// Makes the next packet and says where it is; `nil` after the last.
    @inline(__always)
    mutating func nextPacket(in frame: inout MutableRawSpan) -> Range<Int>? {
        guard next < end else { return nil }
        let payload = next..<min(next + segment, end)
        let start = payload.lowerBound - headerLength
        if count > 0 {
            for offset in 0..<headerLength { frame.store(template[offset], at: start + offset) }
        }
        var packet = frame.part(start..<payload.upperBound)
        write(&packet, isLast: payload.upperBound == end)
        next = payload.upperBound
        count += 1
        return start..<payload.upperBound
    }

    @inline(__always)
    private func write(_ packet: inout MutableRawSpan, isLast: Bool) {
        let transport = header.headerLength
        let length = packet.byteCount - transport
        if header.isV4 {
            packet.store(big: UInt16(truncatingIfNeeded: packet.byteCount), at: 2)
            packet.store(big: firstIdentifier &+ UInt16(truncatingIfNeeded: count), at: 4)
            packet.storeHeaderChecksum(length: transport)
        } else {
            packet.store(big: UInt16(truncatingIfNeeded: length), at: 4)
        }
        let checksum: Int
        if kind == .udp {
            packet.store(big: UInt16(truncatingIfNeeded: length), at: transport + 4)
            checksum = transport + 6
        } else {
            let sequence = firstSequence &+ UInt32(truncatingIfNeeded: count &* segment)
            packet.store(big: sequence, at: transport + Self.sequenceOffset)
            packet.store(isLast ? flags : flags & ~Self.lastOnly, at: transport + Self.flagsOffset)
            checksum = transport + 16
        }
        packet.store(checksum: 0, at: checksum)
        var sum = Checksum(pseudoHeaderOf: packet.bytes, header, length: length)
        sum.add(packet.bytes.extracting(transport..<packet.byteCount))
        // A UDP checksum of zero would mean that there is none (RFC 768).
        packet.store(checksum: kind == .udp && sum.value == 0 ? 0xffff : sum.value, at: checksum)
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
