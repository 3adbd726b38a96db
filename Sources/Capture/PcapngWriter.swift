/// Blocks of a capture in Wireshark's format (draft-ietf-opsawg-pcapng), little-endian, with one interface.
public enum PcapngWriter {
    /// Kinds of link: IP packets, Ethernet frames, and what only a dissector of ours knows.
    public static let raw: UInt16 = 101
    public static let ethernet: UInt16 = 1
    public static let user0: UInt16 = 147

    /// The section's head, and its interface, whose times are nanoseconds.
    public static func start(link: UInt16, interface: String) -> [UInt8] {
        let section =
            bytes(0x1a2b_3c4d as UInt32) + bytes(1 as UInt16) + bytes(0 as UInt16) + bytes(UInt64.max)
            + option(4, Array("gateway".utf8)) + endOfOptions
        let description =
            bytes(link) + bytes(0 as UInt16) + bytes(65_535 + 64 as UInt32) + option(2, Array(interface.utf8))
            + option(9, [9]) + endOfOptions
        return block(0x0a0d_0d0a, section) + block(1, description)
    }

    /// A packet, of which `original` bytes there were.
    public static func packet(
        _ packet: [UInt8], original: Int, at time: (seconds: Int64, nanoseconds: Int64), isInbound: Bool,
        comment: String?
    ) -> [UInt8] {
        let stamp = UInt64(bitPattern: time.seconds &* 1_000_000_000 &+ time.nanoseconds)
        var body = bytes(0 as UInt32) + bytes(UInt32(truncatingIfNeeded: stamp >> 32))
        body += bytes(UInt32(truncatingIfNeeded: stamp)) + bytes(UInt32(packet.count)) + bytes(UInt32(original))
        body += padded(packet)
        if let comment { body += option(1, Array(comment.utf8)) }
        body += option(2, bytes((isInbound ? 1 : 2) as UInt32)) + endOfOptions
        return block(6, body)
    }

    /// How many packets found no room.
    public static func statistics(dropped: UInt64, at time: (seconds: Int64, nanoseconds: Int64)) -> [UInt8] {
        let stamp = UInt64(bitPattern: time.seconds &* 1_000_000_000 &+ time.nanoseconds)
        let body =
            bytes(0 as UInt32) + bytes(UInt32(truncatingIfNeeded: stamp >> 32))
            + bytes(UInt32(truncatingIfNeeded: stamp))
            + option(5, bytes(dropped)) + endOfOptions
        return block(5, body)
    }

    /// Headers of IPv4 and UDP in front of so many bytes.
    public static func udp4(from: (UInt32, UInt16), to: (UInt32, UInt16), payload: Int) -> [UInt8] {
        var header: [UInt8] = [0x45, 0] + big(UInt16(truncatingIfNeeded: 28 + payload))
        header += [0, 0, 0x40, 0, 64, 17, 0, 0] + big(from.0) + big(to.0)
        var sum: UInt32 = 0
        for index in stride(from: 0, to: 20, by: 2) { sum += UInt32(header[index]) << 8 | UInt32(header[index + 1]) }
        while sum >> 16 != 0 { sum = (sum & 0xffff) + (sum >> 16) }
        header.replaceSubrange(10..<12, with: big(~UInt16(truncatingIfNeeded: sum)))
        return header + udp(from.1, to.1, payload)
    }

    /// Headers of IPv6 and UDP in front of so many bytes.
    public static func udp6(from: (UInt128, UInt16), to: (UInt128, UInt16), payload: Int) -> [UInt8] {
        [0x60, 0, 0, 0] + big(UInt16(truncatingIfNeeded: 8 + payload)) + [17, 64] + big(from.0) + big(to.0)
            + udp(from.1, to.1, payload)
    }

    private static func udp(_ from: UInt16, _ to: UInt16, _ payload: Int) -> [UInt8] {
        big(from) + big(to) + big(UInt16(truncatingIfNeeded: 8 + payload)) + [0, 0]
    }

    private static let endOfOptions: [UInt8] = [0, 0, 0, 0]

    private static func option(_ code: UInt16, _ value: [UInt8]) -> [UInt8] {
        bytes(code) + bytes(UInt16(value.count)) + padded(value)
    }

    private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = bytes(UInt32(body.count + 12))
        return bytes(type) + length + body + length
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] { big(number).reversed() }

    private static func big<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        (0..<Number.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: number >> Number($0 * 8)) }
    }
}
