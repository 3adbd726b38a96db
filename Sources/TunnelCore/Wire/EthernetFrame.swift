import Addresses

/// The header of an Ethernet frame (IEEE 802.3 §3), without preamble and check sequence.
struct EthernetFrame {
    /// Two addresses and a type or length.
    static let headerSize = 14
    private static let tagSize = 4

    let destination: MACAddress
    let source: MACAddress
    /// The VLAN of the outer tag; 0 without one.
    let vlan: UInt16
    /// Where the payload starts, behind up to two VLAN tags (IEEE 802.1Q), and whether it says that it is IP.
    let payload: Int
    let isIP: Bool

    /// Reads the header; `nil` if the frame is shorter than one.
    init?(_ frame: RawSpan) {
        guard frame.byteCount >= Self.headerSize else { return nil }
        destination = MACAddress(frame.big64(at: 0) >> 16)
        source = MACAddress(frame.big64(at: 6) >> 16)
        var offset = 12
        var vlan: UInt16 = 0
        for number in 0..<2 {
            let type = frame.big16(at: offset)
            guard type == EtherType.vlan || type == EtherType.serviceVLAN, frame.byteCount >= offset + 2 + Self.tagSize
            else { break }
            if number == 0 { vlan = frame.big16(at: offset + 2) & 0xfff }
            offset += Self.tagSize
        }
        self.vlan = vlan
        let type = frame.big16(at: offset)
        payload = offset + 2
        isIP = type == EtherType.ipv4 || type == EtherType.ipv6
    }

    /// The numbers of all VLAN tags of the frame, and how many there are, in one. Their priorities don't count.
    func vlans(_ frame: RawSpan) -> UInt32 {
        let tags = (payload - Self.headerSize) / Self.tagSize
        guard tags > 0 else { return 0 }
        let inner = tags > 1 ? UInt32(frame.big16(at: 18) & 0xfff) : 0
        return UInt32(tags) << 24 | UInt32(vlan) << 12 | inner
    }

    /// The IP packet in the frame.
    func packet(in frame: RawSpan) -> InternetPacket? {
        isIP ? InternetPacket(frame.extracting(payload..<frame.byteCount)) : nil
    }
}
