import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// How large datagrams may be, found by padded PINGs and believable ICMP (docs/protocol.md §3.7), on the virtual clock.
@Suite struct PathMTUTests {
    /// A pair whose interfaces take so much, on a path that takes less and says nothing.
    private static func pair(ceiling: Int = 1500, latency: Interval = .milliseconds(10)) -> Pair {
        let pair = Pair(auto, auto, latency: latency)
        pair.alice.routeMTU = ceiling
        pair.bob.routeMTU = ceiling
        return pair
    }

    /// The path takes so much from now on; what may be divided passes all the same, if fragments do.
    private static func narrow(_ pair: Pair, to mtu: Int, passesFragments: Bool = false, loss: UInt64 = 0) {
        var noise = Noise(seed: 7)
        pair.link.rule = { datagram in
            if loss > 0, noise.next() % 100 < loss { return .drop }
            let fits = datagram.size <= mtu || passesFragments && datagram.division == .allowed
            return fits ? .deliver : .drop
        }
    }

    private static func path(_ pair: Pair) -> PathStatistics? { pair.alice.statistics(of: pair.bob)?.pathMTU }

    /// Sends a packet of noise every two milliseconds.
    private static func feed(_ pair: Pair, for time: Interval, size: Int = 1300, answers: Bool = true) {
        let end = pair.link.instant + time
        while pair.link.instant < end {
            pair.link.send(udp(1, 2, payload: size), from: pair.alice)
            if answers { pair.link.send(udp(2, 1, payload: 40), from: pair.bob) }
            pair.link.run(for: .milliseconds(2))
        }
    }

    private static func probes(_ pair: Pair) -> [Sighting] {
        pair.link.sightings.filter { $0.from == pair.alice.endpoint && $0.division == .forbidden && $0.size > 200 }
    }

