import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// RFC 6040.
@Suite struct CongestionTests {
    @Test("the two ECN bits of a packet are copied to its datagram, and nothing else of its class", arguments: 0...3)
    func encapsulation(bits: UInt8) {
        for policy in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(policy, policy)
            pair.connect()
            pair.link.send(v4(0xfc | bits, text(500)), from: pair.alice)
            pair.link.send(v6(bits, text(500)), from: pair.alice)
            #expect(pair.link.sightings.map(\.trafficClass) == [bits, bits])
        }
    }

    @Test("congestion outside marks a capable packet inside, and its checksum stays right", arguments: 1...3)
    func marks(bits: UInt8) throws {
        for policy in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(policy, policy)
            pair.connect()
            pair.link.rule = { _ in .drop }
            for length in [20, 500] {
                pair.link.send(v4(bits, text(length)), from: pair.alice)
                pair.link.send(v6(bits, text(length)), from: pair.alice)
            }
            for sighting in pair.link.sightings {
                pair.link.deliver(sighting.bytes, to: pair.bob, from: pair.alice.endpoint, trafficClass: 3)
            }
            let expected = [20, 500].flatMap { [v4(3, text($0)), v6(3, text($0))] }
            #expect(pair.bob.received == expected)
        }
    }

    @Test("a packet that cannot carry the mark is dropped and counted")
    func drops() {
        for policy in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(policy, policy)
            pair.connect()
            pair.link.rule = { _ in .drop }
            pair.link.send(v4(0, text(500)), from: pair.alice)
            pair.link.send(v6(0, text(500)), from: pair.alice)
            for sighting in pair.link.sightings {
                pair.link.deliver(sighting.bytes, to: pair.bob, from: pair.alice.endpoint, trafficClass: 3)
            }
            #expect(pair.bob.received.isEmpty)
            #expect(pair.bob.drops(.congestion, of: pair.alice) == 2)
        }
    }

    @Test("other bits outside change nothing inside")
    func otherBits() {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { _ in .drop }
        for bits in 0...2 as ClosedRange<UInt8> { pair.link.send(v4(bits, text(50)), from: pair.alice) }
        for sighting in pair.link.sightings {
            pair.link.deliver(sighting.bytes, to: pair.bob, from: pair.alice.endpoint, trafficClass: 0xfc)
        }
        #expect(pair.bob.received == (0...2).map { v4($0, text(50)) })
    }

    @Test("the checksum is right after a mark, whatever it was")
    func checksums() {
        for number in 0..<5000 as Range<UInt32> {
            let address = IPAddress.v4(0x0a00_0000 | number &* 2_654_435_761 >> 8)
            for bits in [1, 2] as [UInt8] {
                var bytes = packet(address, site(2).v4, transport: 17, ports: (1, 2), [], congestion: bits)
                do {
                    var span = bytes.mutableSpan
                    var raw = unsafe span.mutableBytes
                    let isMarked = CongestionBits.markExperienced(&raw)
                    #expect(isMarked)
                }
                #expect(bytes == packet(address, site(2).v4, transport: 17, ports: (1, 2), [], congestion: 3))
            }
        }
    }

    @Test("a packet that is marked already stays as it was, even with a wrong checksum")
    func alreadyMarked() {
        for checksum in [0, 1, 0xfffe, 0xffff] as [UInt16] {
            var packet = PacketView(v4(3, text(50)))
            packet.headerChecksum = checksum
            let before = packet.bytes
            var bytes = before
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            let isMarked = CongestionBits.markExperienced(&raw)
            #expect(isMarked)
            #expect(bytes == before)
        }
    }

    private func v4(_ trafficClass: UInt8, _ content: [UInt8]) -> [UInt8] {
        packet(site(1).v4, site(2).v4, transport: 17, ports: (1, 2), content, congestion: trafficClass)
    }

    private func v6(_ bits: UInt8, _ content: [UInt8]) -> [UInt8] {
        packet(site(1).v6, site(2).v6, transport: 17, ports: (1, 2), content, congestion: bits)
    }
}
