import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// Who answers ARP and neighbour discovery: docs/layer2.md.
@Suite struct NeighbourTests {
    private static let tags: [[UInt16]] = [[], [0x8100], [0x88a8, 0x8100]]

    @Test(
        "a question about a host that said where it is, at a peer, is answered here, and goes nowhere",
        arguments: [false, true])
    func answered(isV6: Bool) {
        for tags in Self.tags {
            let offices = Self.offices()
            #expect(offices.deliveries(of: advert(2, isV6: isV6, tags: tags), from: offices.bob) == ["alice"])
            offices.link.send(ethernet: [ask(1, for: 2, isV6: isV6, tags: tags)], from: offices.alice)
            offices.link.drain()
            #expect(offices.alice.received.suffix(1) == [reply(2, to: 1, isV6: isV6, tags: tags)])
            #expect(offices.bob.received == [] && offices.carol.received == [])
            #expect(offices.alice.tunnel.statistics().answeredNeighbours == 1)
        }
    }

    @Test("a hub answers its sites, about each other and about itself, and asks nobody", arguments: [false, true])
    func hub(isV6: Bool) {
        let offices = Self.offices(hub: true)
        for (number, end) in [(1, offices.alice), (2, offices.bob), (3, offices.carol)] as [(UInt8, End)] {
            offices.link.send(ethernet: [advert(number, isV6: isV6)], from: end)
            offices.link.drain()
        }
        for (asker, end, others) in [
            (2, offices.bob, [1, 3]), (3, offices.carol, [1, 2]), (1, offices.alice, [2, 3]),
        ] as [(UInt8, End, [UInt8])] {
            for other in others {
                offices.forget()
                offices.link.send(ethernet: [ask(asker, for: other, isV6: isV6)], from: end)
                offices.link.drain()
                #expect(end.received == [reply(other, to: asker, isV6: isV6)])
                for one in [offices.alice, offices.bob, offices.carol] where one !== end { #expect(one.received == []) }
            }
        }
        #expect(offices.alice.tunnel.statistics().answeredNeighbours == 6)
    }

    @Test("without ARPProxy nothing is answered, and what was learned is forgotten")
    func off() {
        let offices = Self.offices()
        offices.show(advert(2), from: offices.bob)
        offices.alice.tunnel.answersNeighbours = false
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["bob", "carol"])
        offices.alice.tunnel.answersNeighbours = true
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["bob", "carol"])
        #expect(offices.alice.tunnel.statistics().answeredNeighbours == 0)
    }

    @Test("probes for duplicates, announcements, questions to one host and what does not add up go on as they are")
    func passes() {
        let offices = Self.offices()
        for isV6 in [false, true] { offices.show(advert(2, isV6: isV6), from: offices.bob) }
        let good = ask(1, for: 2)
        let goodV6 = ask(1, for: 2, isV6: true)
        func changed(_ frame: [UInt8], _ place: Int, _ value: UInt8, summed: Bool = false) -> [UInt8] {
            var frame = frame
            frame[place] = value
            return summed ? completed(frame) : frame
        }
        let everybody: [(String, [UInt8])] = [
            ("a probe", arp(1, 1, sender: 0, target: 2)), ("an announcement", arp(1, 1, sender: 1, target: 1)),
            ("another hardware", changed(good, 15, 6)), ("another protocol", changed(good, 16, 0x86)),
            ("another size", changed(good, 18, 8)), ("another operation", changed(good, 21, 3)),
            ("another sender", changed(good, 27, 9)), ("a question for a group", changed(good, 38, 224)),
            ("another VLAN", ask(1, for: 2, tags: [0x8100])), ("cut off", Array(good.prefix(41))),
            ("an address that nobody has said", ask(1, for: 9)),
            ("a probe of IPv6", solicitation(1, for: 2, isProbe: true)),
            ("a wrong sum", changed(goodV6, 14 + 42, goodV6[14 + 42] ^ 1)),
            ("a hop limit that says that it was routed", changed(goodV6, 14 + 7, 254, summed: true)),
            ("a code", changed(goodV6, 14 + 41, 1, summed: true)),
            ("an option of no length", changed(goodV6, 14 + 65, 0, summed: true)),
            ("another address in the option", changed(goodV6, 14 + 71, 9, summed: true)),
        ]
        for (name, frame) in everybody {
            #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob", "carol"], "\(name)")
        }
        var toOne = good
        toOne.replaceSubrange(0..<6, with: ethernet(host(1), host(2), [])[0..<6])
        #expect(offices.deliveries(of: toOne, from: offices.alice) == ["bob"])
        #expect(offices.alice.tunnel.statistics().answeredNeighbours == 0)
    }

    @Test("what is at the side that asks is left to its owner")
    func sameSide() {
        let offices = Self.offices(hub: true)
        offices.show(advert(2), from: offices.bob)
        offices.link.send(ethernet: [ethernet(host(2, 2), .everybody, text(46))], from: offices.bob)
        offices.link.drain()
        var question = arp(1, 2, sender: 22, target: 2)
        question.replaceSubrange(6..<12, with: ethernet(host(2, 2), host(1), [])[6..<12])
        question.replaceSubrange(22..<28, with: ethernet(host(2, 2), host(1), [])[6..<12])
        #expect(offices.deliveries(of: question, from: offices.bob) == ["alice", "carol"])
    }

    @Test("what was said is good for two minutes, while the address is where it was said, and until another says so")
    func age() {
        let offices = Self.offices(hub: true)
        offices.show(advert(2), from: offices.bob)
        offices.show(advert(1), from: offices.alice)
        offices.link.run(for: .seconds(118))
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["alice, something else"])
        offices.link.run(for: .seconds(3))
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["bob", "carol"])
        offices.show(advert(2), from: offices.bob)
        offices.link.run(for: .seconds(2))
        // The host has moved to carol, and says something else there first.
        offices.link.send(ethernet: [ethernet(host(2), .everybody, text(46))], from: offices.carol)
        offices.link.drain()
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["bob", "carol"])
        offices.show(advert(2), from: offices.carol)
        offices.forget()
        offices.link.send(ethernet: [ask(1, for: 2)], from: offices.alice)
        #expect(offices.alice.received == [reply(2, to: 1)])
        offices.link.change(offices.alice) { tunnel, _ in tunnel.removePeer(offices.carol.publicKey) }
        #expect(offices.deliveries(of: ask(1, for: 2), from: offices.alice) == ["bob"])
    }

    @Test(
        "in IPv6 a solicitation alone does not say whether its sender is a router: it is learned with the advertisement"
    )
    func router() {
        let offices = Self.offices()
        offices.show(solicitation(2, for: 77), from: offices.bob)
        #expect(offices.deliveries(of: ask(1, for: 2, isV6: true), from: offices.alice) == ["bob", "carol"])
        offices.show(advertisement(2, flags: 0xa0), from: offices.bob)
        offices.show(solicitation(2, for: 78), from: offices.bob)
        offices.link.send(ethernet: [ask(1, for: 2, isV6: true)], from: offices.alice)
        #expect(offices.alice.received == [advertisement(2, to: 1, flags: 0xc0)])
    }

    @Test("a place has 1024 addresses at most, and those of another stay")
    func bounds() {
        var table = NeighbourTable(seed: 3)
        table.use(true)
        let now = Instant(nanoseconds: 0)
        func own(_ peer: Int32) -> NeighbourTable.Neighbour {
            NeighbourTable.Neighbour(address: host(2), place: .peer(PeerSlot(peer)), isRouter: false)
        }
        for number in 0..<100 as Range<UInt32> { table.learn(.v4(number), vlans: 0, own(1), at: now) }
        for number in 1000..<9000 as Range<UInt32> { table.learn(.v4(number), vlans: 0, own(2), at: now) }
        let count = table.count
        #expect(count <= 1124 && count > 1000)
        let kept = (0..<100 as Range<UInt32>).count { table.find(.v4($0), vlans: 0, at: now) != nil }
        #expect(kept == 100)
        table.forget(PeerSlot(2))
        let rest = table.count
        #expect(rest == 100)
        // What is old makes room.
        let later = now + .seconds(200)
        for number in 5000..<6000 as Range<UInt32> { table.learn(.v4(number), vlans: 0, own(1), at: later) }
        let found = (5000..<6000 as Range<UInt32>).count { table.find(.v4($0), vlans: 0, at: later) != nil }
        #expect(found > 950)
    }

    // MARK: Made by hand

    private static func offices(hub isHub: Bool = false) -> Offices {
        let offices = Offices(hub: isHub)
        offices.alice.tunnel.answersNeighbours = true
        return offices
    }

    /// What the host of a site says of itself to all.
    private func advert(_ site: UInt8, isV6: Bool = false, tags: [UInt16] = []) -> [UInt8] {
        isV6 ? advertisement(site, flags: 0x20, tags: tags) : arp(1, site, sender: site, target: site, tags: tags)
    }

    private func ask(_ site: UInt8, for other: UInt8, isV6: Bool = false, tags: [UInt16] = []) -> [UInt8] {
        isV6 ? solicitation(site, for: other, tags: tags) : arp(1, site, sender: site, target: other, tags: tags)
    }

    private func reply(_ site: UInt8, to asker: UInt8, isV6: Bool = false, tags: [UInt16] = []) -> [UInt8] {
        if isV6 { return advertisement(site, to: asker, flags: 0x40, tags: tags) }
        let frame = arp(2, site, sender: site, target: asker, to: asker, tags: tags)
        return frame + [UInt8](repeating: 0, count: max(60 - frame.count, 0))
    }

    /// ARP of the host of a site, about 10.0.0.`sender` and 10.0.0.`target`; 0 is 0.0.0.0.
    private func arp(
        _ operation: UInt8, _ site: UInt8, sender: UInt8, target: UInt8, to asker: UInt8? = nil, tags: [UInt16] = []
    ) -> [UInt8] {
        let ip = { (number: UInt8) in number == 0 ? [0, 0, 0, 0] : [10, 0, 0, number] }
        let own = Array(big(host(site).bits)[2...])
        let other = asker.map { Array(big(host($0).bits)[2...]) } ?? [0, 0, 0, 0, 0, 0]
        let message = [0, 1, 8, 0, 6, 4, 0, operation] + own + ip(sender) + other + ip(target)
        return ethernet(host(site), asker.map { host($0) } ?? .everybody, message, type: 0x0806, tags: tags)
    }

    private func solicitation(
        _ site: UInt8, for other: UInt8, isProbe: Bool = false, tags: [UInt16] = []
    ) -> [UInt8] {
        let option = isProbe ? [] : [1, 1] + Array(big(host(site).bits)[2...])
        let message = [135, 0, 0, 0, 0, 0, 0, 0] + address(other) + option
        let group = [0xff, 2] + [UInt8](repeating: 0, count: 9) + [1, 0xff, 0, 0, other]
        let source = isProbe ? [UInt8](repeating: 0, count: 16) : address(site)
        let target = MACAddress(0x3333_ff00_0000 | UInt64(other))
        return completed(ethernet(host(site), target, ip: icmp(source, group, message), tags: tags))
    }

    private func advertisement(
        _ site: UInt8, to asker: UInt8? = nil, flags: UInt8, tags: [UInt16] = []
    ) -> [UInt8] {
        let message = [136, 0, 0, 0, flags, 0, 0, 0] + address(site) + [2, 1] + Array(big(host(site).bits)[2...])
        let group = [0xff, 2] + [UInt8](repeating: 0, count: 13) + [1]
        let target = asker.map { host($0) } ?? MACAddress(0x3333_0000_0001)
        let packet = icmp(address(site), asker.map { address($0) } ?? group, message)
        return completed(ethernet(host(site), target, ip: packet, tags: tags))
    }

    private func address(_ site: UInt8) -> [UInt8] { [0xfd] + [UInt8](repeating: 0, count: 14) + [site] }

    private func icmp(_ source: [UInt8], _ destination: [UInt8], _ message: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0] + big(UInt16(message.count)) + [58, 255] + source + destination + message
    }

    /// With the right sum of ICMPv6 (RFC 4443 §2.3).
    private func completed(_ frame: [UInt8]) -> [UInt8] {
        var frame = frame
        guard let start = (14..<frame.count).first(where: { frame[$0] == 0x60 && frame[$0 - 2] == 0x86 }) else {
            return frame
        }
        let place = start + 42
        frame[place] = 0
        frame[place + 1] = 0
        let message = Array(frame[(start + 40)...])
        let pseudo = Array(frame[start + 8..<start + 40]) + big(UInt32(message.count)) + [0, 0, 0, 58]
        let sum = ~naiveSum(pseudo + message)
        frame.replaceSubrange(place..<place + 2, with: big(sum))
        return frame
    }
}

extension Offices {
    /// Lets an end hear a frame of another's device.
    fileprivate func show(_ frame: [UInt8], from end: End) {
        link.send(ethernet: [frame], from: end)
        link.drain()
        forget()
    }
}
