/// The part of a packet that is header, as docs/protocol.md §3.3 has it: IP, and TCP or UDP if that follows directly and whole.
struct PacketLayout: Equatable {
    enum Transport { case tcp, udp, other }

    /// IPv4 and TCP with all the options that there can be.
    static let longestHeader = IPv4Header.longest + TCPHeader.longest

    let isV4: Bool
    /// The protocol number, and whether its header counts.
    let number: UInt8
    let transport: Transport
    /// Where the transport header starts, and where the payload does.
    let internet: Int
    let header: Int

    /// The layout of no packet.
    static let none = PacketLayout()

    private init() {
        isV4 = true
        number = 0
        transport = .other
        internet = 0
        header = 0
    }

    @inline(__always)
    init(_ packet: RawSpan, _ header: InternetPacket) {
        isV4 = header.isV4
        number = header.transport
        internet = header.headerLength
        let rest = header.length - internet
        switch header.transport {
        case _ where header.isFragment:
            transport = .other
            self.header = internet
        case IPProtocol.tcp where rest >= TCPHeader.size:
            let size = Int(packet.byte(at: internet + TCPHeader.dataOffset) >> 4) * 4
            transport = size >= TCPHeader.size && size <= rest ? .tcp : .other
            self.header = transport == .tcp ? internet + size : internet
        case IPProtocol.udp where rest >= UDPHeader.size:
            transport = .udp
            self.header = internet + UDPHeader.size
        default:
            transport = .other
            self.header = internet
        }
    }

    /// Whether one header may be written as what differs from the other.
    @inline(__always)
    func isLike(_ other: PacketLayout) -> Bool { self == other }

    /// The half-words that hold checksums, as bits.
    var checksums: UInt64 {
        var bits: UInt64 = isV4 ? 1 << 5 : 0
        if let offset = checksumOffset { bits |= 1 << UInt64(offset / 2) }
        return bits
    }

    /// Where the transport's checksum is.
    var checksumOffset: Int? {
        switch transport {
        case .tcp: internet + TCPHeader.checksum
        case .udp: internet + UDPHeader.checksum
        case .other: nil
        }
    }

    /// Changes a copy of the header of the packet before, which had `before` bytes of payload, into what the next one with
    /// `payload` bytes is expected to have; all but the checksums.
    func advance(_ packet: inout MutableRawSpan, past last: MemberShape, _ before: Int, payload: Int) {
        let length = header + payload
        if isV4 {
            let packets = UInt16(truncatingIfNeeded: last.packets(of: header + before))
            packet.store(big: UInt16(truncatingIfNeeded: length), at: IPv4Header.totalLength)
            let identification = packet.bytes.big16(at: IPv4Header.identification) &+ packets
            packet.store(big: identification, at: IPv4Header.identification)
        } else {
            packet.store(big: UInt16(truncatingIfNeeded: length - IPv6Header.size), at: IPv6Header.payloadLength)
        }
        switch transport {
        case .tcp:
            let sequence = packet.bytes.big32(at: internet + TCPHeader.sequence)
            packet.store(big: sequence &+ UInt32(truncatingIfNeeded: before), at: internet + TCPHeader.sequence)
        case .udp:
            packet.store(big: UInt16(truncatingIfNeeded: UDPHeader.size + payload), at: internet + UDPHeader.length)
        case .other:
            break
        }
    }

    /// Puts the right checksums into the header, except those whose bit is set. `payload` is the sum of the `length` bytes
    /// that follow it.
    func completeChecksums(
        _ packet: inout MutableRawSpan, payload: Checksum, _ length: Int, except mask: UInt64
    ) {
        if isV4, mask & 1 << 5 == 0 { packet.storeHeaderChecksum(length: internet) }
        guard let offset = checksumOffset, mask & 1 << UInt64(offset / 2) == 0 else { return }
        packet.store(checksum: 0, at: offset)
        var sum = Checksum(
            pseudoHeaderOf: packet.bytes, isV4: isV4, transport: number, length: header - internet + length)
        sum.add(packet.bytes.extracting(internet..<header))
        sum.add(payload)
        packet.store(checksum: transport == .udp && sum.value == 0 ? 0xffff : sum.value, at: offset)
    }

    /// Whether the packet can stand for several with `segment` bytes of payload each.
    func maySegment(_ packet: RawSpan, _ header: InternetPacket, segment: Int) -> Bool {
        guard transport != .other, header.length - self.header > segment else { return false }
        // UDP has no lengths but those of its packets (RFC 768).
        return transport == .tcp || Int(packet.big16(at: internet + UDPHeader.length)) == header.length - internet
    }

    /// Whether the flags of a segmented TCP packet are such that only cutting it here puts them where they belong: CWR, and
    /// what no stream has in its middle.
    func hasLateFlags(_ packet: RawSpan) -> Bool {
        transport == .tcp && packet.byte(at: internet + TCPHeader.flags) & 0xa6 != 0
    }
}

/// A packet, or a frame with one, as a member of a record.
struct MemberShape {
    let layout: PacketLayout
    /// The payload of each packet that it stands for but the last; 0 if it is one packet.
    let segment: Int
    /// The bytes of the Ethernet header before the packet, in a frame that stands for several.
    var start = 0

    /// The bytes of all headers that each of them has.
    @inline(__always) var header: Int { start + layout.header }

    /// How many packets it stands for.
    @inline(__always)
    func packets(of length: Int) -> Int {
        segment == 0 ? 1 : (length - header + segment - 1) / segment
    }

    /// The bytes of all of them.
    @inline(__always)
    func plainBytes(of length: Int) -> Int { length + (packets(of: length) - 1) * header }

    /// The size of the largest of them.
    @inline(__always)
    func largest(of length: Int) -> Int { segment == 0 ? length : min(header + segment, length) }

    /// The bytes that it needs at most in a record besides its own.
    @inline(__always) var overhead: Int { start > 0 ? Frames.segmentedOverhead : Members.overhead }
}
