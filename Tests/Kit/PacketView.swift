@testable import TunnelCore

/// An IP packet, and the TCP, UDP or ICMP in it, by its fields (RFC 791, 8200, 9293, 768, 792, 4443): each is read and written
/// where it stands. For packets that are as long as the headers that are asked for. Without a line in common with TunnelCore.
struct PacketView {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    // MARK: The network's

    var isV6: Bool { version == 6 }
    /// Where the transport starts: behind IPv4's header with its options, or IPv6's without extensions.
    var start: Int { isV6 ? 40 : Int(headerWords) * 4 }
    var version: UInt8 {
        get { bytes.first.map { $0 >> 4 } ?? 0 }
        set { bytes[0] = newValue << 4 | bytes[0] & 15 }
    }
    /// The length of IPv4's header, in words of four bytes.
    var headerWords: UInt8 {
        get { bytes[0] & 15 }
        set { bytes[0] = bytes[0] & 0xf0 | newValue }
    }
    var trafficClass: UInt8 { isV6 ? bytes[0] << 4 | bytes[1] >> 4 : bytes[1] }
    /// The first four bits of IPv6's.
    var flowLabel: UInt8 { bytes[1] & 15 }
    /// The packet's length as its header says it.
    var length: Int {
        get { isV6 ? 40 + Int(word(bytes, 4)) : Int(word(bytes, 2)) }
        set { put(UInt16(truncatingIfNeeded: isV6 ? newValue - 40 : newValue), into: &bytes, at: isV6 ? 4 : 2) }
    }
    /// IPv4's.
    var identifier: UInt16 {
        get { word(bytes, 4) }
        set { put(newValue, into: &bytes, at: 4) }
    }
    /// IPv4's: DF and MF, and the offset in units of eight bytes.
    var fragment: UInt16 {
        get { word(bytes, 6) }
        set { put(newValue, into: &bytes, at: 6) }
    }
    /// Whether it is a part of a packet.
    var isFragment: Bool { isV6 ? transport == 44 : fragment & 0x3fff != 0 }
    var hopLimit: UInt8 {
        get { bytes[isV6 ? 7 : 8] }
        set { bytes[isV6 ? 7 : 8] = newValue }
    }
    /// The number of what follows the header.
    var transport: UInt8 {
        get { bytes[isV6 ? 6 : 9] }
        set { bytes[isV6 ? 6 : 9] = newValue }
    }
    /// IPv4's, over its header.
    var headerChecksum: UInt16 {
        get { word(bytes, 10) }
        set { put(newValue, into: &bytes, at: 10) }
    }
    /// Where the addresses are, the source first.
    private var addressPlace: Range<Int> { isV6 ? 8..<40 : 12..<20 }
    var addresses: [UInt8] {
        get { Array(bytes[addressPlace]) }
        set { bytes.replaceSubrange(addressPlace, with: newValue) }
    }
    var source: [UInt8] { Array(addresses.prefix(addressPlace.count / 2)) }
    var destination: [UInt8] { Array(addresses.suffix(addressPlace.count / 2)) }

    // MARK: The transport's

    var ports: (UInt16, UInt16) { (word(bytes, start), word(bytes, start + 2)) }
    /// TCP's.
    var sequence: UInt32 {
        get { UInt32(word(bytes, start + 4)) << 16 | UInt32(word(bytes, start + 6)) }
        set { bytes.replaceSubrange(start + 4..<start + 8, with: big(newValue)) }
    }
    /// TCP's.
    var acknowledgement: UInt32 { UInt32(word(bytes, start + 8)) << 16 | UInt32(word(bytes, start + 10)) }
    /// The length of TCP's header, in words of four bytes.
    var tcpWords: Int {
        get { Int(bytes[start + 12] >> 4) }
        set { bytes[start + 12] = UInt8(newValue) << 4 }
    }
    /// TCP's.
    var flags: UInt8 {
        get { bytes[start + 13] }
        set { bytes[start + 13] = newValue }
    }
    /// TCP's.
    var window: UInt16 { word(bytes, start + 14) }
    /// TCP's.
    var urgent: UInt16 { word(bytes, start + 18) }
    var tcpOptions: [UInt8] { Array(bytes[start + 20..<start + tcpWords * 4]) }
    /// UDP's, of its header and what follows.
    var datagramLength: Int {
        get { Int(word(bytes, start + 4)) }
        set { put(UInt16(truncatingIfNeeded: newValue), into: &bytes, at: start + 4) }
    }
    /// Where TCP's checksum or UDP's is.
    var checksumPlace: Int { start + (transport == 6 ? 16 : 6) }
    var checksum: UInt16 {
        get { word(bytes, checksumPlace) }
        set { put(newValue, into: &bytes, at: checksumPlace) }
    }
    /// ICMP's type and code.
    var icmp: [UInt8] {
        get { Array(bytes[start..<start + 2]) }
        set { bytes.replaceSubrange(start..<start + 2, with: newValue) }
    }
    /// What an ICMP error quotes.
    var quote: [UInt8] { Array(bytes[(start + 8)...]) }

    /// Transport and what it carries.
    var body: [UInt8] { Array(bytes[start...]) }

    // MARK: Sums

    /// The one's complement sum of IPv4's header: all ones if its checksum is right.
    var headerSum: UInt16 { naiveSum(Array(bytes[..<start])) }

    /// That of the pseudo-header of TCP, UDP or ICMPv6.
    var pseudoSum: UInt16 {
        foldedSum(UInt64(naiveSum(addresses)) + UInt64(transport) + UInt64(bytes.count - start))
    }

    /// That of the pseudo-header and the body: all ones if TCP's, UDP's or ICMPv6's checksum is right.
    var bodySum: UInt16 { foldedSum(UInt64(pseudoSum) + UInt64(naiveSum(body))) }

    /// Writes the right checksum into IPv4's header.
    mutating func completeHeader() {
        headerChecksum = 0
        headerChecksum = ~headerSum
    }

    /// Writes the right checksum of TCP or UDP.
    mutating func completeChecksum() {
        checksum = 0
        let sum = ~bodySum
        checksum = transport == 17 && sum == 0 ? 0xffff : sum
    }
}

/// The one's complement sum of big-endian words, as a number.
func naiveSum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt64 = 0
    for (index, byte) in bytes.enumerated() { sum += UInt64(byte) << (index % 2 == 0 ? 8 : 0) }
    return foldedSum(sum)
}

func foldedSum(_ sum: UInt64) -> UInt16 {
    var sum = sum
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return UInt16(sum)
}

func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }

func put(_ word: UInt16, into bytes: inout [UInt8], at offset: Int) {
    bytes[offset] = UInt8(word >> 8)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: word)
}
