import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite("A packet that nobody's AllowedIPs hold")
struct UnreachableTests {
    @Test("is answered with ICMP host unreachable, which quotes it and has right checksums")
    func v4() throws {
        let pair = Pair()
        let lost = packet(site(1).v4, .v4(0x0a63_0001), transport: 17, ports: (4000, 53), text(700))
        pair.link.send(lost, from: pair.alice)
        let answer = try #require(pair.alice.received.first)
        let header = try #require(InternetPacket(unsafe answer.span.bytes))
        #expect(header.source == .v4(0x0a63_0001))
        #expect(header.destination == site(1).v4)
        #expect(Array(answer[20..<22]) == [3, 1])
        #expect(answer.count == 576)
        #expect(Array(answer[28...]) == Array(lost.prefix(548)))
        #expect(sum(answer[0..<20]) == 0xffff)
        #expect(sum(answer[20...]) == 0xffff)
    }

    @Test("is answered with ICMPv6 address unreachable")
    func v6() throws {
        let pair = Pair()
        let nowhere = try #require(IPAddress("fd99::1"))
        let lost = packet(site(1).v6, nowhere, transport: 17, ports: (4000, 53), text(100))
        pair.link.send(lost, from: pair.alice)
        let answer = try #require(pair.alice.received.first)
        #expect(Array(answer[40..<42]) == [1, 3])
        #expect(Array(answer[48...]) == lost)
        let pseudo = answer[8..<40] + [0, 0, 0, UInt8(answer.count - 40), 0, 0, 0, 58]
        #expect(sum(pseudo + answer[40...]) == 0xffff)
    }

    @Test("is answered from an address of ours where that is known, and else from the one that it was for")
    func source() throws {
        let pair = Pair()
        let nowhere = (IPAddress.v4(0x0a63_0001), try #require(IPAddress("fd99::1")))
        for own in [(IPAddress.v4(0x0a01_0001), try #require(IPAddress("fd01::1"))), nil] {
            pair.forget()
            pair.alice.own = (own?.0, own?.1)
            for (from, to) in [(site(1).v4, nowhere.0), (site(1).v6, nowhere.1)] {
                pair.link.send(packet(from, to, transport: 17, ports: (4000, 53), text(100)), from: pair.alice)
            }
            let sources = pair.alice.received.map { unsafe InternetPacket($0.span.bytes)?.source }
            #expect(sources == [own?.0 ?? nowhere.0, own?.1 ?? nowhere.1])
            #expect(pair.alice.received.allSatisfy { hasRightChecksum($0) })
        }
    }

    private func hasRightChecksum(_ answer: [UInt8]) -> Bool {
        if answer[0] >> 4 == 4 { return sum(answer[0..<20]) == 0xffff && sum(answer[20...]) == 0xffff }
        return sum(answer[8..<40] + [0, 0, 0, UInt8(answer.count - 40), 0, 0, 0, 58] + answer[40...]) == 0xffff
    }

    @Test("is not answered if it is itself an error, a fragment, or for many")
    func unanswered() {
        let pair = Pair()
        var error = packet(site(1).v4, .v4(0x0a63_0001), transport: 1, ports: (0x0301, 0), text(60))
        error[20] = 3
        var fragment = packet(site(1).v4, .v4(0x0a63_0001), transport: 17, ports: (1, 2), text(60))
        fragment[7] = 9
        let toMany = packet(site(1).v4, .v4(0xe000_00fb), transport: 17, ports: (5353, 5353), text(60))
        for lost in [error, fragment, toMany] { pair.link.send(lost, from: pair.alice) }
        #expect(pair.alice.received.isEmpty)
        #expect(pair.alice.drops(.noPeer) == 2)
        #expect(pair.alice.drops(.multicast) == 1)
    }

    @Test("is answered 50 times at once, and a hundred times a second after that")
    func limited() {
        let pair = Pair()
        let lost = packet(site(1).v4, .v4(0x0a63_0001), transport: 17, ports: (4000, 53), text(10))
        for _ in 0..<200 { pair.link.send(lost, from: pair.alice) }
        #expect(pair.alice.received.count == 50)
        pair.link.run(for: .milliseconds(105))
        for _ in 0..<200 { pair.link.send(lost, from: pair.alice) }
        #expect(pair.alice.received.count == 60)
    }
}

/// The one's complement sum of 16-bit words, the simplest way.
private func sum(_ bytes: some Sequence<UInt8>) -> UInt16 {
    let bytes = Array(bytes)
    var sum: UInt32 = 0
    for offset in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[offset]) << 8 | (offset + 1 < bytes.count ? UInt32(bytes[offset + 1]) : 0)
    }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return UInt16(sum)
}
