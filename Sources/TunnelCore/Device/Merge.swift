/// The headers of a TCP or UDP packet that others may be appended to, or that may be appended to another: what a kernel's
/// receive offload looks at (RFC 9293, RFC 768; no IP options, no fragments, no TCP flags but ACK and PSH).
struct MergeCandidate {
    let isTCP: Bool
    let isV4: Bool
    /// Where the transport header and the payload start.
    let transport: Int
    let payload: Int
    /// Where the packet ends.
    let end: Int
    let sequence: UInt32
    /// IPv4's identifier where it means something: in a packet that routers may fragment (RFC 6864 §4).
    let identifier: UInt16?
    /// PSH is set: nothing may follow.
    let isPushed: Bool

    private static let acknowledge: UInt8 = 0x10
    fileprivate static let push: UInt8 = 0x08
    private static let dontFragment: UInt8 = 0x40

    /// `nil` if the packet is none that may be merged.
    @inline(__always)
    init?(_ packet: RawSpan, _ header: InternetPacket) {
        transport = header.headerLength
        isV4 = header.isV4
        end = header.length
        guard !header.isFragment, isV4 ? transport == IPv4Header.size : true else { return nil }
        identifier =
            isV4 && packet.byte(at: IPv4Header.fragmentOffset) & Self.dontFragment == 0
            ? packet.big16(at: IPv4Header.identification) : nil
        switch header.transport {
        case IPProtocol.tcp:
            guard end > transport + TCPHeader.size else { return nil }
            let flags = packet.byte(at: transport + TCPHeader.flags)
            guard flags & ~Self.push == Self.acknowledge else { return nil }
            payload = transport + Int(packet.byte(at: transport + TCPHeader.dataOffset) >> 4) * 4
            sequence = packet.big32(at: transport + TCPHeader.sequence)
            isPushed = flags & Self.push != 0
            isTCP = true
        case IPProtocol.udp:
            payload = transport + UDPHeader.size
            guard end > payload, Int(packet.big16(at: transport + UDPHeader.length)) == end - transport,
                packet.big16(at: transport + UDPHeader.checksum) != 0
            else { return nil }
            sequence = 0
            isPushed = false
            isTCP = false
        default: return nil
        }
        guard payload >= transport + (isTCP ? TCPHeader.size : UDPHeader.size), payload < end else { return nil }
    }

    /// Whether everything that must be the same in both is: addresses, ports, hop limit, traffic class, acknowledgement,
    /// window, options.
    @inline(__always)
    static func areAlike(_ a: RawSpan, _ b: RawSpan, as candidate: MergeCandidate) -> Bool {
        if candidate.isV4 {
            // All but total length, identification and checksum; flags and offset are the same and say "no fragment".
            guard a.little16(at: 0) == b.little16(at: 0), a.little32(at: 6) == b.little32(at: 6),
                a.little64(at: 12) == b.little64(at: 12)
            else { return false }
        } else {
            guard a.little32(at: 0) == b.little32(at: 0), a.little16(at: 6) == b.little16(at: 6),
                a.big128(at: 8) == b.big128(at: 8), a.big128(at: 24) == b.big128(at: 24)
            else { return false }
        }
        let start = candidate.transport
        guard a.little32(at: start) == b.little32(at: start) else { return false }
        guard candidate.isTCP else { return true }
        guard a.little32(at: start + 8) == b.little32(at: start + 8), a.byte(at: start + 12) == b.byte(at: start + 12),
            a.little16(at: start + 14) == b.little16(at: start + 14)
        else { return false }
        guard a.little16(at: start + 18) == b.little16(at: start + 18) else { return false }
        var option = start + TCPHeader.size
        while option < candidate.payload {
            guard a.little32(at: option) == b.little32(at: option) else { return false }
            option += 4
        }
        return true
    }

    /// Whether the checksums are right; a packet with a wrong one must arrive as it is.
    @inline(__always)
    func hasRightChecksum(_ packet: RawSpan, _ header: InternetPacket) -> Bool {
        if isV4 {
            var sum = Checksum()
            sum.add(packet.extracting(0..<transport))
            guard sum.folded == 0xffff else { return false }
        }
        var sum = Checksum(pseudoHeaderOf: packet, header, length: end - transport)
        sum.add(packet.extracting(transport..<end))
        return sum.folded == 0xffff
    }
}

/// Packets of one flow that become one write to the device, with the headers of the first.
struct Merge {
    /// The packets that UDP_GRO and older kernels' UDP segmentation take at most.
    private static let mostPackets = 64

