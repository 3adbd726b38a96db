import Testing

@testable import Estimate

@Suite struct PacketTests {
    @Test(
        "a packet is counted with its protocol",
        arguments: [
            (v4(6, (40000, 443)), "https"), (v4(6, (22, 40000)), "ssh"), (v4(17, (443, 40000)), "quic"),
            (v4(17, (53, 5353)), "dns"), (v4(6, (443, 22)), "ssh"), (v4(6, (40000, 40001)), "other tcp"),
            (v4(17, (40000, 40001)), "other udp"), (v4(1, (0, 0)), "icmp"), (v4(50, (0, 0)), "ipsec"),
            (v4(99, (0, 0)), "other ip"), (v6(6, (40000, 5432)), "postgres"), (v6(58, (0, 0)), "icmp"),
            (fragment(v4(6, (22, 40000))), "fragments"),
        ] as [([UInt8], String)])
    func services(bytes: [UInt8], name: String) throws {
        #expect(Service.name(of: try #require(Packet(bytes))) == name)
    }

    @Test("the lower address is at the first end, whichever of the two sends")
    func ends() throws {
        let there = try #require(Packet(v4(17, (1, 2), from: [10, 0, 0, 1], to: [10, 0, 0, 200])))
        let back = try #require(Packet(v4(17, (1, 2), from: [10, 0, 0, 200], to: [10, 0, 0, 1])))
        #expect(there.isFromFirst && !back.isFromFirst)
    }

    @Test("what goes to a group or a neighbour is local")
    func local() throws {
        for address in [[224, 0, 0, 251], [239, 1, 2, 3], [255, 255, 255, 255], [169, 254, 1, 1]] as [[UInt8]] {
            #expect(try #require(Packet(v4(17, (1, 2), to: address))).isLocal)
        }
        for address in [[10, 0, 0, 255], [127, 0, 0, 1], [240, 0, 0, 1]] as [[UInt8]] {
            #expect(!(try #require(Packet(v4(17, (1, 2), to: address))).isLocal))
        }
        #expect(try #require(Packet(v6(17, (1, 2), to: 0xff))).isLocal)
        #expect(!(try #require(Packet(v6(17, (1, 2), to: 0x20))).isLocal))
    }

    @Test("TCP and UDP beyond the MTU are cut, anything else is too long")
    func superSegments() throws {
        let tcp = try #require(Packet(v4(6, (1, 2), 2000)))
        #expect(tcp.superSegment(mtu: 1500) == [0, 1, 0, 0, 0xb4, 0x05, 0, 0, 0, 0] + tcp.bytes)
        #expect(tcp.superSegment(mtu: 2040) == nil && !tcp.isTooLong(mtu: 1500))
        #expect(try #require(Packet(v6(17, (1, 2), 2000))).superSegment(mtu: 1280)?[1] == 5)
        let other = try #require(Packet(v4(47, (1, 2), 2000)))
        #expect(other.superSegment(mtu: 1500) == nil && other.isTooLong(mtu: 1500) && !other.isTooLong(mtu: 2040))
        #expect(try #require(Packet(fragment(v4(6, (1, 2), 2000)))).isTooLong(mtu: 1500))
        var damaged = v4(17, (1, 2), 2000)
        damaged[25] ^= 1
        #expect(try #require(Packet(damaged)).isTooLong(mtu: 1500))
    }

    @Test("bytes that are no packet, or more or less than one, are none")
    func refused() {
        let packet = v4(6, (1, 2))
        for length in 0..<packet.count { #expect(Packet(Array(packet[..<length])) == nil) }
        #expect(Packet(packet + [0]) == nil)
        #expect(Packet([0x55] + packet.dropFirst()) == nil)
        #expect(Packet([0x44] + packet.dropFirst()) == nil)
    }
}

@Suite struct ExpectedTests {
    @Test("each packet comes out as often as it went in, in any order, and unchanged")
    func matching() {
        var expected = Expected([[1], [2], [2], [3]])
        #expect(expected.take([3]) && expected.take([2]) && expected.take([2]))
        #expect(!expected.take([2]) && !expected.take([4]) && !expected.isEmpty)
        #expect(expected.take([1]) && expected.isEmpty && !expected.take([1]))
    }
}

private func big(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }

private func body(_ transport: UInt8, _ ports: (Int, Int), _ count: Int) -> [UInt8] {
    // The length of UDP, and the sequence number of TCP.
    big(ports.0) + big(ports.1) + big(20 + count) + [0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]
        + [UInt8](repeating: 1, count: count)
}

private func v4(
    _ transport: UInt8, _ ports: (Int, Int), _ count: Int = 20, from: [UInt8] = [10, 0, 0, 1],
    to: [UInt8] = [10, 0, 0, 2]
) -> [UInt8] {
    let body = body(transport, ports, count)
    return [0x45, 0] + big(20 + body.count) + [0, 0, 0x40, 0, 64, transport, 0, 0] + from + to + body
}

private func v6(_ transport: UInt8, _ ports: (Int, Int), _ count: Int = 20, to: UInt8 = 0x21) -> [UInt8] {
    let body = body(transport, ports, count)
    return [0x60, 0, 0, 0] + big(body.count) + [transport, 64] + [UInt8](repeating: 0x20, count: 16)
        + [UInt8](repeating: to, count: 16) + body
}

private func fragment(_ packet: [UInt8]) -> [UInt8] {
    var packet = packet
    packet[6] = 0x20
    return packet
}
