import Addresses

/// The answer to a packet that can go nowhere: ICMP "host unreachable" (RFC 792) or ICMPv6 "address unreachable"
/// (RFC 4443 §3.1), as the kernel's WireGuard gives it.
///
///     │ IP header │ type, code, checksum │ 0 │ as much of the packet as fits │
enum Unreachable {
    /// An ICMP error quotes so much that it is no longer than this (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
    private static let longestV4 = 576
    private static let longestV6 = 1280
    private static let hopLimit: UInt8 = 64
    // Types and codes (RFC 792, RFC 4443 §3.1).
    private static let destinationUnreachable: UInt8 = 3
    private static let hostUnreachable: UInt8 = 1
    private static let destinationUnreachableV6: UInt8 = 1
    private static let addressUnreachableV6: UInt8 = 3
    private static let fragmentationNeeded: UInt8 = 4
    private static let packetTooBigV6: UInt8 = 2

    /// The bytes that `write` needs at most.
    static let maximumSize = longestV6

    /// Whether a packet may be answered: never an error, nor what was not sent to one host by one host (RFC 1122
    /// §3.2.2).
    static func mayAnswer(_ packet: RawSpan, _ header: InternetPacket) -> Bool {
        guard !header.isFragment, isOneHost(header.source), isOneHost(header.destination) else { return false }
        guard header.length > header.headerLength else { return true }
        let type = packet.byte(at: header.headerLength)
        switch (header.transport, header.isV4) {
        // Echo and its reply, timestamp and its reply: all else are errors, or nothing that wants an answer.
        case (IPProtocol.icmp, true): return [0, 8, 13, 14].contains(type)
        case (IPProtocol.icmpV6, false): return type == 128 || type == 129
        default: return true
        }
    }

    /// Writes the answer to `packet` into `space`; its size. It comes from `source`, or from the address that the packet was
    /// for.
    /// `fitting` makes it "fragmentation needed" or "packet too big", with what fits.
    static func write(
        answering packet: RawSpan, _ header: InternetPacket, from source: IPAddress?, fitting: Int? = nil,
        to space: inout MutableRawSpan
    ) -> Int {
        let size =
            header.isV4
            ? writeV4(packet, header, from: source, to: &space) : writeV6(packet, header, from: source, to: &space)
        if let fitting { tell(fitting, isV4: header.isV4, in: &space, size) }
        return size
    }

    /// Makes the answer say what fits (RFC 1191 §4, RFC 4443 §3.2).
    private static func tell(_ fitting: Int, isV4: Bool, in space: inout MutableRawSpan, _ size: Int) {
        let message = isV4 ? IPv4Header.size : IPv6Header.size
        space.store(isV4 ? destinationUnreachable : packetTooBigV6, at: message)
        space.store(isV4 ? fragmentationNeeded : 0, at: message + ICMPHeader.code)
        space.store(big: UInt16(clamping: fitting), at: message + ICMPHeader.size - 2)
        space.store(checksum: 0, at: message + ICMPHeader.checksum)
        var sum = Checksum()
        if !isV4, let answer = InternetPacket(space.bytes.extracting(0..<size)) {
            sum = Checksum(pseudoHeaderOf: space.bytes, answer, length: size - message)
        }
        sum.add(space.bytes.extracting(message..<size))
        space.store(checksum: sum.value, at: message + ICMPHeader.checksum)
    }

    private static func writeV4(
        _ packet: RawSpan, _ header: InternetPacket, from source: IPAddress?, to space: inout MutableRawSpan
    ) -> Int {
        let message = IPv4Header.size
        let quote = message + ICMPHeader.size
        let quoted = min(header.length, longestV4 - quote)
        let length = quote + quoted
        space.zero(0..<quote)
        space.store(0x45 as UInt8, at: 0)
        space.store(big: UInt16(length), at: IPv4Header.totalLength)
        space.store(hopLimit, at: IPv4Header.timeToLive)
        space.store(IPProtocol.icmp, at: IPv4Header.transport)
        space.copy(packet.extracting(IPv4Header.destination..<IPv4Header.size), to: IPv4Header.source)
        if case .v4(let bits) = source { space.store(big: bits, at: IPv4Header.source) }
        space.copy(packet.extracting(IPv4Header.source..<IPv4Header.destination), to: IPv4Header.destination)
        space.storeHeaderChecksum(length: IPv4Header.size)
        space.store(destinationUnreachable, at: message)
        space.store(hostUnreachable, at: message + ICMPHeader.code)
        space.copy(packet.extracting(0..<quoted), to: quote)
        var sum = Checksum()
        sum.add(space.bytes.extracting(message..<length))
        space.store(checksum: sum.value, at: message + ICMPHeader.checksum)
        return length
    }

    private static func writeV6(
        _ packet: RawSpan, _ header: InternetPacket, from source: IPAddress?, to space: inout MutableRawSpan
    ) -> Int {
        let message = IPv6Header.size
        let quote = message + ICMPHeader.size
        let quoted = min(header.length, longestV6 - quote)
        let length = quote + quoted
        space.zero(0..<quote)
        space.store(0x60 as UInt8, at: 0)
        space.store(big: UInt16(ICMPHeader.size + quoted), at: IPv6Header.payloadLength)
        space.store(IPProtocol.icmpV6, at: IPv6Header.nextHeader)
        space.store(hopLimit, at: IPv6Header.hopLimit)
        space.copy(packet.extracting(IPv6Header.destination..<IPv6Header.size), to: IPv6Header.source)
        if case .v6(let bits) = source {
            for index in 0..<16 {
                space.store(UInt8(truncatingIfNeeded: bits >> UInt128(8 * (15 - index))), at: IPv6Header.source + index)
            }
        }
        space.copy(packet.extracting(IPv6Header.source..<IPv6Header.destination), to: IPv6Header.destination)
        space.store(destinationUnreachableV6, at: message)
        space.store(addressUnreachableV6, at: message + ICMPHeader.code)
        space.copy(packet.extracting(0..<quoted), to: quote)
        if let answer = InternetPacket(space.bytes.extracting(0..<length)) {
            var sum = Checksum(pseudoHeaderOf: space.bytes, answer, length: ICMPHeader.size + quoted)
            sum.add(space.bytes.extracting(message..<length))
            space.store(checksum: sum.value, at: message + ICMPHeader.checksum)
        }
        return length
    }

    private static func isOneHost(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let bits): bits != 0 && bits >> 28 < 0xe
        case .v6(let bits): bits != 0 && bits >> 120 != 0xff
        }
    }
}
