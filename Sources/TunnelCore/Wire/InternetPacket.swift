import Addresses

/// The header of an IP packet (RFC 791, RFC 8200), checked as far as the tunnel relies on it.
struct InternetPacket {
    let source: IPAddress
    let destination: IPAddress
    /// The length that the packet says it has; never more than there are bytes.
    private(set) var length: Int
    /// Where the payload starts, and its protocol number: of the first header only, IPv6 extensions are not followed.
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
        case 0, 43, 60, 135, 139, 140: true
        default: false
        }
    }

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
        guard bytes.byteCount >= 20 else { return nil }
        let first = bytes.byte(at: 0)
        if first >> 4 == 4 {
            headerLength = Int(first & 15) * 4
            length = Int(bytes.big16(at: 2))
            guard headerLength >= 20, length >= headerLength, length <= bytes.byteCount else { return nil }
            source = .v4(bytes.big32(at: 12))
            destination = .v4(bytes.big32(at: 16))
            transport = bytes.byte(at: 9)
            congestion = CongestionBits(rawValue: bytes.byte(at: 1) & 3)
            isFragment = bytes.big16(at: 6) & 0x3fff != 0
        } else if first >> 4 == 6 {
            guard bytes.byteCount >= 40 else { return nil }
            headerLength = 40
            length = 40 + Int(bytes.big16(at: 4))
            guard length <= bytes.byteCount else { return nil }
            source = .v6(bytes.big128(at: 8))
            destination = .v6(bytes.big128(at: 24))
            transport = bytes.byte(at: 6)
            congestion = CongestionBits(rawValue: bytes.byte(at: 1) >> 4 & 3)
            isFragment = transport == 44
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
            let sum = UInt32(~packet.bytes.big16(at: 10)) + UInt32(~old) + UInt32(new)
            let folded = (sum & 0xffff) + (sum >> 16)
            packet.store(big: new, at: 0)
            packet.store(big: ~UInt16(truncatingIfNeeded: folded + folded >> 16), at: 10)
        } else {
            let second = packet.bytes.byte(at: 1)
            guard second & 0x30 != 0 else { return false }
            packet.store(second | 0x30, at: 1)
        }
        return true
    }
}
