/// The largest segment that a TCP end says it takes (RFC 9293 §3.7.1), in the SYN of either end, and how it is made less where
/// the tunnel carries less.
enum MaximumSegment {
    private static let synchronize: UInt8 = 0x02
    private static let endOfOptions: UInt8 = 0
    private static let noOperation: UInt8 = 1
    private static let option: UInt8 = 2
    private static let optionSize = 4

    /// Whether a packet begins a connection: only there may the option stand. What hides its ports is left alone.
    @inline(__always)
    static func isOffered(in packet: RawSpan, _ header: InternetPacket) -> Bool {
        guard header.transport == IPProtocol.tcp, !header.isFragment,
            header.length >= header.headerLength + TCPHeader.size
        else { return false }
        return packet.byte(at: header.headerLength + TCPHeader.flags) & synchronize != 0
    }

    /// Lowers the largest segment in a SYN to what fits into a packet of `mtu` bytes, headers without options (RFC 6691), or to
    /// `most`. Options that contradict themselves, and a SYN without the option, stay as they are.
    @inline(never)
    static func clamp(_ packet: inout MutableRawSpan, _ header: InternetPacket, mtu: Int, most: Int?) {
        let tcp = header.headerLength
        guard let place = find(in: packet.bytes, header) else { return }
        let fitting = mtu - (header.isV4 ? IPv4Header.size : IPv6Header.size) - TCPHeader.size
        let new = UInt16(clamping: max(most ?? fitting, 1))
        let old = packet.bytes.big16(at: place)
        guard new < old else { return }
        packet.store(big: new, at: place)
        // RFC 1624: the checksum changes by the difference of one word; at an odd place, of the word with its bytes swapped.
        let isOdd = (place - tcp) % 2 == 1
        let (before, after) = isOdd ? (old.byteSwapped, new.byteSwapped) : (old, new)
        let checksum = ~packet.bytes.big16(at: tcp + TCPHeader.checksum)
        let sum = UInt32(checksum) + UInt32(~before) + UInt32(after)
        let folded = (sum & 0xffff) + (sum >> 16)
        packet.store(big: ~UInt16(truncatingIfNeeded: folded + folded >> 16), at: tcp + TCPHeader.checksum)
    }

    /// Where the value of the option is; `nil` if there is none that can be read.
    private static func find(in packet: RawSpan, _ header: InternetPacket) -> Int? {
        let tcp = header.headerLength
        let end = tcp + Int(packet.byte(at: tcp + TCPHeader.dataOffset) >> 4) * 4
        guard end <= header.length else { return nil }
        var offset = tcp + TCPHeader.size
        while offset < end {
            let kind = packet.byte(at: offset)
            if kind == endOfOptions { return nil }
            if kind == noOperation {
                offset += 1
                continue
            }
            guard offset + 2 <= end else { return nil }
            let size = Int(packet.byte(at: offset + 1))
            guard size >= 2, offset + size <= end else { return nil }
            if kind == option { return size == optionSize ? offset + 2 : nil }
            offset += size
        }
        return nil
    }
}

/// What the largest segment of TCP is lowered to, in both directions.
public enum SegmentClamp: Sendable, Equatable {
    case off
    /// To what fits into the tunnel.
    case fitting
    case at(Int)
}
