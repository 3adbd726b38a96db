import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// `Rate = auto`: the rate to a peer, found by what it says of what arrives.
@Suite struct AutoRateTests {
    @Test(
        "the rate finds that of the link, and follows it down", arguments: [CompressionPolicy.off, auto], [true, false])
    func follows(policy: CompressionPolicy, repairs: Bool) {
        // An end without compression says what arrives if it has something else to say: here how fast it can be sent to.
        let pair = Pair(policy, policy)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(within: 500_000...20_000_000, of: pair.bob.publicKey, at: now)
            tunnel.setRepairs(repairs, of: pair.bob.publicKey, at: now)
        }
        pair.link.change(pair.bob) { tunnel, now in
            tunnel.setDownRate(30_000, of: pair.alice.publicKey, at: now)
            tunnel.setRepairs(repairs, of: pair.alice.publicKey, at: now)
        }
        let modem = Modem(pair)
        modem.rate = 4_000_000
        pair.connect()
        #expect(found(pair) == 500_000)
        feed(pair, for: .seconds(6), bits: 6_000_000)
        #expect((3_000_000...5_000_000).contains(found(pair)), "\(found(pair))")
        modem.rate = 1_000_000
        feed(pair, for: .seconds(4), bits: 6_000_000)
        #expect((600_000...1_300_000).contains(found(pair)), "\(found(pair))")
        #expect(modem.wait < .milliseconds(120))
        #expect(pair.alice.statistics(of: pair.bob)?.foundRate?.isUnheard == false)
    }

    @Test("to a peer that says nothing of what arrives the lower bound holds, which is said once")
    func unheard() {
        for policy in [CompressionPolicy.off, auto] {
            let pair = Pair(policy, .off)
            pair.link.change(pair.alice) { tunnel, now in
                tunnel.setRate(within: 2_000_000...20_000_000, of: pair.bob.publicKey, at: now)
            }
            pair.connect()
            feed(pair, for: .seconds(6), bits: 4_000_000)
            let said = pair.alice.events.filter { $0 == .rateUnheard(pair.bob.publicKey, kilobits: 2000) }
            #expect(said.count == 1)
            #expect(pair.alice.statistics(of: pair.bob)?.rate == 2_000_000)
            #expect(pair.alice.statistics(of: pair.bob)?.foundRate?.isUnheard == true)
        }
    }

    @Test("what the peer says that it can be sent to is never exceeded")
    func downRate() {
        let pair = Pair(auto, auto)
        pair.link.change(pair.bob) { tunnel, now in tunnel.setDownRate(3000, of: pair.alice.publicKey, at: now) }
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(within: 1_000_000...20_000_000, of: pair.bob.publicKey, at: now)
        }
        pair.connect()
        feed(pair, for: .seconds(3), bits: 6_000_000)
        #expect(pair.alice.statistics(of: pair.bob)?.rate == 3_000_000)
    }

    @Test("another path begins at the lower bound, and another setting holds at once")
    func changes() throws {
        let pair = Pair(auto, auto)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(within: 1_000_000...20_000_000, of: pair.bob.publicKey, at: now)
        }
        pair.connect()
        feed(pair, for: .seconds(3), bits: 6_000_000)
        #expect(found(pair) > 3_000_000)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(within: 1_000_000...2_000_000, of: pair.bob.publicKey, at: now)
        }
        #expect(found(pair) == 2_000_000)
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(nil, of: pair.bob.publicKey, at: now) }
        #expect(pair.alice.statistics(of: pair.bob)?.rate == nil)
        #expect(pair.alice.statistics(of: pair.bob)?.foundRate == nil)
        // The peer is told that its words are needed no more, without a new session.
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.initiations.count <= 1)
    }

    @Test("the wish to be told often stands behind the rate in a HELLO, and a peer that gets it does so")
    func wish() throws {
        let pair = Pair(auto, auto)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(within: 1_000_000...2_000_000, of: pair.bob.publicKey, at: now)
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        let hello = try #require(pair.link.sightings.hellos.first { $0.from == pair.alice.endpoint }?.payload)
        let end = 4 + Int(hello[2])
        #expect(Array(hello[end - 3..<end]) == [6, 1, 1])
        feed(pair, for: .seconds(3), bits: 2_000_000)
        pair.forget()
        feed(pair, for: .seconds(2), bits: 2_000_000)
        // Half a megabyte: four words if it had not asked.
        let words = pair.link.sightings.sent(by: pair.bob).count
        #expect((20...50).contains(words), "\(words)")
    }

    private func found(_ pair: Pair) -> UInt64 { pair.alice.statistics(of: pair.bob)?.foundRate?.rate ?? 0 }

    /// Packets that don't shrink, so many bits a second.
    private func feed(_ pair: Pair, for time: Interval, bits: Int) {
        var noise = Noise(seed: 9)
        let end = pair.link.instant + time
        while pair.link.instant < end {
            pair.link.send(together: (0..<bits / 800_000).map { _ in udp(1, 2, noise.bytes(972)) }, from: pair.alice)
            pair.link.run(for: .milliseconds(10))
        }
    }
}

/// A modem in front of a thin link, with half a second of buffer, for what Alice sends.
private final class Modem {
    var rate = 0.0
    private var freeAt = Instant.distantPast
    private let pair: Pair

    init(_ pair: Pair) {
        self.pair = pair
        pair.link.rule = { [unowned self] sighting in
            guard sighting.from == pair.alice.endpoint, rate > 0 else { return .deliver }
            let start = max(freeAt, sighting.at)
            guard start - sighting.at < .milliseconds(500) else { return .drop }
            freeAt = start + Interval(nanoseconds: Int64(Double(sighting.bytes.count + 42) * 8e9 / rate))
            return .delay(freeAt - sighting.at)
        }
    }

    /// How long something would wait there now.
    var wait: Interval { max(freeAt - pair.link.instant, Interval(nanoseconds: 0)) }
}
