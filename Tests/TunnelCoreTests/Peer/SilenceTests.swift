import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// HELLO, REPORT and PING are like keepalives to every timer.
@Suite struct SilenceTests {
    @Test("two gateways that have nothing to say fall silent, whatever they said before")
    func idle() {
        for cipher in [CipherPolicy.chacha20poly1305, .auto] {
            let pair = Pair(both: Pair.Options(compression: auto, cipher: cipher))
            pair.connect()
            exchange(pair, for: 4000)
            #expect(pair.link.sightings.receipts.count > 20 && pair.link.sightings.pings.count > 4)
            pair.forget()
            pair.link.run(for: .seconds(25))
            // WireGuard's keepalives: for data that came before one was due, and for what came since.
            #expect(pair.link.sightings.data.isEmpty && pair.link.sightings.keepalives.count <= 4)
            pair.forget()
            pair.link.run(for: .seconds(3600))
            #expect(pair.link.sightings.summary == [])
        }
    }

    @Test("a REPORT or a PING arms no timer at either end")
    func noTimers() {
        for payload in [reportRecord(highest: 1, datagrams: 1, bytes: 1, clock: 1), pingRecord(1, token: 5)] {
            let pair = Pair(auto, auto)
            pair.connect()
            pair.link.run(for: .seconds(30))
            pair.forget()
            #expect(pair.deliver(payload) == [])
            pair.link.run(for: .seconds(100))
            #expect(pair.link.sightings.summary == [])
        }
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(30))
        pair.forget()
        // The answer is lost: nobody waits for anything.
        pair.link.rule = { _ in .drop }
        #expect(pair.deliver(pingRecord(0, token: 5)) == [])
        pair.link.run(for: .seconds(100))
        #expect(pair.link.sightings.summary == ["PING answer"])
    }

    @Test("they prolong no session: one that is old is not renewed because of them")
    func noRenewal() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(125))
        pair.forget()
        for _ in 0..<5 {
            #expect(pair.deliver(pingRecord(0, token: 5)) == [])
            #expect(pair.deliver(reportRecord(highest: 1, datagrams: 1, bytes: 1, clock: 1)) == [])
            // And to alice, who was the initiator.
            if let ping = pair.bob.seal(pingRecord(0, token: 6), to: pair.alice) {
                pair.link.deliver(ping, to: pair.alice, from: pair.bob.endpoint)
            }
            pair.link.run(for: .seconds(5))
        }
        #expect(pair.link.sightings.initiations.isEmpty)
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.initiations.isEmpty)
        // The session ends when it would have.
        #expect(pair.deliver(pingRecord(0, token: 5)) == [.expired])
    }

    @Test("UNIT, BUNDLE and FRAGMENT are data: they ask for an answer, and are answered by a keepalive")
    func data() {
        let packets = [udp(1, 2, text(900)), udp(1, 2, text(300))]
        let unit = membersRecord(packets)
        for payloads in [[unit], [bundleRecord(packets)], fragmentRecords(unit, number: 0, count: 2)] {
            let pair = Pair(auto, auto)
            pair.connect()
            pair.link.run(for: .seconds(30))
            pair.forget()
            for payload in payloads { pair.deliver(payload) }
            #expect(pair.bob.received == packets)
            pair.link.run(for: .seconds(9))
            #expect(pair.link.sightings.isEmpty)
            pair.link.run(for: .seconds(2))
            #expect(pair.link.sightings.summary == ["keepalive"])
        }
        // What is sent of them is missed if nothing comes back.
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(30))
        pair.forget()
        pair.link.rule = { _ in .drop }
        pair.link.send(together: [udp(1, 2, text(40)), udp(1, 2, text(40), port: 4001)], from: pair.alice)
        #expect(pair.link.sightings.summary == ["bundle"])
        pair.link.run(for: .seconds(16))
        #expect(pair.link.sightings.initiations.count == 1)
    }

    @Test("one-way traffic has WireGuard's handshakes, and no more")
    func oneWay() {
        let counts = [CompressionPolicy.off, auto].map { policy -> [Instant] in
            let pair = Pair(policy, policy)
            pair.link.listens = true
            for _ in 0..<4000 {
                pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
                pair.link.run(for: .milliseconds(100))
            }
            return pair.link.sightings.initiations.map(\.at)
        }
        #expect(counts[0].count == 4 && counts[0] == counts[1])
    }

    private func exchange(_ pair: Pair, for milliseconds: Int) {
        for _ in 0..<milliseconds {
            pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 1372), from: pair.bob)
            pair.link.run(for: .milliseconds(1))
        }
    }
}
