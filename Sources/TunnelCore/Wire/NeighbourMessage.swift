import Addresses

/// A message about whose Ethernet address an IP address is, as a frame holds it: ARP (RFC 826), or a solicitation or advertisement of neighbour
/// discovery (RFC 4861 §4.3, §4.4). Only what is right in every field counts.
struct NeighbourMessage {
    /// The frame's sender says that this address is its own.
    let told: IPAddress?
    /// Whether it is a router (RFC 4861 §4.4); `nil` if it does not say.
    let isRouter: Bool?
    /// Everybody is asked whose this address is, by somebody who is there already: no probe for duplicates.
    let asked: IPAddress?

    private static let arpSize = 28
    private static let solicitation: UInt8 = 135
    private static let advertisement: UInt8 = 136
    private static let sourceOption: UInt8 = 1
    private static let targetOption: UInt8 = 2

    /// Reads a frame; `nil` if it is none, or not to be relied on.
    init?(_ frame: RawSpan, _ header: EthernetFrame) {
        guard !header.source.isGroup else { return nil }
        switch frame.big16(at: header.payload - 2) {
        case EtherType.arp: self.init(arp: frame.extracting(header.payload...), header)
        case EtherType.ipv6: self.init(packet: frame.extracting(header.payload...), header)
        default: return nil
        }
    }

    private init?(arp message: RawSpan, _ header: EthernetFrame) {
        // Ethernet and IPv4, with addresses of their sizes.
        guard message.byteCount >= Self.arpSize, message.big32(at: 0) == 0x0001_0800, message.big16(at: 4) == 0x0604,
            message.big64(at: 8) >> 16 == header.source.bits
        else { return nil }
        let operation = message.big16(at: 6)
        let sender = IPAddress.v4(message.big32(at: 14))
        let target = IPAddress.v4(message.big32(at: 24))
        guard operation == 1 || operation == 2, Self.isHost(sender) else { return nil }
        told = sender
        isRouter = false
        let isQuestion = operation == 1 && header.destination.isGroup && target != sender && Self.isHost(target)
        asked = isQuestion ? target : nil
    }

    private init?(packet: RawSpan, _ header: EthernetFrame) {
        guard let ip = InternetPacket(packet), !ip.isV4, ip.transport == IPProtocol.icmpV6,
            ip.length - ip.headerLength >= 24,
            packet.byte(at: IPv6Header.hopLimit) == 255
        else { return nil }
        let message = packet.extracting(ip.headerLength..<ip.length)
        let type = message.byte(at: 0)
        let target = IPAddress.v6(message.big128(at: 8))
        guard type == Self.solicitation || type == Self.advertisement, message.byte(at: ICMPHeader.code) == 0,
            Self.isHost(target)
        else { return nil }
        var sum = Checksum(pseudoHeaderOf: packet, ip, length: message.byteCount)
        sum.add(message)
        guard sum.folded == 0xffff else { return nil }
        let isSolicitation = type == Self.solicitation
        let option = isSolicitation ? Self.sourceOption : Self.targetOption
        guard Self.address(in: message, option) == header.source else { return nil }
        if isSolicitation {
            guard Self.isHost(ip.source) else { return nil }
            told = ip.source
            isRouter = nil
            asked = header.destination.isGroup && ip.destination.isGroup && target != ip.source ? target : nil
        } else {
            told = target
            isRouter = message.byte(at: 4) & 0x80 != 0
            asked = nil
        }
    }

    /// The link-layer address in an option (RFC 4861 §4.6.1).
    private static func address(in message: RawSpan, _ type: UInt8) -> MACAddress? {
        var offset = 24
        while offset + 8 <= message.byteCount {
            let length = Int(message.byte(at: offset + 1)) * 8
            guard length > 0, offset + length <= message.byteCount else { return nil }
            if message.byte(at: offset) == type {
                return length == 8 ? MACAddress(message.big64(at: offset) & 0xffff_ffff_ffff) : nil
            }
            offset += length
        }
        return nil
    }

    /// Whether an address can be that of a host.
    private static func isHost(_ address: IPAddress) -> Bool {
        !address.isUnspecified && !address.isGroup && !address.isLoopback
    }
}

/// The answer to a question about whose Ethernet address an IP address is.
struct NeighbourAnswer {
    /// The frame that asked, with its header, for this address.
    let question: EthernetFrame
    let asked: IPAddress
    /// Where that is, and whether it is a router.
    let address: MACAddress
    let isRouter: Bool

    /// The bytes that one needs at most: a header with two tags, and an advertisement.
    static let mostBytes = 22 + IPv6Header.size + advertisedSize
    private static let advertisedSize = 32
    /// The smallest frame of Ethernet, without its check sequence.
    private static let smallest = 60

    /// Writes it to the start of `out`, which has room for `mostBytes`; its size. `frame` is the whole question.
    func write(to out: inout MutableRawSpan, answering frame: RawSpan) -> Int {
        let start = question.payload
        out.zero(0..<Self.mostBytes)
        // The tags and the type are those of the question.
        out.copy(frame.extracting(0..<start), to: 0)
        Self.store(question.source, to: &out, at: 0)
        Self.store(address, to: &out, at: 6)
        var content = out.part(start...)
        let size =
            asked.isV4
            ? writeARP(to: &content, answering: frame.extracting(start...))
            : writeAdvertisement(to: &content, answering: frame.extracting(start...))
        return max(start + size, Self.smallest)
    }

    private func writeARP(to out: inout MutableRawSpan, answering message: RawSpan) -> Int {
        out.copy(message.extracting(0..<28), to: 0)
        out.store(big: 2 as UInt16, at: 6)
        Self.store(address, to: &out, at: 8)
        out.copy(message.extracting(24..<28), to: 14)
        out.copy(message.extracting(8..<18), to: 18)
        return 28
    }

    private func writeAdvertisement(to out: inout MutableRawSpan, answering packet: RawSpan) -> Int {
        out.store(big: 0x6000_0000 as UInt32, at: 0)
        out.store(big: UInt16(Self.advertisedSize), at: IPv6Header.payloadLength)
        out.store(IPProtocol.icmpV6, at: IPv6Header.nextHeader)
        out.store(255 as UInt8, at: IPv6Header.hopLimit)
        let target = packet.extracting(IPv6Header.size + 8..<IPv6Header.size + 24)
        out.copy(target, to: IPv6Header.source)
        out.copy(packet.extracting(IPv6Header.source..<IPv6Header.destination), to: IPv6Header.destination)
        let start = IPv6Header.size
        out.store(136 as UInt8, at: start)
        // Solicited; what is known already is not overridden, since another answers (RFC 4861 §7.2.8).
        out.store(UInt8(isRouter ? 0xc0 : 0x40), at: start + 4)
        out.copy(target, to: start + 8)
        out.store(2 as UInt8, at: start + 24)
        out.store(1 as UInt8, at: start + 25)
        Self.store(address, to: &out, at: start + 26)
        var sum = Checksum(
            pseudoHeaderOf: out.bytes, isV4: false, transport: IPProtocol.icmpV6, length: Self.advertisedSize)
        sum.add(out.bytes.extracting(start..<start + Self.advertisedSize))
        out.store(checksum: sum.value, at: start + ICMPHeader.checksum)
        return IPv6Header.size + Self.advertisedSize
    }

    private static func store(_ address: MACAddress, to out: inout MutableRawSpan, at place: Int) {
        out.store(big: UInt16(truncatingIfNeeded: address.bits >> 32), at: place)
        out.store(big: UInt32(truncatingIfNeeded: address.bits), at: place + 2)
    }
}
