extension KeyedHash {
    /// A hash of the flow that a packet belongs to: the peer that it goes to or comes from, addresses, protocol and, where they can
    /// be seen, ports.
    @inline(__always)
    func flow(of packet: RawSpan, _ header: InternetPacket, with peer: PeerSlot) -> UInt64 {
        var rest = UInt64(header.transport) << 32 | UInt64(UInt32(bitPattern: peer.number)) << 40
        if header.isTCPOrUDP, !header.hidesPorts, header.length >= header.headerLength + 4 {
            rest ^= UInt64(packet.little32(at: header.headerLength))
        }
        if header.isV4 { return fold(packet.little64(at: IPv4Header.source), rest, round: 0) }
        let source = fold(packet.little64(at: IPv6Header.source), packet.little64(at: IPv6Header.source + 8), round: 0)
        let destination = fold(
            packet.little64(at: IPv6Header.destination), packet.little64(at: IPv6Header.destination + 8), round: 2)
        return fold(source ^ destination.byteSwapped, rest, round: 1)
    }

    /// The name of all packets between the same addresses, in one direction. It is none of a flow's.
    func hosts(of packet: RawSpan, _ header: InternetPacket, with peer: PeerSlot) -> UInt64 {
        let rest = UInt64(UInt32(bitPattern: peer.number)) << 8 | UInt64(header.isV4 ? 4 : 6)
        if header.isV4 { return fold(packet.little64(at: IPv4Header.source), rest, round: 2) }
        let source = fold(packet.little64(at: IPv6Header.source), packet.little64(at: IPv6Header.source + 8), round: 1)
        let destination = fold(
            packet.little64(at: IPv6Header.destination), packet.little64(at: IPv6Header.destination + 8), round: 0)
        return fold(source ^ destination.byteSwapped, rest, round: 2)
    }
}
