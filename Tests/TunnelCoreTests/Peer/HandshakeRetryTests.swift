import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct HandshakeRetryTests {
    @Test("an unanswered initiation is repeated after 5 s and at most 333 ms more, 18 times in all, and then no more")
    func retries() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(7200))
        let times = pair.link.sightings.initiations.map(\.at)
        #expect(times.count == 18)
        #expect(pair.link.sightings.count == 18)
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { $0 >= .seconds(5) && $0 <= .milliseconds(5333) })
        #expect(Set(gaps).count > 10)
        #expect(pair.alice.events.contains(.handshakeGivenUp(pair.bob.publicKey, dropped: 1)))
        #expect(pair.alice.drops(.staged, of: pair.bob) == 1)
    }

    @Test("every initiation is a new one: another index, another ephemeral key")
    func fresh() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(60))
        let initiations = pair.link.sightings.initiations
        #expect(initiations.count >= 11)
        #expect(Set(initiations.map(\.senderIndex)).count == initiations.count)
        #expect(Set(initiations.map(\.ephemeral)).count == initiations.count)
        #expect(pair.alice.tunnel.services.indices.count == 1)
    }

    @Test("a response to an initiation that was given up is dropped")
    func lateResponse() {
        let pair = Pair(latency: .seconds(3))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(6500))
        #expect(pair.alice.drops(.unknownIndex) == 1)
        #expect(pair.alice.handshakesDone == 0)
    }

    @Test("never more than one initiation in five seconds, whatever the traffic")
    func noStorm() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        for _ in 0..<300 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        let times = pair.link.sightings.initiations.map(\.at)
        #expect((5...7).contains(times.count))
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .seconds(5) })
    }

    @Test("a packet that comes while it tries makes it try for 90 s more (whitepaper §6.4)")
    func triesOn() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(62))
        pair.link.send(udp(1, 2, payload: 20), from: pair.alice)
        pair.link.run(for: .seconds(60))
        #expect(pair.alice.drops(.staged, of: pair.bob) == 0)
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(10))
        #expect(pair.bob.received == [udp(1, 2, payload: 10), udp(1, 2, payload: 20)])
    }

    @Test("after it gave up, the next packet begins anew")
    func beginsAnew() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(200))
        pair.forget()
        pair.link.rule = { _ in .deliver }
        pair.link.send(udp(1, 2, payload: 20), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == [udp(1, 2, payload: 20)])
    }

    @Test("packets wait for the session in order, the oldest of more than 128 are dropped and counted")
    func staged() {
        let pair = Pair()
        let packets = (0..<200).map { udp(1, 2, payload: 100 + $0) }
        for packet in packets { pair.link.send(packet, from: pair.alice) }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == Array(packets.suffix(128)))
        #expect(pair.alice.drops(.staged, of: pair.bob) == 72)
    }

    @Test("packets of the largest size that wait are bounded in bytes too, and all that waited arrive")
    func stagedBytes() {
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, _ in tunnel.mtu = 65_000 }
        let packets = (0..<20).map { v4(1, 2, length: 40_000 + $0) }
        for packet in packets { pair.link.send(packet, from: pair.alice) }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == Array(packets.suffix(6)))
        #expect(pair.alice.drops(.staged, of: pair.bob) == 14)
    }

    @Test("a peer without endpoint gets nothing until it calls, and the sender learns that it is not reachable")
    func noEndpoint() {
        let pair = Pair(bob: Pair.Options(knowsEndpoint: false))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(10))
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.noEndpoint, of: pair.alice) == 1)
        #expect(pair.bob.received.map { PacketView($0).icmp } == [[3, 1]])
        pair.connect()
        pair.link.send(udp(2, 1, payload: 20), from: pair.bob)
        pair.link.drain()
        #expect(pair.alice.received == [udp(2, 1, payload: 20)])
    }
}
