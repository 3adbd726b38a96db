import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// Whitepaper §5.3 and §5.4.7.
@Suite struct CookieTests {
    @Test("under load an initiation is answered by a cookie, and one with the cookie's mac2 by a response")
    func exchange() throws {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.summary == ["initiation", "cookie reply"])
        #expect(pair.link.sightings.last?.bytes.count == 64)
        #expect(pair.link.sightings.first?.mac2.allSatisfy { $0 == 0 } == true)
        #expect(pair.bob.drops(.rateLimited) == 1)

        pair.link.run(for: .seconds(5))
        let second = try #require(pair.link.sightings.initiations.last)
        #expect(pair.link.sightings.count == 3, "the second one is taken in")
        #expect(second.mac2.contains { $0 != 0 })
        pair.bob.isWorking = true
        pair.link.settle(pair.bob)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == [udp(1, 2, payload: 10)])
    }

    @Test("a mac2 is good for the address and the port that the cookie went to")
    func bound() throws {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(5500))
        let signed = try #require(pair.link.sightings.initiations.last)
        var elsewhere = [pair.alice.endpoint, pair.alice.endpoint, site(3).endpoint, pair.alice.endpoint]
        elsewhere[0].port += 1
        elsewhere[1].port ^= 0xff00
        elsewhere[3].address = .v6(UInt128(0xc000_0201))
        for endpoint in elsewhere {
            pair.forget()
            pair.link.deliver(signed.bytes, to: pair.bob, from: endpoint)
            #expect(pair.link.sightings.summary == ["cookie reply"])
        }
        pair.forget()
        pair.link.deliver(signed.bytes, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.link.sightings.summary == [])
    }

    @Test("a damaged or repeated cookie reply is not accepted")
    func forged() throws {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        pair.link.rule = { $0.isCookieReply ? .drop : .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        let reply = try #require(pair.link.sightings.last?.bytes)
        for place in 0..<64 {
            var damaged = reply
            damaged[place] ^= 1
            pair.link.deliver(damaged, to: pair.alice, from: pair.bob.endpoint)
        }
        #expect(pair.alice.drops(.malformed) == 4)
        #expect(pair.alice.drops(.unknownIndex) == 4)
        #expect(pair.alice.drops(.handshake) == 56)
        pair.link.run(for: .milliseconds(5400))
        #expect(pair.link.sightings.initiations.count == 2)
        #expect(pair.link.sightings.initiations.last?.mac2.allSatisfy { $0 == 0 } == true)
        pair.link.deliver(reply, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.drops(.unknownIndex) + pair.alice.drops(.handshake) == 61, "it answers the one before")
    }

    @Test("cookies are used for 115 s and taken for 120 s")
    func lifetime() throws {
        let key = privateKey(5).publicKey
        var checker = CookieChecker(key)
        var jar = CookieJar(key)
        var randomness = Randomness(seed: 1)
        var message = Initiation.Bytes(repeating: 7)
        jar.sign(&message, at: now(0))
        let reply = checker.reply(to: message, from: site(1).endpoint, at: now(0), randomness: &randomness)
        let accepted = jar.accept(reply, at: now(0))
        #expect(accepted)
        let again = jar.accept(reply, at: now(0))
        #expect(!again)

        for (seconds, isSigned) in [(0, true), (114, true), (115, false), (500, false)] as [(Int64, Bool)] {
            var next = Initiation.Bytes(repeating: 9)
            for index in 132..<148 { next[index] = 0 }
            jar.sign(&next, at: now(seconds))
            #expect((132..<148).contains { next[$0] != 0 } == isSigned, "\(seconds)")
        }
        var signed = Initiation.Bytes(repeating: 9)
        jar.sign(&signed, at: now(1))
        #expect(checker.verifyMAC2(signed, from: site(1).endpoint, at: now(119)))
        #expect(!checker.verifyMAC2(signed, from: site(1).endpoint, at: now(120)))
        _ = checker.reply(to: message, from: site(1).endpoint, at: now(121), randomness: &randomness)
        #expect(!checker.verifyMAC2(signed, from: site(1).endpoint, at: now(121)), "the secret is another one")
    }

    @Test("a flood keeps neither memory nor the sessions that are there")
    func flood() throws {
        let pair = Pair()
        pair.connect()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        for number in 0..<5000 { flood.send(number: 1000 + number) }
        #expect(pair.bob.tunnel.services.jobs.count <= 128)
        #expect(pair.bob.tunnel.services.indices.count <= 130)
        let toStrangers = pair.link.sightings.sent(by: pair.bob)
        #expect(toStrangers.count == 5)
        #expect(toStrangers.allSatisfy { $0.isCookieReply })
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == [udp(1, 2, payload: 10)])
    }

    @Test("an address gets 5 cookie replies at once and 20 a second after that, and takes none from others")
    func reflected() {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        for _ in 0..<100 {
            for number in 0..<100 { flood.send(number: number) }
            pair.link.run(for: .milliseconds(10))
        }
        let toFlooder = pair.link.sightings.sent(by: pair.bob).count
        #expect((20...26).contains(toFlooder))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.last?.isCookieReply == true)
        #expect(pair.link.sightings.sent(by: pair.bob).count == toFlooder + 1)
    }

    @Test("a flood without our public key is not even answered by cookies")
    func floodWithoutMAC() {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        var noise = Noise(seed: 3)
        for _ in 0..<1000 {
            pair.link.deliver([1, 0, 0, 0] + noise.bytes(144), to: pair.bob, from: site(9).endpoint)
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.mac1) == 1000)
    }

    @Test("a second after the load is gone, initiations are answered at once again")
    func loadEnds() {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        flood.send(number: 5000)
        pair.bob.isWorking = true
        pair.link.settle(pair.bob)
        pair.link.run(for: .milliseconds(1100))
        pair.forget()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.filter(\.isResponse).count == 1)
    }

    @Test("an address with a valid cookie gets 5 initiations in at once, and 20 a second after that")
    func rateLimit() throws {
        let pair = Pair()
        let flood = Flood(pair.bob, pair.link)
        flood.load()
        flood.send(number: 0)
        let reply = try #require(pair.link.sightings.last { $0.isCookieReply })
        var jar = flood.jar
        _ = jar.accept(InlineArray { reply.bytes[$0] }, at: pair.link.now(at: pair.bob))
        for number in 1...100 { flood.send(number: number, &jar) }
        #expect(pair.bob.tunnel.services.jobs.count <= 128 + 5)
    }
}

