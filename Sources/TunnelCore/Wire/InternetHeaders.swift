// The numbers of the headers inside: sizes, where fields stand, and which protocol follows. Offsets are in bytes.

/// Protocol numbers of IPv4, and next headers of IPv6 (IANA).
public enum IPProtocol {
    public static let icmp: UInt8 = 1
    public static let tcp: UInt8 = 6
    public static let udp: UInt8 = 17
    public static let esp: UInt8 = 50
    public static let authenticationHeader: UInt8 = 51
    public static let icmpV6: UInt8 = 58

    // Extension headers of IPv6 (RFC 8200 §4).
    static let hopByHopOptions: UInt8 = 0
    static let routing: UInt8 = 43
    static let fragment: UInt8 = 44
    static let destinationOptions: UInt8 = 60
    static let mobility: UInt8 = 135
    static let hostIdentity: UInt8 = 139
    static let shim6: UInt8 = 140
}

/// RFC 791 §3.1.
enum IPv4Header {
    /// Without options, and with as many as there can be.
    static let size = 20
    static let longest = 60
    static let trafficClass = 1
    static let totalLength = 2
    static let identification = 4
    static let fragmentOffset = 6
    static let timeToLive = 8
    static let transport = 9
    static let checksum = 10
    static let source = 12
    static let destination = 16
}

/// RFC 8200 §3.
enum IPv6Header {
    static let size = 40
    static let payloadLength = 4
    static let nextHeader = 6
    static let hopLimit = 7
    static let source = 8
    static let destination = 24
}

/// RFC 9293 §3.1.
enum TCPHeader {
    /// Without options, and with as many as there can be.
    static let size = 20
    static let longest = 60
    static let sequence = 4
    static let dataOffset = 12
    static let flags = 13
    static let checksum = 16
}

/// RFC 768.
enum UDPHeader {
    static let size = 8
    static let length = 4
    static let checksum = 6
}

/// RFC 792, RFC 4443: the header of any message.
enum ICMPHeader {
    static let size = 8
    static let code = 1
    static let checksum = 2
}

/// The types that follow the addresses of an Ethernet frame (IEEE 802 numbers).
enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let arp: UInt16 = 0x0806
    static let ipv6: UInt16 = 0x86dd
    /// IEEE 802.1Q: a tag for customers, and one for providers around it.
    static let vlan: UInt16 = 0x8100
    static let serviceVLAN: UInt16 = 0x88a8
}
