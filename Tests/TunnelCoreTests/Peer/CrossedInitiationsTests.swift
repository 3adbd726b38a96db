import Testing

@testable import TestKit
@testable import TunnelCore

/// Both ends ask for a session at the same time, as two sites do whose hosts never are silent.
@Suite struct CrossedInitiationsTests {
    @Test("both ends come to send on one session, whichever has the lower key", arguments: 1...6)
    func oneSession(seed: UInt64) {
        let pair = crossed(seed: seed)
        let key = pair.alice.publicKey
        let asked = [asksForSessions(pair.alice, of: pair.bob), asksForSessions(pair.bob, of: pair.alice)]
        #expect(asked == (key.isBelow(pair.bob.publicKey) ? [false, true] : [true, false]))
    }

    @Test("what gets lost is sent again in both directions", arguments: [TunnelMode.packets, .frames(isHub: false)])
    func repair(mode: TunnelMode) throws {
        let pair = crossed(mode: mode)
        var noise = Noise(seed: 7 << 32)
        pair.link.rule = { sighting in
            sighting.isData && sighting.bytes.count > 500 && noise.next() % 100 < 3 ? .drop : .deliver
        }
        exchange(1000, pair)
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            let repair = try #require(end.statistics(of: other)?.repair)
            #expect(repair.repaired > 10 && repair.givenUp <= 2)
            // The first that got lost was not kept yet.
            #expect((998...1000).contains(end.received.count))
        }
    }

    @Test("the next sessions are asked for by one end alone, and nothing gets lost with the old ones")
    func renewal() {
        let pair = crossed()
        for _ in 0..<15 { exchange(1000, pair, every: .milliseconds(20)) }
        #expect(pair.alice.received.count == 15_000 && pair.bob.received.count == 15_000)
        let initiations = pair.link.sightings.initiations
        #expect(initiations.count == 2 && Set(initiations.map(\.from)).count == 1)
    }

    @Test("an end that takes nothing but WireGuard is sent to on our own session")
    func stock() {
        for seed in 1...4 as ClosedRange<UInt64> {
            let pair = Pair(seed: seed)
            cross(pair)
            #expect(asksForSessions(pair.alice, of: pair.bob) && asksForSessions(pair.bob, of: pair.alice))
        }
    }

    // MARK: Helpers

    private func crossed(mode: TunnelMode = .packets, seed: UInt64 = 1) -> Pair {
        let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.auto), mode: mode), seed: seed)
        cross(pair)
        return pair
    }

    private func cross(_ pair: Pair) {
        send(0, pair)
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.initiations.count == 2)
        for number in 1..<20 as Range<UInt64> {
            send(number, pair)
            pair.link.run(for: .milliseconds(20))
        }
        pair.forget()
    }

    private func exchange(_ count: UInt64, _ pair: Pair, every pause: Interval = .milliseconds(3)) {
        for number in 0..<count {
            send(number, pair)
            pair.link.run(for: pause)
        }
        pair.link.run(for: .seconds(2))
    }

    /// Sends something from both ends, at the same time.
    private func send(_ number: UInt64, _ pair: Pair) {
        var noise = Noise(seed: (number + 1) << 32)
        let content = noise.bytes(600)
        guard pair.alice.tunnel.mode != .packets else {
            pair.link.send(udp(1, 2, content), from: pair.alice)
            return pair.link.send(udp(2, 1, content), from: pair.bob)
        }
        pair.link.send(ethernet: [ethernet(host(1), host(2), ip: udp(1, 2, content))], from: pair.alice)
        pair.link.send(ethernet: [ethernet(host(2), host(1), ip: udp(2, 1, content))], from: pair.bob)
    }

    /// Whether an end sends on a session that it asked for, which it renews then.
    private func asksForSessions(_ end: End, of other: End) -> Bool {
        guard let slot = end.tunnel.peers.slot(of: other.publicKey),
            let current = end.tunnel.peers[slot].keypairs.current
        else { return false }
        return end.tunnel.services.sessions[current].isInitiator
    }
}