/// Somebody who knows bob's public key and nothing else.
private final class Flood {
    private let target: End
    private let link: Link
    var jar: CookieJar

    init(_ target: End, _ link: Link) {
        self.target = target
        self.link = link
        jar = CookieJar(target.publicKey)
    }

    /// Fills the target's queue of handshakes up to where it counts as under load.
    func load() {
        target.isWorking = false
        for number in 0..<Limits.handshakeLoad { send(number: number + 100_000) }
        // The one that notices.
        link.sightings = []
    }

    func send(number: Int) { send(number: number, &jar) }

    func send(number: Int, _ jar: inout CookieJar) {
        var noise = Noise(seed: UInt64(number))
        let content = noise.bytes(148)
        var message = Initiation.Bytes { $0 < 132 ? content[$0] : 0 }
        message.store(little: 1, at: 0)
        jar.sign(&message, at: link.now(at: target))
        link.deliver((0..<148).map { message[$0] }, to: target, from: site(9).endpoint)
    }
}

extension Sighting {
    fileprivate var mac2: ArraySlice<UInt8> { bytes.suffix(16) }
}

private func now(_ seconds: Int64) -> Now {
    Now(
        instant: Instant(nanoseconds: 5_000_000_000) + .seconds(seconds),
        wall: WallTime(seconds: seconds, nanoseconds: 0))
}
