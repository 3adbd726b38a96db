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
        let answer = PacketView(try #require(pair.alice.received.first))
        let header = try #require(InternetPacket(unsafe answer.bytes.span.bytes))
        #expect(header.source == .v4(0x0a63_0001))
        #expect(header.destination == site(1).v4)
        #expect(answer.icmp == [3, 1])
        #expect(answer.bytes.count == 576)
        #expect(answer.quote == Array(lost.prefix(548)))
        #expect(answer.headerSum == 0xffff)
        #expect(naiveSum(answer.body) == 0xffff)
    }

    @Test("is answered with ICMPv6 address unreachable")
    func v6() throws {
        let pair = Pair()
        let nowhere = try #require(IPAddress("fd99::1"))
        let lost = packet(site(1).v6, nowhere, transport: 17, ports: (4000, 53), text(100))
        pair.link.send(lost, from: pair.alice)
        let answer = PacketView(try #require(pair.alice.received.first))
        #expect(answer.transport == 58 && answer.icmp == [1, 3])
        #expect(answer.quote == lost)
        #expect(answer.bodySum == 0xffff)
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

    private func hasRightChecksum(_ bytes: [UInt8]) -> Bool {
        let answer = PacketView(bytes)
        return answer.isV6 ? answer.bodySum == 0xffff : answer.headerSum == 0xffff && naiveSum(answer.body) == 0xffff
    }

    @Test("is not answered if it is itself an error, a fragment, or for many")
    func unanswered() {
        let pair = Pair()
        var error = PacketView(packet(site(1).v4, .v4(0x0a63_0001), transport: 1, ports: (0, 0), text(60)))
        error.icmp = [3, 1]
        var fragment = PacketView(packet(site(1).v4, .v4(0x0a63_0001), transport: 17, ports: (1, 2), text(60)))
        fragment.fragment = 9
        let toMany = packet(site(1).v4, .v4(0xe000_00fb), transport: 17, ports: (5353, 5353), text(60))
        for lost in [error.bytes, fragment.bytes, toMany] { pair.link.send(lost, from: pair.alice) }
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
