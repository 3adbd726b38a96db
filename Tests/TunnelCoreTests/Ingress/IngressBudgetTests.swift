import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What few bytes of one peer may become: as much as hurts nobody else, and beyond that in proportion to the bytes.
@Suite struct IngressBudgetTests {
    @Test("80 bytes that are 128 packets, at 2 Mbit/s, become no more packets than leave other peers room")
    func tinyPackets() throws {
        let hub = Hub()
        let attack = membersRecord(tiny).padded
        #expect(attack.count <= 80)
        for round in 0..<3125 {
            hub.pair.link.run(for: Interval(nanoseconds: 320_000))
            hub.pair.deliver(attack)
            if round % 25 == 0 { hub.deliverFromCarol(unitRecord(udp(3, 2, text(500)))) }
        }
        let (own, others) = hub.received
        // In this second 25,000, what was saved up, and one for each 8 bytes of what was decoded.
        #expect(25_000..<(25_000 + 6_250) * 128 / (128 - 112 / 8) + 128 ~= own)
        #expect(others == 125)
        #expect(hub.carolsDrops == 0)
        #expect(hub.pair.bob.drops(.budget, of: hub.pair.alice) > 2000)
    }

    @Test("160 bytes that are one super-segment of 64 KB, at 7.5 Mbit/s, fill no LAN")
    func superSegments() throws {
        let hub = Hub()
        let zeros = datagram([UInt8](repeating: 0, count: 64_000))
        let attack = unitRecord(writeMembers([Member(packet: zeros, segment: 1400)]), parameter: 0x11).padded
        #expect(attack.count <= 160)
        let rounds = 1465
        for _ in 0..<rounds {
            hub.pair.link.run(for: Interval(nanoseconds: 250_000_000 / Int64(rounds)))
            hub.pair.deliver(attack)
        }
        let bytes = hub.pair.bob.received.reduce(0) { $0 + $1.count }
        #expect(16_000_000..<22_000_000 ~= bytes, "not \(rounds * 64_000)")
    }

    @Test("text that zstd makes 20 times smaller loses nothing at 5 Gbit/s", arguments: [1, 64])
    func text20(together: Int) throws {
        let hub = Hub()
        var noise = Noise(seed: 5)
        let unit = try hub.zstandarded(datagram(noise.bytes(3_100) + [UInt8](repeating: 0, count: 60_000)))
        #expect(18..<22 ~= 63_100 / unit.count)
        for _ in 0..<2000 / together {
            hub.pair.link.run(for: Interval(nanoseconds: Int64(together) * 100_000))
            for _ in 0..<together { #expect(hub.pair.deliver(unit) == []) }
            hub.pair.forget()
        }
    }

    @Test("zeros that become 256 Mbit/s lose nothing")
    func zeros() throws {
        let hub = Hub()
        let unit = try hub.zstandarded(datagram([UInt8](repeating: 0, count: 64_000)))
        #expect(unit.count < 128)
        for _ in 0..<500 {
            hub.pair.link.run(for: .milliseconds(2))
            #expect(hub.pair.deliver(unit) == [])
            hub.pair.forget()
        }
    }

    @Test("what is beyond the budget is not decoded; packets that come as they are go on")
    func notDecoded() throws {
        let hub = Hub()
        let broken = record(0x11, 0x11, [0, 255, 1, 2, 3])
        #expect(hub.pair.deliver(broken) == [.record])
        hub.exhaust()
        #expect(hub.pair.deliver(broken) == [.budget])
        #expect(hub.pair.deliver(bundleRecord([udp(1, 2, payload: 10)])) == [.budget])
        hub.pair.forget()
        #expect(hub.pair.deliver(udp(1, 2, payload: 10)) == [])
        #expect(hub.pair.bob.received == [udp(1, 2, payload: 10)])
        hub.pair.link.run(for: .seconds(1))
        #expect(hub.pair.deliver(broken) == [.record])
    }

    @Test("broken units cost what decoding them costs")
    func broken() throws {
        let hub = Hub()
        // What it states to be its size, and is not.
        let attack = unitRecord([UInt8](repeating: 0, count: 60_000), decoded: 65_535)
        let drops = (0..<1000).flatMap { _ in hub.pair.deliver(attack) }
        #expect(drops.filter { $0 == .record }.count < 100)
        #expect(drops.filter { $0 == .budget }.count > 900)
    }

    @Test("in one turn a peer has some milliseconds, other peers theirs; what is done before a rest does not count")
    func turns() throws {
        let hub = Hub()
        let attack = membersRecord(tiny).padded
        for _ in 0..<4096 { hub.pair.deliver(attack) }
        let first = hub.received.own
        #expect(128..<2000 ~= first)
        hub.deliverFromCarol(membersRecord([udp(3, 2, text(500)), udp(3, 2, text(500))]))
        #expect(hub.received.others == 2)
        hub.rest(for: .milliseconds(0))
        hub.pair.deliver(attack)
        #expect(hub.received.own == first)
        hub.rest(for: .milliseconds(1))
        hub.pair.deliver(attack)
        #expect(hub.received.own == first + 128)
    }

    @Test("fragments pay for the unit that they are")
    func fragments() throws {
        let hub = Hub()
        let attack = fragmentRecords(membersRecord(tiny), number: 1, count: 2)
        for _ in 0..<500 { for piece in attack { hub.pair.deliver(piece) } }
        #expect(128..<2000 ~= hub.received.own)
    }

    @Test("it is told once in ten seconds, with its number")
    func told() throws {
        let hub = Hub()
        hub.pair.bob.events = []
        let key = hub.pair.alice.publicKey
        hub.exhaust()
        for _ in 0..<9 { hub.pair.deliver(membersRecord(tiny)) }
        #expect(hub.pair.bob.events == [.budgetExceeded(key, drops: 1)])
        hub.pair.link.run(for: .seconds(11))
        hub.exhaust()
        #expect(hub.pair.bob.events.last == .budgetExceeded(key, drops: 10))
        #expect(hub.pair.bob.drops(.budget, of: hub.pair.alice) == 11)
    }

    @Test("what a site's unit of frames becomes behind a hub is bounded as well")
    func frames() throws {
        let offices = Offices(hub: true, CompressionPolicy(.auto))
        offices.show(host(3), from: offices.carol)
        let frame = ethernet(host(2), host(3), text(46))
        for _ in 0..<1000 { offices.deliver(framesUnit([[UInt8]](repeating: frame, count: 128))) }
        offices.link.drain()
        #expect(128..<5000 ~= offices.carol.received.count)
        #expect(offices.alice.drops(.budget, of: offices.bob) > 900)
    }

    @Test("a frame for everybody costs as much as there are peers")
    func floods() throws {
        let offices = Offices(hub: true)
        for number in 10..<250 as Range<UInt8> {
            let key = privateKey(UInt64(number)).publicKey
            offices.link.change(offices.alice) { tunnel, now in
                tunnel.setPeer(key, Pair.configuration(site(number), Pair.Options(mode: .frames(isHub: true))), at: now)
            }
        }
        for _ in 0..<500 { offices.deliver(ethernetRecord(ethernet(host(2), .everybody, text(46)))) }
        #expect(offices.alice.drops(.budget, of: offices.bob) > 450)
        // One for somebody passes.
        offices.show(host(3), from: offices.carol)
        offices.deliver(ethernetRecord(ethernet(host(2), host(3), text(46))))
        offices.link.drain()
        #expect(offices.carol.received.last == ethernet(host(2), host(3), text(46)))
    }
}

/// Packets of 20 bytes that nothing joins.
private let tiny = [[UInt8]](repeating: v4(1, 2, length: 20), count: 128)

/// One of UDP that may be cut.
private func datagram(_ content: [UInt8]) -> [UInt8] {
    var packet = PacketView(udp(1, 2, content))
    packet.datagramLength = 8 + content.count
    return packet.bytes
}

/// Bob takes what alice and carol send, and has neither's packets joined.
private struct Hub {
    let pair: Pair
    let carol: End

