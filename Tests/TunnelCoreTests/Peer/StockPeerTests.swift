import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What an eavesdropper sees between a gateway that compresses and a peer that is only WireGuard.
@Suite struct StockPeerTests {
    @Test(
        "to a stock peer every datagram has WireGuard's size, moment and content, in bursts and alone",
        arguments: [
            CompressionPolicy.Mode.auto, .codec(.zstd), .codec(.deflate), .receive,
        ])
    func sameAsWireGuard(mode: CompressionPolicy.Mode) {
        let plain = Pair()
        let gateway = Pair(alice: Pair.Options(compression: CompressionPolicy(mode), cipher: .auto))
        for pair in [plain, gateway] { talk(pair) }
        let expected = plain.link.sightings.filter { !$0.isKeepalive }
        let actual = gateway.link.sightings.filter { !$0.isHello && !$0.isKeepalive }
        // A HELLO may be in the place of a keepalive.
        let hellos = gateway.link.sightings.hellos.count
        let saved = plain.link.sightings.keepalives.count - gateway.link.sightings.keepalives.count
        #expect((0...hellos).contains(saved))
        #expect(actual.count == expected.count)
        #expect(actual.map(\.at) == expected.map(\.at))
        #expect(actual.map(\.bytes.count) == expected.map(\.bytes.count))
        #expect(actual.map(\.trafficClass) == expected.map(\.trafficClass))
        #expect(actual.map(\.payload) == expected.map(\.payload))
        #expect(gateway.bob.received == plain.bob.received)
        #expect(gateway.alice.received == plain.alice.received)
    }

    @Test("the other way round as well: what a stock peer sends is taken as ever")
    func initiatedByStockPeer() {
        let plain = Pair()
        let gateway = Pair(bob: Pair.Options(compression: CompressionPolicy(.auto)))
        for pair in [plain, gateway] { talk(pair) }
        let expected = plain.link.sightings.filter { !$0.isKeepalive }
        let actual = gateway.link.sightings.filter { !$0.isHello && !$0.isKeepalive }
        #expect(actual.map(\.bytes.count) == expected.map(\.bytes.count))
        #expect(actual.map(\.at) == expected.map(\.at))
        #expect(actual.map(\.payload) == expected.map(\.payload))
    }

    /// Traffic of all kinds both ways for some minutes: bursts, super-segments, single packets, pauses.
    private func talk(_ pair: Pair) {
        var noise = Noise(seed: 77)
        for round in 0..<120 {
            let isFromAlice = noise.next() % 3 > 0
            let (source, destination): (UInt8, UInt8) = isFromAlice ? (1, 2) : (2, 1)
            let end = isFromAlice ? pair.alice : pair.bob
            let packets = (0..<noise.next() % 40).map { _ -> [UInt8] in
                let size = Int(noise.next() % 1390)
                return udp(source, destination, noise.next() % 2 == 0 ? text(size) : noise.bytes(size))
            }
            pair.link.send(together: packets, from: end)
            let segment = Segment(
                isV6: noise.next() % 2 == 0, isTCP: noise.next() % 2 == 0, source: source, destination: destination,
                trafficClass: UInt8(noise.next() % 3), payload: text(2000 + Int(noise.next() % 50_000)))
            pair.link.send(frames: [segment.frame(segment: 1 + Int(noise.next() % 1360) | 128)], from: end)
            pair.link.run(for: .milliseconds(Int64(noise.next() % (round % 10 == 0 ? 20_000 : 900))))
        }
        pair.link.run(for: .seconds(60))
    }
}
