import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)
private let receive = CompressionPolicy(.receive)

@Suite struct CompressionTests {
    @Test("text goes as units both ways, of both families, and comes out as it was")
    func units() {
        let pair = Pair(auto, auto)
        pair.connect()
        for length in stride(from: 400, through: 1380, by: 13) {
            let there = [
                udp(1, 2, text(length)), packet(site(1).v6, site(2).v6, transport: 6, ports: (5000, 25), text(length)),
            ]
            let back = [udp(2, 1, text(length))]
            for packet in there { pair.link.send(packet, from: pair.alice) }
            for packet in back { pair.link.send(packet, from: pair.bob) }
            pair.link.drain()
            #expect(pair.bob.received == there)
            #expect(pair.alice.received == back)
            #expect(pair.link.sightings.data.summary == ["unit", "unit", "unit"])
            pair.forget()
        }
    }

    @Test("a unit's datagram is smaller than the plain one, and a multiple of 16")
    func smaller() {
        let pair = Pair(auto, auto)
        pair.connect()
        var units = 0
        for length in 20...1380 {
            let packet = udp(1, 2, text(length))
            pair.forget()
            pair.link.send(packet, from: pair.alice)
            for unit in pair.link.sightings.filter(\.isUnit) {
                units += 1
                #expect(unit.bytes.count < min((packet.count + 15) / 16 * 16, 1420) + 32)
                #expect(unit.bytes.count % 16 == 0)
            }
        }
        #expect(units > 600)
    }

    @Test("what does not compress goes out byte for byte as plain WireGuard would send it")
    func incompressible() {
        let plain = Pair()
        let compressing = Pair(auto, auto)
        var noise = Noise(seed: 12)
        for pair in [plain, compressing] { pair.connect() }
        for length in 0...1392 {
            let packet = udp(1, 2, noise.bytes(length))
            for pair in [plain, compressing] { pair.link.send(packet, from: pair.alice) }
        }
        let (expected, actual) = (plain.link.sightings.data, compressing.link.sightings.data)
        #expect(actual.map(\.bytes.count) == expected.map(\.bytes.count))
        #expect(actual.map(\.payload) == expected.map(\.payload))
    }

    @Test("nothing but plain packets and HELLO goes to a peer before its HELLO on that session")
    func plainFirst() {
        let pair = Pair(auto, auto)
        pair.link.rule = { $0.isHello && $0.from == pair.bob.endpoint ? .drop : .deliver }
        for _ in 0..<400 {
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.link.sightings.sent(by: pair.alice).contains { $0.isUnit } == false)
        #expect(pair.bob.received.count == 400)
    }

