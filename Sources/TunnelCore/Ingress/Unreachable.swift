import Addresses

/// The answer to a packet that can go nowhere: ICMP "host unreachable" (RFC 792) or ICMPv6 "address unreachable"
/// (RFC 4443 §3.1), as the kernel's WireGuard gives it.
///
///     │ IP header │ type, code, checksum │ 0 │ as much of the packet as fits │
enum Unreachable {
    /// An ICMP error quotes so much that it is no longer than this (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
    private static let longestV4 = 576
    private static let longestV6 = 1280
    private static let icmp: UInt8 = 1
    private static let icmpV6: UInt8 = 58
    private static let hopLimit: UInt8 = 64

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
        case (icmp, true): return [0, 8, 13, 14].contains(type)
        case (icmpV6, false): return type == 128 || type == 129
        default: return true
        }
    }

    /// Writes the answer to `packet` into `space`; its size. It comes from `source`, or from the address that the packet was
    /// for.
    static func write(
        answering packet: RawSpan, _ header: InternetPacket, from source: IPAddress?, to space: inout MutableRawSpan
    ) -> Int {
        header.isV4 ? writeV4(packet, header, source, &space) : writeV6(packet, header, source, &space)
    }

    private static func writeV4(
        _ packet: RawSpan, _ header: InternetPacket, _ source: IPAddress?, _ space: inout MutableRawSpan
    ) -> Int {
        let quoted = min(header.length, longestV4 - 28)
        let length = 28 + quoted
        space.zero(0..<28)
        space.store(0x45 as UInt8, at: 0)
        space.store(big: UInt16(length), at: 2)
        space.store(hopLimit, at: 8)
        space.store(icmp, at: 9)
        space.copy(packet.extracting(16..<20), to: 12)
        if case .v4(let bits) = source { space.store(big: bits, at: 12) }
        space.copy(packet.extracting(12..<16), to: 16)
        space.storeHeaderChecksum(length: 20)
        space.store(3 as UInt8, at: 20)
        space.store(1 as UInt8, at: 21)
        space.copy(packet.extracting(0..<quoted), to: 28)
        var sum = Checksum()
        sum.add(space.bytes.extracting(20..<length))
        space.store(checksum: sum.value, at: 22)
        return length
    }

    private static func writeV6(
        _ packet: RawSpan, _ header: InternetPacket, _ source: IPAddress?, _ space: inout MutableRawSpan
    ) -> Int {
        let quoted = min(header.length, longestV6 - 48)
        let length = 48 + quoted
        space.zero(0..<48)
        space.store(0x60 as UInt8, at: 0)
        space.store(big: UInt16(8 + quoted), at: 4)
        space.store(icmpV6, at: 6)
        space.store(hopLimit, at: 7)
        space.copy(packet.extracting(24..<40), to: 8)
        if case .v6(let bits) = source {
            for index in 0..<16 {
                space.store(UInt8(truncatingIfNeeded: bits >> UInt128(8 * (15 - index))), at: 8 + index)
            }
        }
        space.copy(packet.extracting(8..<24), to: 24)
        space.store(1 as UInt8, at: 40)
        space.store(3 as UInt8, at: 41)
        space.copy(packet.extracting(0..<quoted), to: 48)
        if let answer = InternetPacket(space.bytes.extracting(0..<length)) {
            var sum = Checksum(pseudoHeaderOf: space.bytes, answer, length: 8 + quoted)
            sum.add(space.bytes.extracting(40..<length))
            space.store(checksum: sum.value, at: 42)
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
