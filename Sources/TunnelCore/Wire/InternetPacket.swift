import Addresses

/// The header of an IP packet (RFC 791, RFC 8200), checked as far as the tunnel relies on it.
struct InternetPacket {
    let source: IPAddress
    let destination: IPAddress
    /// The length that the packet says it has; never more than there are bytes.
    private(set) var length: Int
    /// The offset of the payload, and its protocol number: of the first header only, IPv6 extensions are not followed.
    let headerLength: Int
    let transport: UInt8
    /// The last two bits of the traffic class (RFC 3168).
    let congestion: CongestionBits
    /// A fragment: its payload does not start with a transport header, or does not end here.
    let isFragment: Bool

    /// There may be ports, but not where they could be seen: fragments, IPv6 extension headers (RFC 8200 §4).
    @inline(__always) var hidesPorts: Bool {
        if isFragment { return true }
        guard !isV4 else { return false }
        return switch transport {
        case IPProtocol.hopByHopOptions, IPProtocol.routing, IPProtocol.destinationOptions, IPProtocol.mobility,
            IPProtocol.hostIdentity, IPProtocol.shim6:
            true
        default: false
        }
    }

    /// Whether it is of a protocol with ports.
    @inline(__always) var isTCPOrUDP: Bool { transport == IPProtocol.tcp || transport == IPProtocol.udp }

    @inline(__always) var isV4: Bool { source.isV4 }

    /// The same header on a packet of another length.
    @inline(__always) func resized(to length: Int) -> InternetPacket {
        var header = self
        header.length = length
        return header
    }

    /// Reads the header; `nil` if the bytes are no whole IP packet.
    @inline(__always)
    init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= IPv4Header.size else { return nil }
        let first = bytes.byte(at: 0)
        if first >> 4 == 4 {
            headerLength = Int(first & 15) * 4
            length = Int(bytes.big16(at: IPv4Header.totalLength))
            guard headerLength >= IPv4Header.size, length >= headerLength, length <= bytes.byteCount else {
                return nil
            }
            source = .v4(bytes.big32(at: IPv4Header.source))
            destination = .v4(bytes.big32(at: IPv4Header.destination))
            transport = bytes.byte(at: IPv4Header.transport)
            congestion = CongestionBits(rawValue: bytes.byte(at: IPv4Header.trafficClass) & 3)
            isFragment = bytes.big16(at: IPv4Header.fragmentOffset) & 0x3fff != 0
        } else if first >> 4 == 6 {
            guard bytes.byteCount >= IPv6Header.size else { return nil }
            headerLength = IPv6Header.size
            length = IPv6Header.size + Int(bytes.big16(at: IPv6Header.payloadLength))
            guard length <= bytes.byteCount else { return nil }
            source = .v6(bytes.big128(at: IPv6Header.source))
            destination = .v6(bytes.big128(at: IPv6Header.destination))
            transport = bytes.byte(at: IPv6Header.nextHeader)
            congestion = CongestionBits(rawValue: bytes.byte(at: 1) >> 4 & 3)
            isFragment = transport == IPProtocol.fragment
        } else {
            return nil
        }
    }
}

/// The congestion field of an IP header (RFC 3168 §5).
struct CongestionBits: Equatable {
    let rawValue: UInt8

    static let notCapable = CongestionBits(rawValue: 0)
    static let experienced = CongestionBits(rawValue: 3)

    /// Whether a router may mark the packet where it would have dropped it (RFC 3168 §5).
    var isCapable: Bool { self != .notCapable }

    /// Marks a packet inside as having experienced congestion, because the datagram outside did (RFC 6040 §4.2).
    /// False if the packet cannot carry the mark and must be dropped.
    static func markExperienced(_ packet: inout MutableRawSpan) -> Bool {
        if packet.bytes.byte(at: 0) >> 4 == 4 {
            let old = packet.bytes.big16(at: 0)
            guard old & 3 != 0 else { return false }
            // Even a checksum that is wrong stays what it is where nothing changes.
            guard old & 3 != 3 else { return true }
            let new = old | 3
            // RFC 1624: the header checksum changes by the difference of one word.
            let sum = UInt32(~packet.bytes.big16(at: IPv4Header.checksum)) + UInt32(~old) + UInt32(new)
            let folded = (sum & 0xffff) + (sum >> 16)
            packet.store(big: new, at: 0)
            packet.store(big: ~UInt16(truncatingIfNeeded: folded + folded >> 16), at: IPv4Header.checksum)
        } else {
            let second = packet.bytes.byte(at: 1)
            guard second & 0x30 != 0 else { return false }
            packet.store(second | 0x30, at: 1)
        }
        return true
    }
}