    @Test("capabilities end with their session: the first packets of the next are plain again")
    func perSession() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        #expect(pair.link.sightings.data.summary == ["unit"])
        pair.link.run(for: .seconds(200))
        pair.forget()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.data.summary == ["packet, CONFIRM"])
        pair.link.run(for: .seconds(2))
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        #expect(pair.link.sightings.data.summary == ["packet, CONFIRM", "unit"])
    }

    @Test("an end that only receives gets units and sends plain packets")
    func receiveOnly() {
        let pair = Pair(auto, receive)
        pair.connect()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        pair.link.drain()
        #expect(pair.link.sightings.data.summary == ["unit", "packet"])
        #expect(pair.bob.received == [udp(1, 2, text(1000))])
        #expect(pair.alice.received == [udp(2, 1, text(1000))])
        #expect(pair.bob.statistics(of: pair.alice)?.compresses == false)
    }

    @Test("an end that asks for no more than WireGuard sends no record and drops those that it gets")
    func off() throws {
        let pair = Pair(auto, CompressionPolicy.off)
        pair.connect()
        let unit = try #require(pair.alice.seal(unitRecord(udp(1, 2, text(500))).padded, to: pair.bob))
        pair.link.deliver(unit, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.bob.received.isEmpty)
        // That HELLO asks is no fault of anybody.
        #expect(pair.bob.drops(.record, of: pair.alice) == 0)
        #expect(pair.bob.drops(.unannounced, of: pair.alice) == 1)
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.sent(by: pair.bob).data.summary == ["packet"])
        #expect(pair.link.sightings.sent(by: pair.bob).hellos.summary == [])
    }

    @Test("two plain ends never send a record")
    func bothOff() {
        let pair = Pair()
        for _ in 0..<50 {
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            pair.link.run(for: .seconds(10))
        }
        #expect(pair.link.sightings.allSatisfy { !$0.isHello && !$0.isUnit })
    }

    @Test("a peer that comes back with another configuration is never sent what it can't read")
    func restart() {
        var pair = Pair(auto, auto)
        pair.connect()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.data.summary == ["unit"])
        pair.restartBob(Pair.Options(compression: .off))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(1))
        pair.forget()
        for _ in 0..<20 {
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.link.sightings.data.allSatisfy { $0.isPlain })
        #expect(pair.bob.received.count == 20)
    }

    @Test("compression that is switched on or off while it runs takes effect, and no packet after it is lost for long")
    func reconfigured() {
        let pair = Pair(auto, auto)
        pair.connect()
        for policy in [CompressionPolicy.off, auto, receive, auto] {
            pair.link.change(pair.alice) { tunnel, now in
                tunnel.setOptions(policy, .chacha20poly1305, of: pair.bob.publicKey, at: now)
            }
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            pair.link.run(for: .seconds(10))
            pair.forget()
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
            pair.link.drain()
            #expect(pair.bob.received.count == 1 && pair.alice.received.count == 1)
            #expect(pair.link.sightings.sent(by: pair.alice).contains { $0.isUnit } == (policy == auto))
            #expect(pair.link.sightings.sent(by: pair.bob).contains { $0.isUnit } == (policy != .off))
        }
    }

    @Test("a unit proves that our HELLO has arrived, but is none: it is asked for until it comes")
    func unitConfirms() {
        let pair = Pair(auto, auto)
        // Bob's answers are lost, so alice asks on.
        var isLosing = true
        pair.link.rule = { isLosing && $0.isHello && $0.from == pair.bob.endpoint ? .drop : .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(300))
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        pair.link.drain()
        #expect(pair.link.sightings.data.last?.isUnit == true)
        isLosing = false
        pair.forget()
        for _ in 0..<10 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .seconds(3))
        }
        #expect(pair.link.sightings.hellos.sent(by: pair.alice).count == 1)
        #expect(pair.alice.statistics(of: pair.bob)?.compresses == true)
    }

    @Test("traffic that is exposed, encrypted or small is left alone, and counted by reason")
    func skipped() {
        let pair = Pair(auto, auto)
        pair.connect()
        let tcp: (UInt16, UInt16) -> [UInt8] = { from, to in
            packet(site(1).v4, site(2).v4, transport: 6, ports: (from, to), text(1000))
        }
        let packets = [
            tcp(5000, 80), tcp(5000, 443), tcp(22, 5000), udp(1, 2, text(1000), port: 443), udp(1, 2, text(30)),
        ]
        for packet in packets { pair.link.send(packet, from: pair.alice) }
        pair.link.send(tcp(80, 5000), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.data.summary == ["packet", "packet", "packet", "packet", "packet", "unit"])
        let skipped = pair.alice.statistics(of: pair.bob)?.traffic.skipped
        #expect(skipped?[CompressionSkip.exposed.rawValue] == 1)
        #expect(skipped?[CompressionSkip.encrypted.rawValue] == 3)
        #expect(skipped?[CompressionSkip.small.rawValue] == 1)
        #expect(pair.bob.received == packets + [tcp(80, 5000)])
    }

    @Test("bytes on both sides of the stage are counted on both ends")
    func counted() {
        let pair = Pair(auto, auto)
        pair.connect()
        let before = pair.alice.statistics(of: pair.bob)?.traffic
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.drain()
        let size = UInt64(pair.link.sightings.data.first?.bytes.count ?? 0)
        let sent = pair.alice.statistics(of: pair.bob)?.traffic
        let received = pair.bob.statistics(of: pair.alice)?.traffic
        #expect(sent.map { $0.sent.plain - (before?.sent.plain ?? 0) } == 1028)
        #expect(sent.map { $0.sent.wire - (before?.sent.wire ?? 0) } == size)
        #expect(sent?.coded[2] == CompressionCounters.Bytes(plain: 1028, wire: size))
        #expect(received?.coded[2] == CompressionCounters.Bytes(plain: 1028, wire: size))
        #expect(sent?.units[2] == 1 && received?.units[2] == 1)
    }
}
