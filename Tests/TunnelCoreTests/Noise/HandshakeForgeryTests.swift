import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct HandshakeForgeryTests {
    @Test("an initiation with any byte but mac2's changed is not answered")
    func tamperedInitiation() throws {
        let pair = Pair()
        let initiation = try #require(pair.captureInitiation())
        for place in 0..<132 {
            pair.link.deliver(initiation.flipped(at: place), to: pair.bob, from: pair.alice.endpoint)
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.malformed) == 4)
        #expect(pair.bob.drops(.mac1) == 128)
        pair.link.deliver(initiation, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.link.sightings.summary == ["response"])
    }

    @Test("an initiation with any sealed byte changed is not answered, even if its mac1 is right")
    func tamperedInitiationWithMAC() throws {
        let pair = Pair()
        let initiation = try #require(pair.captureInitiation())
        for place in 8..<116 {
            let forged = signed(initiation.flipped(at: place), size: Initiation.Bytes.self, for: pair.bob)
            pair.link.deliver(forged, to: pair.bob, from: pair.alice.endpoint)
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.handshake) == 108)
        #expect(pair.bob.tunnel.services.indices.count == 0)
        pair.link.deliver(initiation, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.link.sightings.summary == ["response"])
    }

    @Test("a response with any byte but mac2's changed makes no session")
    func tamperedResponse() throws {
        let pair = Pair()
        let response = try #require(pair.captureResponse())
        for place in 0..<76 {
            pair.link.deliver(response.flipped(at: place), to: pair.alice, from: pair.bob.endpoint)
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.alice.handshakesDone == 0)
        #expect(pair.alice.drops(.malformed) == 4)
        #expect(pair.alice.drops(.unknownIndex) == 4)
        #expect(pair.alice.drops(.mac1) == 68)
        pair.link.deliver(response, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.handshakesDone == 1)
    }

    @Test("a response with any sealed byte changed makes no session, even if its mac1 is right")
    func tamperedResponseWithMAC() throws {
        let pair = Pair()
        let response = try #require(pair.captureResponse())
        for place in 12..<60 {
            let forged = signed(response.flipped(at: place), size: Response.Bytes.self, for: pair.alice)
            pair.link.deliver(forged, to: pair.alice, from: pair.bob.endpoint)
        }
        #expect(pair.alice.handshakesDone == 0)
        #expect(pair.alice.drops(.handshake) == 48)
        pair.link.deliver(response, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.handshakesDone == 1)
    }

    @Test("a response to no initiation of ours is dropped, and one that comes twice counts once")
    func unknownResponse() throws {
        let pair = Pair()
        let response = try #require(pair.captureResponse())
        var other = response
        other.replaceSubrange(8..<12, with: little(0x1234_5678 as UInt32))
        pair.link.deliver(
            signed(other, size: Response.Bytes.self, for: pair.alice), to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.drops(.unknownIndex) == 1)
        pair.link.deliver(response, to: pair.alice, from: pair.bob.endpoint)
        pair.link.deliver(response, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.handshakesDone == 1)
        #expect(pair.alice.drops(.unknownIndex) == 2)
    }

    @Test("a replayed initiation is not answered, and moves the endpoint nowhere")
    func replayed() throws {
        let pair = Pair()
        let initiation = try #require(pair.captureInitiation())
        pair.link.deliver(initiation, to: pair.bob, from: pair.alice.endpoint)
        pair.link.run(for: .seconds(1))
        pair.forget()
        for _ in 0..<3 {
            pair.link.deliver(initiation, to: pair.bob, from: site(9).endpoint)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.handshake) == 3)
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == pair.alice.endpoint)
    }

    @Test("a peer that comes back with its clock set back is not answered until its clock is right again")
    func olderTimestamp() {
        var pair = Pair()
        pair.connect()
        pair.restartAlice(clockError: .seconds(-3600))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(4))
        #expect(pair.link.sightings.summary == ["initiation"])
        #expect(pair.bob.drops(.handshake) == 1)
        pair.alice.clockError = .seconds(0)
        pair.link.run(for: .seconds(2))
        #expect(pair.bob.received.count == 1)
    }

    @Test("a clock that jumps back and forth while we run stops no handshake")
    func clockJumps() {
        let pair = Pair()
        pair.connect()
        for error in [-86_400, 0, 86_400, 0, -86_400] as [Int64] {
            pair.alice.clockError = .seconds(error)
            pair.link.run(for: .seconds(181))
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.drain()
        }
        #expect(pair.bob.received.count == 5)
        #expect(pair.bob.drops(.handshake) == 0)
    }

    @Test("initiations of one peer within 20 ms are answered once")
    func flood() {
        var pair = Pair()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.restartAlice(clockError: .seconds(1))
        pair.link.send(udp(1, 2, payload: 20), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.filter(\.isResponse).count == 1)
        #expect(pair.bob.drops(.handshake) == 1)
    }
}

extension Pair {
    /// Alice's initiation, which never arrives.
    func captureInitiation() -> [UInt8]? {
        link.rule = { _ in .drop }
        link.send(udp(1, 2, payload: 32), from: alice)
        defer { forget() }
        return link.sightings.first?.bytes
    }

    /// Bob's response to it, which never arrives either.
    fileprivate func captureResponse() -> [UInt8]? {
        guard let initiation = captureInitiation() else { return nil }
        link.deliver(initiation, to: bob, from: alice.endpoint)
        defer { forget() }
        return link.sightings.first?.bytes
    }
}

extension [UInt8] {
    func flipped(at place: Int) -> [UInt8] {
        var copy = self
        copy[place] ^= 1 << UInt8(place % 8)
        return copy
    }
}

/// A handshake message with the mac1 that it must have to be looked at by `end`.
private func signed<let count: Int>(
    _ message: [UInt8], size: InlineArray<count, UInt8>.Type, for end: End
) -> [UInt8] {
    var bytes = InlineArray<count, UInt8> { message[$0] }
    var jar = CookieJar(end.publicKey)
    let never = Now(instant: .distantPast, wall: WallTime(seconds: 0, nanoseconds: 0))
    jar.sign(&bytes, at: never)
    return (0..<count).map { bytes[$0] }
}
