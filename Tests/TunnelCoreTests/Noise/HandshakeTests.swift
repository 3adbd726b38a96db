import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct HandshakeTests {
    @Test("a packet makes a session, and its answer comes back")
    func bothWays() {
        let pair = Pair()
        let question = udp(1, 2, payload: 100)
        let answer = udp(2, 1, payload: 200)
        pair.link.send(question, from: pair.alice)
        pair.link.drain()
        pair.link.send(answer, from: pair.bob)
        pair.link.drain()
        #expect(pair.bob.received == [question])
        #expect(pair.alice.received == [answer])
        #expect(pair.link.sightings.summary == ["initiation", "response", "packet", "packet"])
        #expect(pair.link.sightings.map(\.bytes.count).prefix(2) == [148, 92])
        #expect(pair.link.sightings.map(\.trafficClass) == [0x88, 0x88, 0, 0])
        #expect(pair.alice.statistics(of: pair.bob)?.lastHandshake != nil)
        #expect(pair.bob.statistics(of: pair.alice)?.lastHandshake != nil)
    }

    @Test("the end that was the responder can be the initiator as well")
    func eitherEnd() {
        let pair = Pair()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.alice.received == [udp(2, 1, payload: 10)])
    }

    @Test("an initiator with nothing to send confirms the session with a keepalive")
    func confirmation() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.link.drain()
        pair.link.run(for: .milliseconds(100))
        #expect(pair.link.sightings.summary == ["initiation", "response", "keepalive"])
        #expect(pair.link.sightings.last?.bytes.count == 32)
        #expect(pair.bob.handshakesDone == 1)
    }

    @Test("the responder sends nothing on a session before the initiator has confirmed it")
    func responderWaits() {
        let pair = Pair()
        pair.link.rule = { $0.isTransport && $0.from == pair.alice.endpoint ? .drop : .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        #expect(pair.link.sightings.sent(by: pair.bob).filter(\.isTransport).summary == [])
    }

    @Test("bytes are counted as wg counts them")
    func transfer() {
        let pair = Pair()
        pair.link.send(udp(1, 2, payload: 72), from: pair.alice)
        pair.link.drain()
        let alice = pair.alice.statistics(of: pair.bob)
        let bob = pair.bob.statistics(of: pair.alice)
        #expect(alice?.sent == 148 + 32 + 112 && alice?.received == 92)
        #expect(bob?.received == 148 + 32 + 112 && bob?.sent == 92)
    }

    @Test("a sender that is no peer gets no answer, and is counted")
    func stranger() {
        let pair = Pair()
        let stranger = End(privateKey(99), site(3).endpoint, seed: 99)
        pair.link.add(stranger)
        pair.introduce(pair.bob, site(2), to: stranger, Pair.Options())
        pair.link.send(udp(3, 2, payload: 10), from: stranger)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["initiation"])
        #expect(pair.bob.drops(.handshake) == 1)
    }

    @Test("an initiation made for another public key fails at its mac1")
    func wrongPublicKey() {
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.removePeer(pair.bob.publicKey)
            tunnel.setPeer(
                privateKey(99).publicKey, Pair.configuration(site(2), Pair.Options()), at: now)
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["initiation"])
        #expect(pair.bob.drops(.mac1) == 1)
        #expect(pair.bob.drops(.handshake) == 0)
    }

    @Test("with the same preshared key on both ends there is a session")
    func presharedKeys() {
        let pair = Pair(both: Pair.Options(presharedKey: presharedKey(1)))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.count == 1)
        #expect(pair.alice.statistics(of: pair.bob)?.hasPresharedKey == true)
    }

    @Test("different preshared keys make no session, and the response is counted", arguments: [true, false])
    func wrongPresharedKey(bobHasOne: Bool) {
        let pair = Pair(
            alice: Pair.Options(presharedKey: presharedKey(1)),
            bob: Pair.Options(presharedKey: bobHasOne ? presharedKey(2) : nil))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(4))
        #expect(pair.bob.received.isEmpty && pair.alice.received.isEmpty)
        #expect(pair.alice.drops(.handshake) >= 1)
        #expect(pair.alice.statistics(of: pair.bob)?.lastHandshake == nil)
        #expect(pair.bob.statistics(of: pair.alice)?.lastHandshake == nil)
        #expect(pair.link.sightings.filter(\.isTransport).summary == [])
    }

    @Test("a new preshared key takes effect with the next handshake, and the session stays")
    func changedPresharedKey() {
        let pair = Pair()
        pair.connect()
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            pair.link.change(end) { tunnel, _ in tunnel.setPresharedKey(presharedKey(1), of: other.publicKey) }
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["packet"])
        pair.link.run(for: .seconds(200))
        pair.link.send(udp(1, 2, payload: 20), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.count == 2)
    }

    @Test("a new private key ends the sessions, and the next packet makes one with it at once")
    func changedPrivateKey() {
        let pair = Pair()
        pair.connect()
        let key = privateKey(1234)
        pair.link.change(pair.alice) { tunnel, now in tunnel.setPrivateKey(key, at: now) }
        pair.link.change(pair.bob) { tunnel, now in
            tunnel.removePeer(pair.alice.publicKey)
            tunnel.setPeer(key.publicKey, Pair.configuration(site(1), Pair.Options()), at: now)
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["initiation", "response", "packet"])
        #expect(pair.bob.received.count == 1)
    }

    @Test("initiations from both ends at once come to one understanding")
    func simultaneous() {
        let pair = Pair()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.send(udp(2, 1, payload: 20), from: pair.bob)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == [udp(1, 2, payload: 10)])
        #expect(pair.alice.received == [udp(2, 1, payload: 20)])
        pair.forget()
        for round in 0..<100 {
            pair.link.send(udp(1, 2, payload: 30 + round), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 30 + round), from: pair.bob)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.alice.received.count == 100 && pair.bob.received.count == 100)
        #expect(pair.link.sightings.initiations.summary == [])
        #expect(pair.link.sightings.data.count == 200)
    }

    @Test("with our own key as a peer's, nothing is ever sent")
    func ownKey() {
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setPeer(
                pair.alice.publicKey, Pair.configuration(site(5), Pair.Options(persistentKeepalive: .seconds(5))),
                at: now)
        }
        pair.link.send(udp(1, 5, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(200))
        #expect(pair.link.sightings.summary == [])
    }

    @Test("with a public key of low order, nothing is ever sent", arguments: lowOrderKeys)
    func lowOrder(hex: String) throws {
        let key = try #require(PublicKey(hex: hex))
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setPeer(key, Pair.configuration(site(5), Pair.Options(persistentKeepalive: .seconds(5))), at: now)
        }
        pair.link.send(udp(1, 5, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(200))
        #expect(pair.link.sightings.summary == [])
    }

    @Test("without a private key nothing is sent and nothing is answered")
    func noKey() {
        let pair = Pair()
        pair.link.change(pair.bob) { tunnel, now in tunnel.setPrivateKey(nil, at: now) }
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.summary == ["initiation"])
    }

    @Test("a peer that is removed and added again is a new peer")
    func removedAndAdded() {
        let pair = Pair()
        pair.connect()
        pair.link.change(pair.bob) { tunnel, _ in tunnel.removePeer(pair.alice.publicKey) }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.isEmpty)
        #expect(pair.bob.drops(.unknownIndex) == 1)
        pair.introduce(pair.alice, site(1), to: pair.bob, Pair.Options())
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.alice.received.count == 1)
        #expect(pair.bob.statistics(of: pair.alice)?.drops[.unknownIndex] == 0)
    }
}

/// The points whose order divides 8, and their aliases.
private let lowOrderKeys: [String] = [
    String(repeating: "00", count: 32),
    "01" + String(repeating: "00", count: 31),
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + String(repeating: "ff", count: 30) + "7f",
    "ed" + String(repeating: "ff", count: 30) + "7f",
    "ee" + String(repeating: "ff", count: 30) + "7f",
]
