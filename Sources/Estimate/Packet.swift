import TunnelCore

/// An IP packet of the capture, as far as the estimate looks into it.
struct Packet {
    let bytes: [UInt8]
    let isV4: Bool
    /// The protocol behind the IP header. IPv6 extensions are not followed.
    let transport: UInt8
    private let headerLength: Int
    private let isFragment: Bool

    /// `nil` if that is no IP packet, or more or less than one.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 20 else { return nil }
        self.bytes = bytes
        isV4 = bytes[0] >> 4 == 4
        guard isV4 || bytes[0] >> 4 == 6 && bytes.count >= 40 else { return nil }
        headerLength = isV4 ? Int(bytes[0] & 15) * 4 : 40
        let stated = isV4 ? Int(bytes[2]) << 8 | Int(bytes[3]) : 40 + (Int(bytes[4]) << 8 | Int(bytes[5]))
        guard headerLength >= 20, headerLength <= stated, stated == bytes.count else { return nil }
        transport = bytes[isV4 ? 9 : 6]
        isFragment = isV4 ? bytes[6] & 0x3f != 0 || bytes[7] != 0 : transport == 44
    }

    /// Source and destination.
    private var addresses: (ArraySlice<UInt8>, ArraySlice<UInt8>) {
        isV4 ? (bytes[12..<16], bytes[16..<20]) : (bytes[8..<24], bytes[24..<40])
    }

    /// Of two hosts, the one with the lower address is at the first end.
    var isFromFirst: Bool {
        let (source, destination) = addresses
        return source.lexicographicallyPrecedes(destination)
    }

    /// To a group, or to a neighbour on the same link: no tunnel between networks carries it.
    var isLocal: Bool {
        let to = Array(addresses.1)
        if isV4 { return to[0] >> 4 == 14 || to[0] == 169 && to[1] == 254 || to == [255, 255, 255, 255] }
        return to[0] == 0xff || to[0] == 0xfe && to[1] & 0xc0 == 0x80
    }

    /// Source and destination.
    var ports: (UInt16, UInt16)? {
        guard transport == IPProtocol.tcp || transport == IPProtocol.udp, !isFragment, bytes.count >= headerLength + 4
        else {
            return nil
        }
        let at = headerLength
        return (UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]), UInt16(bytes[at + 2]) << 8 | UInt16(bytes[at + 3]))
    }

    /// The headers, if it can be cut into packets of one flow.
    private var cutAt: Int? {
        guard ports != nil else { return nil }
        let left = bytes.count - headerLength
        let size: Int
        if transport == IPProtocol.tcp {
            guard left >= 20 else { return nil }
            size = Int(bytes[headerLength + 12] >> 4) * 4
            guard size >= 20 else { return nil }
        } else {
            guard left >= 8 else { return nil }
            let stated = Int(bytes[headerLength + 4]) << 8 | Int(bytes[headerLength + 5])
            guard stated == left else { return nil }
            size = 8
        }
        return size < left ? headerLength + size : nil
    }

    /// Longer than the tunnel's packets, and not of a kind that is cut into them.
    func isTooLong(mtu: Int) -> Bool { bytes.count > mtu && (cutAt ?? mtu) >= mtu }

    /// What the capturing host left to its network card to cut: what a device hands over with it, a virtio
    /// header (virtio 1.2 §5.1.6) in front. `nil` if it is a packet as it is.
    func superSegment(mtu: Int) -> [UInt8]? {
        guard bytes.count > mtu, let cutAt, cutAt < mtu else { return nil }
        let kind: UInt8 = transport == IPProtocol.udp ? 5 : isV4 ? 1 : 4
        let segment = UInt16(clamping: mtu - cutAt)
        return [0, kind, 0, 0, UInt8(truncatingIfNeeded: segment), UInt8(segment >> 8), 0, 0, 0, 0] + bytes
    }
}
