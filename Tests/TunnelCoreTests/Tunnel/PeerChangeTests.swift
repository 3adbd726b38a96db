import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct PeerChangeTests {
    @Test("a peer that is removed while its handshakes are under way leaves nothing behind")
    func removedUnderWay() {
        let pair = Pair()
        pair.bob.isWorking = false
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.change(pair.bob) { tunnel, _ in tunnel.removePeer(pair.alice.publicKey) }
        pair.bob.isWorking = true
        pair.link.settle(pair.bob)
        pair.link.run(for: .seconds(100))
        #expect(pair.link.sightings.sent(by: pair.bob).summary == [])
        #expect(pair.bob.tunnel.services.indices.count == 0)
        #expect(pair.bob.tunnel.admission.underWay == 0)
        let sessions = pair.bob.tunnel.services.sessions.count
        #expect(sessions == 0)
        pair.introduce(pair.alice, site(1), to: pair.bob, Pair.Options())
        pair.link.send(udp(2, 1, payload: 20), from: pair.bob)
        pair.link.run(for: .seconds(10))
        #expect(pair.alice.received == [udp(2, 1, payload: 20)])
    }

    @Test("a peer in the place of another inherits nothing of what was known of its flows")
    func flows() throws {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let bytes = udp(1, 2, payload: 900)
        func verdict(_ new: FlowTable.Verdict? = nil) throws -> FlowTable.Verdict {
            let packet = unsafe bytes.span.bytes
            let found = InternetPacket(packet)
            let header = try #require(found)
            let flow = pair.alice.tunnel.services.egress.flows.find(packet, header, to: 0)
            if let new { pair.alice.tunnel.services.egress.flows[flow] = new }
            return pair.alice.tunnel.services.egress.flows[flow]
        }
        #expect(try verdict(.encrypted) == .encrypted)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.removePeer(pair.bob.publicKey)
            tunnel.setPeer(privateKey(3).publicKey, Pair.configuration(site(3), Pair.Options()), at: now)
        }
        #expect(pair.alice.tunnel.peers.slot(of: privateKey(3).publicKey) == 0)
        #expect(try verdict() == .unknown)
    }

    @Test("a peer that is removed takes its sessions and its AllowedIPs along, and its place is no trap for the next")
    func replaced() {
        let pair = Pair()
        pair.connect()
        let carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.introduce(pair.alice, site(1), to: carol, Pair.Options())
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.removePeer(pair.bob.publicKey)
            tunnel.setPeer(carol.publicKey, Pair.configuration(site(3), Pair.Options()), at: now)
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        #expect(pair.alice.drops(.noPeer) == 1)
        pair.link.send(udp(1, 3, payload: 10), from: pair.alice)
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(700))
        #expect(carol.received == [udp(1, 3, payload: 10)])
        // Nothing of the peer's; only the word that it is nowhere now.
        #expect(pair.alice.received.allSatisfy { PacketView($0).transport == 1 })
        #expect(pair.alice.tunnel.statistics().peers.count == 1)
    }

    @Test("a change of a peer's AllowedIPs, endpoint or keepalive leaves its session alone")
    func kept() {
        let pair = Pair()
        pair.connect()
        pair.link.change(pair.alice) { tunnel, now in
            var configuration = Pair.configuration(site(2), Pair.Options(persistentKeepalive: .seconds(25)))
            configuration.allowedIPs += ["10.7.0.0/16"].compactMap { Prefix($0) }
            tunnel.setPeer(pair.bob.publicKey, configuration, at: now)
        }
        pair.link.send(packet(site(1).v4, .v4(0x0a07_0001), transport: 17, ports: (1, 2), []), from: pair.alice)
        pair.link.run(for: .seconds(60))
        #expect(pair.bob.received.count == 1)
        #expect(pair.link.sightings.initiations.summary == [])
        #expect(pair.alice.statistics(of: pair.bob)?.persistentKeepalive == .seconds(25))
    }

    @Test("peers are listed in the order in which they were added")
    func order() {
        let link = Link()
        let end = End(privateKey(1), site(1).endpoint, seed: 1)
        link.add(end)
        let keys = (10..<30).map { privateKey($0).publicKey }
        link.change(end) { tunnel, now in
            for key in keys { tunnel.setPeer(key, PeerConfiguration(), at: now) }
            tunnel.removePeer(keys[3])
            tunnel.removePeer(keys[7])
            tunnel.setPeer(keys[3], PeerConfiguration(), at: now)
        }
        let listed = end.tunnel.statistics().peers.map(\.publicKey)
        #expect(listed == keys.filter { $0 != keys[3] && $0 != keys[7] } + [keys[3]])
    }

    @Test("no session of the old private key comes of an initiation that was under way when it changed")
    func keyChangedUnderWay() {
        let pair = Pair()
        pair.bob.isWorking = false
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        pair.link.change(pair.bob) { tunnel, now in tunnel.setPrivateKey(privateKey(50), at: now) }
        pair.bob.isWorking = true
        pair.link.settle(pair.bob)
        pair.link.drain()
        #expect(pair.bob.received == [])
    }
}