    let first: MergeCandidate
    let header: InternetPacket
    /// The bytes of the Ethernet header before the packet; 0 without one.
    let start: Int
    /// The payload of every packet but the last.
    let segment: Int
    private(set) var count = 1
    /// The bytes of the whole packet.
    private(set) var length: Int
    private var nextSequence: UInt32
    private var isClosed: Bool
    private var isPushed: Bool

    init(_ first: MergeCandidate, _ header: InternetPacket) {
        self.init(first, header, of: first.end - first.payload)
    }

    /// Begins with a packet that stands for several, of so many bytes each, behind an Ethernet header of `start` bytes.
    init(_ first: MergeCandidate, _ header: InternetPacket, of segment: Int, behind start: Int = 0) {
        self.start = start
        self.first = first
        self.header = header
        self.segment = segment
        let payload = first.end - first.payload
        count = (payload + segment - 1) / segment
        length = first.end
        nextSequence = first.sequence &+ UInt32(truncatingIfNeeded: payload)
        isPushed = first.isPushed
        isClosed = first.isPushed || payload % segment != 0
    }

    /// Whether `packet` continues what has been merged so far; it then counts as part of it. `head` is the first packet.
    @inline(__always)
    mutating func append(_ packet: RawSpan, _ candidate: MergeCandidate, to head: RawSpan) -> Bool {
        let payload = candidate.end - candidate.payload
        guard payload <= segment, count < Self.mostPackets, continues(packet, candidate, head) else { return false }
        note(payload, packets: 1, isFull: payload == segment, candidate)
        return true
    }

    /// The same for a packet that stands for several, of `segment` bytes each.
    mutating func append(
        segmented packet: RawSpan, _ candidate: MergeCandidate, of segment: Int, to head: RawSpan
    ) -> Bool {
        let payload = candidate.end - candidate.payload
        let packets = (payload + segment - 1) / segment
        guard segment == self.segment, count + packets <= Self.mostPackets, continues(packet, candidate, head) else {
            return false
        }
        note(payload, packets: packets, isFull: payload % segment == 0, candidate)
        return true
    }

    @inline(__always)
    private func continues(_ packet: RawSpan, _ candidate: MergeCandidate, _ head: RawSpan) -> Bool {
        !isClosed && candidate.isTCP == first.isTCP && candidate.isV4 == first.isV4
            && candidate.transport == first.transport && candidate.payload == first.payload
            && length + candidate.end - candidate.payload <= Limits.packet
            && (!candidate.isTCP || candidate.sequence == nextSequence) && continuesIdentifiers(candidate)
            && MergeCandidate.areAlike(head, packet, as: candidate)
    }

    @inline(__always)
    private mutating func note(_ payload: Int, packets: Int, isFull: Bool, _ candidate: MergeCandidate) {
        nextSequence &+= UInt32(truncatingIfNeeded: payload)
        length += payload
        count += packets
        isPushed = isPushed || candidate.isPushed
        isClosed = !isFull || candidate.isPushed
    }

    /// Whether the packet has the identifier that the kernel will give it when it cuts what is written.
    @inline(__always)
    private func continuesIdentifiers(_ candidate: MergeCandidate) -> Bool {
        guard let identifier = candidate.identifier, let start = first.identifier else { return true }
        return identifier == start &+ UInt16(truncatingIfNeeded: count)
    }

    /// Writes what is to be known of all packets into the first one's headers, and returns the virtio header. Nothing
    /// changes if it is the only one.
    func finish(_ packet: inout MutableRawSpan) -> VirtioHeader {
        var virtio = VirtioHeader()
        guard count > 1 else { return virtio }
        let transport = length - first.transport
        if first.isV4 {
            packet.store(big: UInt16(truncatingIfNeeded: length), at: IPv4Header.totalLength)
            packet.storeHeaderChecksum(length: first.transport)
        } else {
            packet.store(big: UInt16(truncatingIfNeeded: transport), at: IPv6Header.payloadLength)
        }
        if first.isTCP {
            let flags = first.transport + TCPHeader.flags
            if isPushed { packet.store(packet.bytes.byte(at: flags) | MergeCandidate.push, at: flags) }
        } else {
            packet.store(big: UInt16(truncatingIfNeeded: transport), at: first.transport + UDPHeader.length)
        }
        virtio.needsChecksum = true
        virtio.kind = first.isTCP ? (first.isV4 ? .tcp4 : .tcp6) : .udp
        virtio.headerLength = UInt16(start + first.payload)
        virtio.segment = UInt16(segment)
        virtio.checksumStart = UInt16(start + first.transport)
        virtio.checksumOffset = UInt16(first.isTCP ? TCPHeader.checksum : UDPHeader.checksum)
        let sum = Checksum(pseudoHeaderOf: packet.bytes, header, length: transport)
        packet.store(checksum: sum.folded, at: first.transport + Int(virtio.checksumOffset))
        return virtio
    }
}
