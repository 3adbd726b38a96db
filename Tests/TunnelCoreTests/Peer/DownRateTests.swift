import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// How fast an end can be sent to, which it says in its HELLO (docs/protocol.md §3.1), and the other end heeds.
@Suite struct DownRateTests {
    @Test("what an end says that it can take is kept by the other, whose configuration names no rate")
    func told() {
        for policy in [CompressionPolicy.off, auto] {
            let pair = Pair(policy, policy)
            tell(2000, pair)
            pair.connect()
            pair.link.run(for: .seconds(2))
            #expect(pair.alice.statistics(of: pair.bob)?.toldRate == 2_000_000)
            #expect(pair.alice.statistics(of: pair.bob)?.rate == 2_000_000)
            #expect(pair.bob.statistics(of: pair.alice)?.rate == nil)
            #expect(pair.alice.events.contains(.downRate(pair.bob.publicKey, kilobits: 2000)))
            #expect(throughput(pair, feed: 4_000_000) < 2_050_000)
        }
    }

    @Test("the lower of both holds")
    func lower() {
        for (own, told, result) in [(1_000_000, 2000, 1_000_000), (3_000_000, 2000, 2_000_000)] {
            let pair = Pair(auto, auto)
            pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(UInt64(own), of: pair.bob.publicKey, at: now) }
            tell(UInt32(told), pair)
            pair.connect()
            pair.link.run(for: .seconds(1))
            #expect(pair.alice.statistics(of: pair.bob)?.rate == UInt64(result))
        }
    }

    @Test("another word holds at once, without a new session, and so does none")
    func change() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(1))
        tell(5000, pair)
        pair.link.run(for: .seconds(1))
        #expect(pair.alice.statistics(of: pair.bob)?.rate == 5_000_000)
        tell(nil, pair)
        pair.link.run(for: .seconds(1))
        #expect(pair.alice.statistics(of: pair.bob)?.rate == nil)
        #expect(pair.alice.events.contains(.downRate(pair.bob.publicKey, kilobits: nil)))
        #expect(pair.link.sightings.initiations.isEmpty)
        // Where nothing else was said, only a new session unsays it.
        let plain = Pair(.off, .off)
        tell(5000, plain)
        plain.connect()
        plain.link.run(for: .seconds(1))
        tell(nil, plain)
        plain.link.run(for: .seconds(1))
        #expect(plain.link.sightings.initiations.count == 1)
    }

    @Test("it holds on the next session too, which a CONFIRM begins")
    func laterSession() {
        let pair = Pair(auto, auto)
        tell(2000, pair)
        pair.connect()
        for _ in 0..<20 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
            pair.link.run(for: .seconds(10))
        }
        #expect(!pair.link.sightings.initiations.isEmpty)
        #expect(pair.alice.statistics(of: pair.bob)?.rate == 2_000_000)
    }

    @Test("a rate that nobody can keep is ignored, and said", arguments: [0, 1, 63, 1_000_001, .max] as [UInt32])
    func nonsense(rate: UInt32) throws {
        let pair = Pair(auto, auto)
        pair.bob.mute(to: pair.alice, in: pair.link)
        let hello = helloRecord(options: codecsOption + [5, 4] + little(rate))
        let sealed = try #require(pair.bob.seal(hello.padded, to: pair.alice))
        pair.link.deliver(sealed, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.statistics(of: pair.bob)?.rate == nil)
        #expect(pair.alice.events.contains(.downRateRefused(pair.bob.publicKey, kilobits: rate)))
        #expect(pair.alice.statistics(of: pair.bob)?.compresses == true)
    }

    @Test("an option of another size makes the HELLO invalid, like all that we know")
    func size() throws {
        let pair = Pair(auto, auto)
        pair.bob.mute(to: pair.alice, in: pair.link)
        let hello = helloRecord(options: codecsOption + [5, 2, 0, 8])
        let sealed = try #require(pair.bob.seal(hello.padded, to: pair.alice))
        pair.link.deliver(sealed, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.drops(.record, of: pair.bob) == 1)
    }

    @Test("its place in the HELLO is behind the kinds of record")
    func written() throws {
        let pair = Pair(auto, auto)
        tell(2000, pair)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        let hello = try #require(pair.link.sightings.hellos.first { $0.from == pair.bob.endpoint }?.payload)
        #expect(Array(hello[25..<31]) == [5, 4, 0xd0, 7, 0, 0])
    }

    private func tell(_ rate: UInt32?, _ pair: Pair) {
        pair.link.change(pair.bob) { tunnel, now in tunnel.setDownRate(rate, of: pair.alice.publicKey, at: now) }
    }

    /// Bits a second on the link while packets come that don't shrink.
    private func throughput(_ pair: Pair, feed: Int) -> Int {
        var noise = Noise(seed: 5)
        pair.forget()
        for _ in 0..<200 {
            pair.link.send(
                together: (0..<feed / 800_000).map { _ in udp(1, 2, noise.bytes(972)) }, from: pair.alice)
            pair.link.run(for: .milliseconds(10))
        }
        return pair.link.sightings.sent(by: pair.alice).reduce(0) { $0 + $1.bytes.count + 42 } * 8 / 2
    }
}
