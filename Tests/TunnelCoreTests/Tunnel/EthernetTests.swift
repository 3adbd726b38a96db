import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Which frame goes where: docs/layer2.md.
@Suite struct EthernetTests {
    @Test(
        "a frame to everybody, to a group or to an address that nobody has seen goes to all peers",
        arguments: ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33:33:00:00:00:01", "02:00:00:00:77:77"],
        [CompressionPolicy.off, auto])
    func floods(to address: String, compression: CompressionPolicy) throws {
        let offices = Offices(compression)
        let frame = ethernet(host(1), try #require(MACAddress(address)), text(46))
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob", "carol"])
        #expect(offices.deliveries(of: frame, from: offices.bob) == ["alice"])
    }

    @Test("a frame to an address that was seen at a peer goes to that peer alone", arguments: [false, true])
    func knownAddress(isHub: Bool) {
        let offices = Offices(hub: isHub)
        offices.show(host(2), from: offices.bob)
        offices.show(host(3), from: offices.carol)
        #expect(offices.deliveries(of: ethernet(host(1), host(2), text(46)), from: offices.alice) == ["bob"])
        #expect(offices.link.sightings.data.map(\.to) == [offices.bob.endpoint])
        #expect(offices.deliveries(of: ethernet(host(1), host(3), text(46)), from: offices.alice) == ["carol"])
    }

    @Test("what came from a peer goes to the own Ethernet, and to another peer only through a hub")
    func splitHorizon() {
        for (isHub, everybody, known) in [(false, ["alice"], ["alice"]), (true, ["alice", "carol"], ["carol"])] {
            let offices = Offices(hub: isHub)
            offices.show(host(3), from: offices.carol)
            for destination in [MACAddress.everybody, host(77)] {
                let frame = ethernet(host(2), destination, text(46))
                #expect(offices.deliveries(of: frame, from: offices.bob) == everybody)
            }
            #expect(offices.deliveries(of: ethernet(host(2), host(3), text(46)), from: offices.bob) == known)
        }
    }

    @Test("nothing goes back to the peer that it came from", arguments: [false, true])
    func notBack(isHub: Bool) {
        let offices = Offices(hub: isHub)
        offices.show(host(2), from: offices.bob)
        for destination in [host(2), host(77), .everybody] {
            let frame = ethernet(host(2, 2), destination, text(46))
            #expect(!offices.deliveries(of: frame, from: offices.bob).contains("bob"))
            #expect(offices.link.sightings.data.allSatisfy { $0.to != offices.bob.endpoint })
        }
    }

    @Test("an address is flooded again 300 s after it was seen last")
    func age() {
        let offices = Offices()
        offices.show(host(2), from: offices.bob)
        let frame = ethernet(host(1), host(2), text(46))
        offices.link.run(for: .seconds(298))
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob"])
        offices.link.run(for: .seconds(3))
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob", "carol"])
    }

    @Test("an address that was seen at another peer is looked for there")
    func move() {
        let offices = Offices()
        let frame = ethernet(host(1), host(2), text(46))
        offices.show(host(2), from: offices.bob)
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob"])
        offices.link.run(for: .seconds(1))
        offices.show(host(2), from: offices.carol)
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["carol"])
    }

    @Test("what comes from the other peer within a second is dropped and counted")
    func flapping() {
        let offices = Offices()
        offices.show(host(2), from: offices.bob)
        let frame = ethernet(host(2), .everybody, text(46))
        #expect(offices.deliveries(of: frame, from: offices.carol) == [])
        #expect(offices.alice.drops(.learning, of: offices.carol) == 1)
        #expect(offices.alice.drops(.learning, of: offices.bob) == 0)
        #expect(offices.alice.statistics(of: offices.bob)?.addresses == [host(2)])
        #expect(offices.alice.statistics(of: offices.carol)?.addresses == [])
    }

    @Test("a peer with more than 1024 sources: what comes from further ones is dropped and counted")
    func limitOfPeer() {
        let offices = Offices()
        let frames = (0..<2000 as Range<UInt16>).map { ethernet(host(2, $0), host(1), text(46)) }
        offices.show(host(1), from: offices.alice)
        for frame in frames { _ = offices.deliveries(of: frame, from: offices.bob) }
        let dropped = offices.alice.drops(.learning, of: offices.bob)
        #expect((900...976).contains(dropped))
        #expect(offices.alice.statistics(of: offices.bob)?.addresses.count == 1024)
        #expect(offices.deliveries(of: frames[1999], from: offices.bob) == [])
        #expect(offices.alice.drops(.learning, of: offices.bob) == dropped + 1)
        #expect(offices.deliveries(of: ethernet(host(3), host(1), text(46)), from: offices.carol) == ["alice"])
    }