    init() {
        let options = Pair.Options(compression: CompressionPolicy(.auto))
        pair = Pair(both: options)
        carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.introduce(carol, site(3), to: pair.bob, options)
        pair.introduce(pair.bob, site(2), to: carol, options)
        pair.link.send(udp(3, 2, payload: 10), from: carol)
        pair.connect()
        pair.bob.tunnel.inbox.mergesUDP = true
    }

    func deliverFromCarol(_ payload: [UInt8]) {
        guard let datagram = carol.seal(payload, to: pair.bob) else { return }
        pair.link.deliver(datagram, to: pair.bob, from: carol.endpoint)
    }

    /// Lets alice spend what she has.
    func exhaust() { while pair.deliver(membersRecord(tiny)) != [.budget] {} }

    /// The thread had nothing to do for so long.
    func rest(for interval: Interval) {
        pair.link.run(for: interval)
        pair.link.change(pair.bob) { tunnel, now in tunnel.beginTurn(at: now, idle: interval) }
    }

    func zstandarded(_ packet: [UInt8]) throws -> [UInt8] {
        let plain = writeMembers([Member(packet: packet, segment: 1400)])
        var coded = [UInt8](repeating: 0, count: 8000)
        var span = coded.mutableSpan
        var space = unsafe span.mutableBytes
        let size = unsafe Encoders().encode(plain.span.bytes, with: .zstd, level: 1, into: &space)
        try #require(size > 0)
        return record(0x11, 0x10 | Codec.zstd.rawValue, little(UInt16(plain.count)) + coded[..<size]).padded
    }

    /// Packets of alice's and of carol's.
    var received: (own: Int, others: Int) {
        let own = pair.bob.received.filter { PacketView($0).source.last == 1 }.count
        return (own, pair.bob.received.count - own)
    }

    var carolsDrops: UInt64 { DropReason.allCases.reduce(0) { $0 + pair.bob.drops($1, of: carol) } }
}

extension Offices {
    /// Delivers a payload from bob to alice.
    fileprivate func deliver(_ payload: [UInt8]) {
        guard let datagram = bob.seal(payload, to: alice) else { return }
        link.deliver(datagram, to: alice, from: bob.endpoint)
    }
}