    @Test("one padded PING is enough where all passes, and data is not divided from then on")
    func passes() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(3))
        let path = Self.path(pair)
        #expect(path?.mtu == 1500)
        #expect(path?.phase == .complete)
        #expect(path?.source == .probed)
        #expect(Self.probes(pair).map(\.size) == [1500])
        let data = pair.link.sightings.filter { $0.isData && $0.from == pair.alice.endpoint }
        #expect(data.suffix(100).allSatisfy { $0.division == .avoided })
        #expect(!pair.alice.events.contains { if case .pathMTU = $0 { true } else { false } })
    }

    @Test(
        "what the path takes is found, whatever it says",
        arguments: [576, 1006, 1279, 1280, 1400, 1420, 1492, 1499, 1500])
    func found(mtu: Int) {
        for passesFragments in [false, true] {
            let pair = Self.pair()
            Self.narrow(pair, to: mtu, passesFragments: passesFragments)
            pair.connect()
            Self.feed(pair, for: .seconds(3))
            let found = Self.path(pair)?.mtu ?? 0
            #expect(found <= mtu)
            #expect(found >= [576: 576, 1006: 1006, 1279: 1152, 1499: 1492][mtu] ?? mtu, "\(mtu)")
            #expect(Self.path(pair)?.phase == .complete)
            // No storm.
            #expect(Self.probes(pair).count <= 30)
            if mtu < 1500 {
                let news = PathNews(mtu: found, source: .probed, isSilent: true)
                #expect(
                    pair.alice.events.filter { if case .pathMTU = $0 { true } else { false } } == [
                        .pathMTU(pair.bob.publicKey, news)
                    ])
            }
        }
    }

    @Test("jumbo frames are found too", arguments: [1500, 4000, 9000])
    func jumbo(mtu: Int) {
        let pair = Self.pair(ceiling: 9000)
        Self.narrow(pair, to: mtu)
        pair.connect()
        Self.feed(pair, for: .seconds(3))
        #expect(Self.path(pair)?.mtu == mtu)
    }

    @Test(
        "a path that shrinks is noticed within half a second of traffic, with answers from inside and without",
        arguments: [false, true])
    func shrinks(answers: Bool) {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(5), answers: answers)
        #expect(Self.path(pair)?.mtu == 1500)
        Self.narrow(pair, to: 1400)
        let start = pair.link.instant
        while Self.path(pair)?.blackHoles == 0, pair.link.instant - start < .seconds(5) {
            Self.feed(pair, for: .milliseconds(20), size: 1392, answers: answers)
        }
        #expect(pair.link.instant - start < .milliseconds(500))
        Self.feed(pair, for: .seconds(1), size: 1392, answers: answers)
        #expect(Self.path(pair)?.mtu == 1400)
        #expect(
            pair.alice.events.contains(
                .pathMTU(pair.bob.publicKey, PathNews(mtu: 1400, source: .probed, isSilent: true))))
    }

    @Test("loss of all sizes is no black hole")
    func loss() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(2))
        Self.narrow(pair, to: 1500, loss: 5)
        Self.feed(pair, for: .seconds(30))
        #expect(Self.path(pair)?.mtu == 1500)
        #expect(Self.path(pair)?.blackHoles == 0)
    }

    @Test("a path that grows is noticed within ten minutes of traffic")
    func grows() {
        let pair = Self.pair()
        pair.link.listens = false
        Self.narrow(pair, to: 1280)
        pair.connect()
        Self.feed(pair, for: .seconds(3))
        #expect(Self.path(pair)?.mtu == 1280)
        Self.narrow(pair, to: 1500)
        for _ in 0..<59 {
            pair.link.run(for: .seconds(10))
            Self.feed(pair, for: .milliseconds(100))
        }
        #expect(Self.path(pair)?.mtu == 1500)
    }

    @Test("a link without traffic is not asked anything, and a peer that is gone is asked ever less")
    func silence() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(3))
        pair.link.run(for: .seconds(30))
        pair.link.sightings = []
        pair.link.run(for: .seconds(100))
        #expect(Self.probes(pair).isEmpty)
        pair.link.rule = { _ in .drop }
        Self.feed(pair, for: .seconds(60), answers: false)
        #expect(Self.probes(pair).count < 100)
    }

    @Test("a stock peer is never asked, and what goes to it may be divided")
    func stock() {
        let pair = Pair(auto, .off)
        pair.alice.routeMTU = 1500
        pair.connect()
        Self.feed(pair, for: .seconds(2))
        #expect(pair.link.sightings.allSatisfy { $0.division == .allowed })
        #expect(pair.link.sightings.allSatisfy { !$0.isPing })
    }

    // MARK: ICMP

    /// Says to alice that something was too big for bob's path.
    private static func tooBig(_ mtu: Int, _ pair: Pair, quoting datagram: [UInt8]?) {
        pair.link.change(pair.alice) { tunnel, now in
            let quote = datagram.map { Array($0.prefix(16)) } ?? []
            tunnel.noteTooBig(mtu, to: pair.bob.endpoint, quote: unsafe quote.span.bytes, at: now)
        }
    }

    @Test("ICMP that quotes one of our last datagrams is believed at once")
    func believed() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(2))
        Self.narrow(pair, to: 1337)
        let last = pair.link.sightings.last { $0.isData && $0.from == pair.alice.endpoint }
        Self.tooBig(1337, pair, quoting: last?.bytes)
        #expect(Self.path(pair)?.mtu == 1337)
        Self.feed(pair, for: .milliseconds(200))
        #expect(Self.path(pair)?.mtu == 1337)
        #expect(Self.path(pair)?.source == .icmp)
        #expect(Self.path(pair)?.phase == .complete)
        #expect(Self.path(pair)?.blackHoles == 0)
    }

    @Test("forged ICMP is ignored and counted: absurd sizes, other ports, other datagrams, none")
    func forged() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(2))
        let last = pair.link.sightings.last { $0.isData && $0.from == pair.alice.endpoint }?.bytes ?? []
        var count: UInt64 = 0
        for (mtu, quote) in [
            (68, last), (575, last), (0, last), (1500, last), (70_000, last), (1280, nil),
            (1280, [UInt8](repeating: 4, count: 16)), (1280, Array(last.prefix(4)) + [9, 9, 9, 9] + last.dropFirst(8)),
            (1280, Array(last.prefix(8)) + little(UInt64.max - 5)),
        ] as [(Int, [UInt8]?)] {
            Self.tooBig(mtu, pair, quoting: quote)
            count += 1
            #expect(Self.path(pair)?.mtu == 1500, "\(mtu)")
            #expect(Self.path(pair)?.ignored == count, "\(mtu)")
            pair.link.run(for: .seconds(1))
        }
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.noteTooBig(1280, to: site(9).endpoint, quote: unsafe last.span.bytes, at: now)
        }
        #expect(pair.alice.tunnel.ignoredTooBigs == 1)
        Self.feed(pair, for: .seconds(2))
        #expect(Self.path(pair)?.mtu == 1500)
        #expect(Self.path(pair)?.blackHoles == 0)
    }

    @Test("a stock peer's path is taken to be what believable ICMP says, for some minutes")
    func stockTooBig() {
        let pair = Pair(auto, .off)
        pair.alice.routeMTU = 1500
        pair.connect()
        Self.feed(pair, for: .seconds(1))
        let last = pair.link.sightings.last { $0.isData && $0.from == pair.alice.endpoint }
        Self.tooBig(1300, pair, quoting: nil)
        #expect(Self.path(pair)?.mtu == 1500)
        Self.tooBig(1300, pair, quoting: last?.bytes)
        #expect(Self.path(pair)?.mtu == 1300)
        pair.link.run(for: .seconds(301))
        #expect(Self.path(pair)?.mtu == 1500)
    }

    @Test("another interface, or another path, begins anew")
    func another() {
        let pair = Self.pair()
        pair.connect()
        Self.feed(pair, for: .seconds(2))
        pair.alice.routeMTU = 1400
        pair.link.change(pair.alice) { tunnel, now in tunnel.forgetRoutes(at: now) }
        #expect(Self.path(pair)?.mtu == 1400)
        #expect(Self.path(pair)?.source == .assumed)
        Self.feed(pair, for: .seconds(2))
        #expect(Self.path(pair)?.mtu == 1400)
        #expect(Self.path(pair)?.source == .probed)
    }
}