    @Test("only what comes from peers is learned, and only from addresses of one host")
    func notLearned() {
        let offices = Offices()
        offices.show(host(1), from: offices.alice)
        for group in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb"].compactMap({ MACAddress($0) }) {
            #expect(offices.deliveries(of: ethernet(group, host(1), text(46)), from: offices.bob) == [])
        }
        #expect(offices.alice.drops(.allowedMACs, of: offices.bob) == 2)
        for other in [offices.bob, offices.carol] {
            #expect(offices.alice.statistics(of: other)?.addresses == [])
        }
    }

    @Test("a peer that is removed takes its addresses along")
    func removedPeer() {
        let offices = Offices()
        offices.show(host(2), from: offices.bob)
        offices.link.change(offices.alice) { tunnel, _ in tunnel.removePeer(offices.bob.publicKey) }
        let frame = ethernet(host(1), host(2), text(46))
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["carol"])
    }

    @Test(
        "frames to everybody: 1000 at once and 1000 a second; more are dropped and counted", arguments: [false, true])
    func storm(isKnown: Bool) {
        let offices = Offices()
        offices.show(host(2), from: offices.bob)
        offices.link.run(for: .seconds(2))
        let frame = ethernet(host(1), isKnown ? host(2) : .everybody, text(46))
        for (pause, passing) in [(0, 1000), (100, 100), (5000, 1000)] {
            offices.link.run(for: .milliseconds(Int64(pause)))
            offices.forget()
            let before = offices.alice.drops(.storm)
            offices.link.send(ethernet: Array(repeating: frame, count: 1500), from: offices.alice)
            offices.link.drain()
            let dropped = offices.alice.drops(.storm) - before
            // While they are on their way, some ten milliseconds pass.
            let passed = isKnown ? 1500...1500 : passing...passing + 20
            #expect(passed.contains(offices.bob.received.count))
            #expect(dropped == UInt64(1500 - offices.bob.received.count))
            #expect(offices.carol.received.count == (isKnown ? 0 : offices.bob.received.count))
        }
    }

    @Test("a hub sends 1000 frames a second of each peer on to everybody; more are dropped and counted as the peer's")
    func stormOfPeer() throws {
        let offices = Offices(hub: true)
        offices.link.run(for: .seconds(2))
        for (number, end) in [(2, offices.bob), (3, offices.carol)] as [(UInt8, End)] {
            let record = ethernetRecord(ethernet(host(number), .everybody, text(46)))
            // Past the end's own limit.
            for _ in 0..<1200 {
                let datagram = try #require(end.seal(record, to: offices.alice))
                offices.link.deliver(datagram, to: offices.alice, from: end.endpoint)
                // Another turn, and no time in which anything could be earned.
                offices.link.run(for: Interval(nanoseconds: 100))
            }
            #expect(offices.alice.drops(.storm, of: end) == 200)
        }
        offices.link.drain()
        #expect(offices.bob.received.count == 1000 && offices.carol.received.count == 1000)
        #expect(offices.alice.received.count == 2000 && offices.alice.drops(.storm) == 0)
        #expect(
            offices.deliveries(of: ethernet(host(1), .everybody, text(46)), from: offices.alice) == ["bob", "carol"])
    }

    @Test("what a hub sends on to one peer has no limit")
    func noStorm() {
        let offices = Offices(hub: true)
        offices.show(host(2), from: offices.bob)
        let frame = ethernet(host(3), host(2), text(46))
        offices.link.send(ethernet: Array(repeating: frame, count: 3000), from: offices.carol)
        offices.link.drain()
        #expect(offices.bob.received.count == 3000)
    }

    @Test("what a peer sends to a hub's own Ethernet goes there alone, and as much as comes")
    func ownEthernetOfHub() {
        let offices = Offices(hub: true)
        offices.show(host(1), from: offices.alice)
        let frame = ethernet(host(2), host(1), text(46))
        #expect(offices.deliveries(of: frame, from: offices.bob) == ["alice"])
        offices.forget()
        offices.link.send(ethernet: Array(repeating: frame, count: 1500), from: offices.bob)
        offices.link.drain()
        #expect(offices.alice.received.count == 1500)
        #expect(offices.carol.received.count == 0)
    }

    @Test("a host that moves from a site to the hub's own Ethernet is found there")
    func moveToHub() {
        let offices = Offices(hub: true)
        offices.show(host(2), from: offices.bob)
        offices.link.run(for: .seconds(2))
        offices.show(host(2), from: offices.alice)
        #expect(offices.deliveries(of: ethernet(host(3), host(2), text(46)), from: offices.carol) == ["alice"])
    }
}
