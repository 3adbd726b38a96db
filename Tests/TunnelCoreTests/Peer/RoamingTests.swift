import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct RoamingTests {
    @Test("answers follow the last authentic message")
    func roams() {
        let pair = Pair()
        pair.connect()
        pair.alice.endpoint = site(9).endpoint
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.alice.received == [udp(2, 1, payload: 10)])
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == site(9).endpoint)
        #expect(pair.bob.events.contains(.roamed(pair.alice.publicKey, Path(site(9).endpoint))))
    }

    @Test("a keepalive is enough to roam")
    func roamsOnKeepalive() throws {
        let pair = Pair()
        pair.connect()
        let keepalive = try #require(pair.alice.seal([], to: pair.bob))
        pair.link.deliver(keepalive, to: pair.bob, from: site(9).endpoint)
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == site(9).endpoint)
    }

    @Test("replayed and forged messages from elsewhere move nothing")
    func replays() throws {
        let pair = Pair()
        pair.connect()
        let keepalive = try #require(pair.alice.seal([], to: pair.bob))
        pair.link.deliver(keepalive, to: pair.bob, from: pair.alice.endpoint)
        pair.link.deliver(keepalive, to: pair.bob, from: site(9).endpoint)
        var forged = try #require(pair.alice.seal([], to: pair.bob))
        forged[31] ^= 1
        pair.link.deliver(forged, to: pair.bob, from: site(9).endpoint)
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == pair.alice.endpoint)
        #expect(pair.bob.drops(.replay, of: pair.alice) == 1)
        #expect(pair.bob.drops(.authentication, of: pair.alice) == 1)
    }

    @Test("answers go out from the address that was talked to")
    func source() throws {
        let pair = Pair()
        pair.connect()
        let local = LocalAddress(.v4(0xc000_0264), interface: 7)
        let keepalive = try #require(pair.alice.seal([], to: pair.bob))
        let now = pair.link.now(at: pair.bob)
        pair.bob.receive(keepalive, from: Path(pair.alice.endpoint, local: local), trafficClass: 0, at: now)
        let packet = udp(2, 1, payload: 10)
        let bytes = unsafe packet.span.bytes
        pair.bob.tunnel.handlePacket(bytes, at: now)
        let run = pair.bob.tunnel.outbox[0]
        #expect(run.path == Path(pair.alice.endpoint, local: local))
        pair.link.settle(pair.bob)
        pair.bob.tunnel.forgetSource(ofPeer: run.peer)
        pair.bob.tunnel.handlePacket(bytes, at: now)
        #expect(pair.bob.tunnel.outbox[0].path == Path(pair.alice.endpoint))
    }
}
