import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// docs/protocol.md §3.1.
@Suite struct HelloTests {
    @Test("two gateways exchange two HELLOs before any data, and no more")
    func exchange() {
        let pair = Pair(auto, auto)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(60))
        let exchange = pair.link.sightings.filter { !$0.isKeepalive }
        #expect(exchange.sent(by: pair.alice).summary == ["initiation", "HELLO asks", "packet"])
        #expect(exchange.sent(by: pair.bob).summary == ["response", "HELLO seen"])
        for _ in 0..<100 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
            pair.link.run(for: .milliseconds(500))
        }
        #expect(pair.link.sightings.hellos.count == 2)
    }

    @Test("with a version before CONFIRM every session has an exchange of three, with its first transport message")
    func everySession() {
        let pair = Pair(
            alice: Pair.Options(compression: auto, confirms: false), bob: Pair.Options(compression: auto))
        pair.connect()
        pair.link.run(for: .seconds(200))
        pair.forget()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(5))
        #expect(pair.link.sightings.sent(by: pair.bob).filter(\.isTransport).summary.first == "HELLO asks")
        #expect(pair.link.sightings.hellos.map(\.counter).first == 0)
        #expect(pair.link.sightings.hellos.count == 3)
    }

    @Test("the responder's HELLO goes before its data")
    func responderFirst() {
        let pair = Pair(CompressionPolicy.off, auto)
        pair.link.rule = { $0.isTransport && $0.from == pair.alice.endpoint ? .drop : .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.rule = { _ in .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        let sent = pair.link.sightings.sent(by: pair.bob).filter(\.isTransport)
        #expect(sent.summary.prefix(2) == ["HELLO asks", "packet"])
    }

    @Test("after initiations that crossed, both ends know each other as well")
    func crossed() {
        let pair = Pair(auto, auto)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(1))
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            #expect(end.statistics(of: other)?.compresses == true)
        }
        pair.forget()
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.hellos.summary == [])
    }

    @Test("whichever HELLO is lost, both ends know each other within a quarter of a second", arguments: 0..<3)
    func loss(lost: Int) {
        let pair = Pair(auto, auto)
        var count = 0
        pair.link.rule = { sighting in
            guard sighting.isHello else { return .deliver }
            defer { count += 1 }
            return count == lost ? .drop : .deliver
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(400))
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            #expect(end.statistics(of: other)?.compresses == true)
        }
        pair.link.run(for: .seconds(60))
        let hellos = pair.link.sightings.hellos
        #expect((2...4).contains(hellos.count))
        #expect(hellos.last?.asks == false)
    }

    @Test("on a wire that loses half, the exchange comes to its end, whatever is lost", arguments: 0..<40)
    func heavyLoss(seed: UInt64) {
        let pair = Pair(auto, auto)
        var noise = Noise(seed: seed)
        pair.link.rule = { $0.isHello && noise.next() % 2 == 0 ? .drop : .deliver }
        for _ in 0..<100 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
            pair.link.run(for: .seconds(1))
        }
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            #expect(end.statistics(of: other)?.compresses == true)
        }
        #expect(pair.link.sightings.last { $0.isHello }.map { $0.at < pair.link.instant + .seconds(-20) } == true)
    }

    @Test("a HELLO that nothing confirms is repeated after 0.25, 0.5, 1 and 2 s, then never on an idle link")
    func repetition() {
        let pair = Pair(auto, CompressionPolicy.off)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setPersistentKeepalive(.seconds(100_000), of: pair.bob.publicKey, at: now)
        }
        pair.link.run(for: .seconds(3600))
        let hellos = pair.link.sightings.hellos
        #expect(hellos.gaps == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)])
        #expect(hellos.allSatisfy { $0.asks && !$0.seen })
    }

    @Test("with traffic it is repeated every 15 s after those")
    func repetitionWithTraffic() {
        let pair = Pair(auto, CompressionPolicy.off)
        for _ in 0..<1000 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        let gaps = pair.link.sightings.hellos.gaps
        #expect(gaps.prefix(4) == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)])
        #expect(
            gaps.dropFirst(4) == [.seconds(15), .seconds(15), .seconds(15), .seconds(15), .seconds(15), .seconds(15)])
    }

    @Test("a peer that was silent for three sessions gets one HELLO a session")
    func silentPeer() {
        let pair = Pair(auto, CompressionPolicy.off)
        let counts = pair.hellosPerSession(6, gap: 200)
        #expect(counts == [5, 5, 5, 1, 1, 1])
    }

    @Test("it counts as silent even if its sessions are wiped in between")
    func silentPeerSeldom() {
        let pair = Pair(auto, CompressionPolicy.off)
        #expect(pair.hellosPerSession(6, gap: 1000) == [5, 5, 5, 1, 1, 1])
    }

    @Test("a peer that was silent is asked as usual after its first HELLO")
    func noLongerSilent() {
        var pair = Pair(auto, CompressionPolicy.off)
        _ = pair.hellosPerSession(5, gap: 200)
        pair.restartBob(Pair.Options(compression: auto))
        pair.link.run(for: .seconds(200))
        pair.forget()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(5))
        #expect(pair.link.sightings.hellos.count == 2)
        #expect(pair.alice.statistics(of: pair.bob)?.compresses == true)
    }

    @Test("a HELLO that comes twice, or late, is answered and does no harm")
    func duplicates() {
        let pair = Pair(auto, auto)
        pair.link.rule = { $0.isHello ? .duplicate : .deliver }
        pair.connect()
        pair.link.run(for: .seconds(60))
        #expect(pair.alice.drops(.replay, of: pair.bob) + pair.bob.drops(.replay, of: pair.alice) >= 2)
        pair.link.rule = { _ in .deliver }
        pair.forget()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["unit"])
        #expect(pair.bob.received == [udp(1, 2, text(1000))])
    }

    @Test("an answer to an answer never follows")
    func noStorm() throws {
        let pair = Pair(auto, auto)
        pair.connect()
        for seen in [false, true] {
            let hello = try #require(pair.alice.seal(HelloBuilder(seen: seen).bytes.padded, to: pair.bob))
            pair.link.deliver(hello, to: pair.bob, from: pair.alice.endpoint)
        }
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.hellos.summary == [])
        let hello = try #require(pair.alice.seal(HelloBuilder(seen: true, asks: true).bytes.padded, to: pair.bob))
        pair.link.deliver(hello, to: pair.bob, from: pair.alice.endpoint)
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.hellos.summary == ["HELLO seen"])
    }

    @Test("a HELLO arms no timer, asks for no keepalive and starts no session")
    func timers() throws {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(60))
        pair.forget()
        pair.link.rule = { _ in .drop }
        let hello = try #require(pair.alice.seal(HelloBuilder(seen: true, asks: true).bytes.padded, to: pair.bob))
        pair.link.deliver(hello, to: pair.bob, from: pair.alice.endpoint)
        pair.link.run(for: .seconds(24 * 3600))
        #expect(pair.link.sightings.summary == ["HELLO seen"])
    }
}

extension Pair {
    /// Makes sessions, each with a packet from alice; how many HELLOs she sent on each.
    fileprivate func hellosPerSession(_ count: Int, gap: Int64) -> [Int] {
        (0..<count).map { _ in
            forget()
            link.send(udp(1, 2, payload: 10), from: alice)
            link.run(for: .seconds(gap))
            return link.sightings.hellos.sent(by: alice).count
        }
    }
}

extension [Sighting] {
    fileprivate var gaps: [Interval] { zip(self, dropFirst()).map { $1.at - $0.at } }
}
