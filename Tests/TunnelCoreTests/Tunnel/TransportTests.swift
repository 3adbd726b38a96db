import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct TransportTests {
    @Test("packets of every length survive, padded to 16 but never beyond the MTU", arguments: [1420, 1280, 1413])
    func lengths(mtu: Int) {
        let pair = Pair()
        for end in [pair.alice, pair.bob] { pair.link.change(end) { tunnel, _ in tunnel.mtu = mtu } }
        pair.connect()
        for length in 20...mtu {
            let sent = v4(1, 2, length: length)
            pair.forget()
            pair.link.send(sent, from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received == [sent])
            let padded = min((length + 15) / 16 * 16, mtu)
            #expect(pair.link.sightings.data.map(\.bytes.count) == [padded + 32], "\(length)")
            #expect(pair.link.sightings.data.first?.payload?.dropFirst(length).allSatisfy { $0 == 0 } == true)
        }
    }

    @Test("a packet larger than the MTU goes out as it is")
    func beyondMTU() {
        let pair = Pair()
        pair.connect()
        for length in [1421, 1500, 9000, 65_400] {
            pair.forget()
            pair.link.send(v4(1, 2, length: length), from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received == [v4(1, 2, length: length)])
        }
    }

    @Test("IPv6 packets of every length survive")
    func lengthsV6() {
        let pair = Pair()
        pair.connect()
        var noise = Noise(seed: 6)
        let packets = (0...1372).map { length in
            packet(site(1).v6, site(2).v6, transport: 17, ports: (1, 2), noise.bytes(length))
        }
        for packet in packets { pair.link.send(packet, from: pair.alice) }
        pair.link.drain()
        #expect(pair.bob.received == packets)
    }

    @Test("what stands behind a packet's own length is not sent")
    func trailingBytes() {
        let pair = Pair()
        pair.connect()
        pair.link.send(udp(1, 2, payload: 20) + [1, 2, 3], from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == [udp(1, 2, payload: 20)])
    }

    @Test("a datagram with any bit changed is dropped and counted")
    func bitFlips() throws {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 40), from: pair.alice)
        let datagram = try #require(pair.link.sightings.last?.bytes)
        for bit in 0..<datagram.count * 8 {
            var forged = datagram
            forged[bit / 8] ^= 1 << UInt8(bit % 8)
            pair.link.deliver(forged, to: pair.bob, from: site(9).endpoint)
        }
        #expect(pair.bob.received.isEmpty)
        #expect(pair.bob.drops(.malformed) == 32)
        #expect(pair.bob.drops(.unknownIndex) == 32)
        #expect(pair.bob.drops(.authentication, of: pair.alice) == UInt64(datagram.count - 8) * 8)
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == pair.alice.endpoint)
        pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.bob.received == [udp(1, 2, payload: 40)])
    }

    @Test("a packet whose source is not the peer's is dropped, plain or as a unit")
    func sources() throws {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let forged = udp(7, 2, text(600))
        let plain = try #require(pair.alice.seal(forged.padded, to: pair.bob))
        pair.link.deliver(plain, to: pair.bob, from: pair.alice.endpoint)
        let unit = try #require(pair.alice.seal(unitRecord(forged).padded, to: pair.bob))
        pair.link.deliver(unit, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.bob.received.isEmpty)
        #expect(pair.bob.drops(.allowedIPs, of: pair.alice) == 2)
    }

    @Test("a payload that says it is IP and is not is dropped", arguments: [4, 6] as [UInt8])
    func notIP(version: UInt8) throws {
        let pair = Pair()
        pair.connect()
        var noise = Noise(seed: 8)
        for length in 1...120 {
            var packet = PacketView(noise.bytes(length))
            (packet.version, packet.headerWords) = (version, 15)
            // A length that the packet does not have.
            if length > 5 { packet.length = version == 4 ? 0xffff : 40 + 0xffff }
            let datagram = try #require(pair.alice.seal(packet.bytes, to: pair.bob))
            pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
        }
        #expect(pair.bob.received.isEmpty)
        #expect(pair.bob.drops(.content, of: pair.alice) == 120)
    }

    @Test("a packet that no peer's AllowedIPs hold is dropped, and so is what is no IP packet")
    func nowhere() {
        let pair = Pair()
        pair.link.send(udp(1, 9, payload: 10), from: pair.alice)
        pair.link.send(packet(site(1).v6, site(9).v6, transport: 17, ports: (1, 2), []), from: pair.alice)
        pair.link.send([], from: pair.alice)
        pair.link.send([0x45], from: pair.alice)
        pair.link.send([UInt8](repeating: 0x55, count: 100), from: pair.alice)
        #expect(pair.alice.drops(.noPeer) == 2)
        #expect(pair.alice.drops(.notIP) == 3)
        #expect(pair.link.sightings.summary == [])
    }

    @Test(
        "the tunnel's own datagrams that a wrong route brings back are dropped and counted, others are not",
        arguments: [false, true])
    func loop(isCompressing: Bool) throws {
        let policy = isCompressing ? CompressionPolicy(.auto) : .off
        let pair = Pair(policy, policy)
        pair.connect()
        let everything = try #require(Prefix("0.0.0.0/0"))
        pair.link.change(pair.alice) { tunnel, _ in
            tunnel.port = pair.alice.endpoint.port
            tunnel.allow(everything, for: pair.bob.publicKey)
        }
        let (near, far) = (pair.alice.endpoint, pair.bob.endpoint)
        let before = pair.link.sightings.count
        let own = packet(near.address, far.address, transport: 17, ports: (near.port, far.port), text(100))
        pair.link.send(own, from: pair.alice)
        #expect(pair.alice.drops(.loop, of: pair.bob) == 1)
        #expect(pair.link.sightings.count == before)
        for ports in [(near.port &+ 1, far.port), (near.port, far.port &+ 1)] {
            let others = packet(near.address, far.address, transport: 17, ports: ports, text(100))
            pair.link.send(others, from: pair.alice)
        }
        pair.link.run(for: .milliseconds(100))
        #expect(pair.link.sightings.count > before)
        #expect(pair.alice.drops(.loop, of: pair.bob) == 1)
    }

    @Test("packets go to the peer with the longest prefix, and move with it")
    func routing() {
        let pair = Pair()
        let carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.introduce(pair.alice, site(1), to: carol, Pair.Options())
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setPeer(
                carol.publicKey,
                PeerConfiguration(
                    endpoint: carol.endpoint, allowedIPs: ["10.0.0.0/24"].compactMap { Prefix($0) }), at: now)
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.send(udp(1, 3, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == [udp(1, 2, payload: 10)])
        #expect(carol.received == [udp(1, 3, payload: 10)])
        pair.link.change(pair.alice) { tunnel, _ in tunnel.setAllowedIPs([], of: pair.bob.publicKey) }
        pair.link.send(udp(1, 2, payload: 20), from: pair.alice)
        pair.link.drain()
        #expect(carol.received.last == udp(1, 2, payload: 20))
        #expect(pair.alice.statistics(of: pair.bob)?.allowedIPs == [])
    }
}
