import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)
private let tap = TunnelMode.frames(isHub: false)

/// Frames and HELLO (docs/protocol.md §3.1, §3.8): to whom they go, and what becomes of them until that is known.
@Suite struct EthernetHelloTests {
    @Test("a tunnel of frames announces ETHERNET, one of packets does not", arguments: [CompressionPolicy.off, auto])
    func announced(compression: CompressionPolicy) {
        for (mode, announces) in [(tap, true), (.frames(isHub: true), true), (.packets, false)] {
            let pair = Pair(both: Pair.Options(compression: compression, cipher: .auto, mode: mode))
            pair.meet()
            for hello in pair.link.sightings.hellos {
                #expect(hello.record?.option(4)?.contains(0x16) == announces)
            }
            #expect(!pair.link.sightings.hellos.isEmpty)
        }
    }

    @Test(
        "frames wait until the peer's HELLO has arrived, whichever end asks for the session", arguments: [true, false])
    func wait(aliceAsks: Bool) {
        let pair = Pair(both: Pair.Options(mode: tap))
        var isLost = true
        pair.link.rule = { $0.isHello && $0.from == pair.bob.endpoint && isLost ? .drop : .deliver }
        let frames = (0..<5 as Range<UInt8>).map { ethernet(host(1), .everybody, [$0] + text(45)) }
        if !aliceAsks { pair.link.send(ethernet: [ethernet(host(2), host(1), text(46))], from: pair.bob) }
        for frame in frames {
            pair.link.send(ethernet: [frame], from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        #expect(pair.link.sightings.sent(by: pair.alice).data.isEmpty && pair.bob.received.isEmpty)
        isLost = false
        pair.link.run(for: .seconds(3))
        #expect(pair.bob.received == frames)
        #expect(pair.alice.drops(.staged, of: pair.bob) == 0)
    }

    @Test(
        "the newest 128 frames or 256 KB wait for a session, and for a HELLO; the others are counted",
        arguments: [(46, 128), (2000, 128), (2100, 124), (9000, 29)], [false, true])
    func bound(of waiting: (size: Int, count: Int), hasSession: Bool) {
        let pair = Pair(both: Pair.Options(mode: tap))
        for end in [pair.alice, pair.bob] { end.tunnel.mtu = 9000 }
        var isLost = true
        pair.link.rule = {
            isLost && (hasSession ? $0.isHello : true) && $0.from == pair.bob.endpoint ? .drop : .deliver
        }
        let frames = (0..<200).map { ethernet(host(1), .everybody, [UInt8($0)] + text(waiting.size - 1)) }
        pair.link.send(ethernet: Array(frames.prefix(1)), from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        pair.link.send(ethernet: Array(frames.dropFirst()), from: pair.alice)
        #expect(pair.alice.drops(.staged, of: pair.bob) == UInt64(200 - waiting.count))
        isLost = false
        pair.link.run(for: .seconds(8))
        #expect(pair.bob.received == Array(frames.suffix(waiting.count)))
        #expect(pair.alice.drops(.staged, of: pair.bob) == UInt64(200 - waiting.count))
    }

    @Test("frames that wait for one peer do not wait for another")
    func others() {
        let offices = Offices()
        offices.link.change(offices.alice) { tunnel, now in
            tunnel.setPeer(privateKey(9).publicKey, Pair.configuration(site(9), Pair.Options()), at: now)
        }
        let frame = ethernet(host(1), .everybody, text(46))
        #expect(offices.deliveries(of: frame, from: offices.alice) == ["bob", "carol"])
    }

    @Test("a gateway that announces no Ethernet is sent none: that is counted, told once, and shown")
    func packetsPeer() {
        let pair = Pair(alice: Pair.Options(compression: auto, mode: tap), bob: Pair.Options(compression: auto))
        pair.connect()
        // The one that had waited for the HELLO.
        #expect(pair.alice.drops(.noEthernet, of: pair.bob) == 1)
        for _ in 0..<3 { pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice) }
        pair.link.run(for: .seconds(5))
        #expect(pair.alice.drops(.noEthernet, of: pair.bob) == 4)
        #expect(pair.alice.statistics(of: pair.bob)?.carriesOther == true)
        #expect(pair.alice.events.filter { $0 == .ethernetRefused(pair.bob.publicKey) }.count == 1)
        #expect(pair.link.sightings.data.isEmpty && pair.bob.received.isEmpty && pair.drops.allSatisfy { $0 == 0 })
    }

    @Test("a stock peer is sent HELLOs and nothing else: that is told once and shown, and what waits is bounded")
    func stockPeer() {
        let pair = Pair(alice: Pair.Options(compression: auto, mode: tap))
        for _ in 0..<200 {
            pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        #expect(pair.alice.statistics(of: pair.bob)?.carriesOther == true)
        #expect(pair.alice.events.filter { $0 == .ethernetRefused(pair.bob.publicKey) }.count == 1)
        #expect(pair.link.sightings.data.isEmpty && pair.bob.received.isEmpty)
        #expect(!pair.link.sightings.sent(by: pair.alice).hellos.isEmpty)
        #expect(pair.alice.drops(.staged, of: pair.bob) == 72)
    }

    @Test("a peer that does Ethernet is not shown as one that does not, before its HELLO or after it")
    func noFalseAlarm() {
        let pair = Pair(both: Pair.Options(mode: tap), latency: .milliseconds(400))
        pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
        for _ in 0..<100 {
            pair.link.run(for: .milliseconds(50))
            #expect(pair.alice.statistics(of: pair.bob)?.carriesOther == false)
        }
        #expect(pair.bob.received.count == 1)
        #expect(!pair.alice.events.contains(.ethernetRefused(pair.bob.publicKey)))
    }

    @Test("a frame for a peer without endpoint is counted, and does not wait")
    func noEndpoint() {
        let pair = Pair(alice: Pair.Options(mode: tap, knowsEndpoint: false), bob: Pair.Options(mode: tap))
        pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
        #expect(pair.alice.drops(.noEndpoint, of: pair.bob) == 1)
        pair.link.send(ethernet: [ethernet(host(2), .everybody, text(46))], from: pair.bob)
        pair.link.run(for: .seconds(1))
        #expect(pair.alice.received.count == 1 && pair.bob.received.isEmpty)
    }

    @Test("a peer that takes ETHERNET and nothing else is sent nothing else", arguments: [auto, CompressionPolicy.off])
    func onlyEthernet(compression: CompressionPolicy) throws {
        let pair = Pair(alice: Pair.Options(compression: compression, mode: tap))
        pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        let hello = HelloBuilder(seen: true, codecs: nil, maximumUnit: nil, records: [.ethernet]).bytes
        pair.link.deliver(try #require(pair.bob.seal(hello, to: pair.alice)), to: pair.alice, from: pair.bob.endpoint)
        pair.forget()
        let frames = (0..<20).map { ethernet(host(1), host(2), ip: udp(1, 2, text(40 * $0))) }
        pair.link.send(ethernet: frames, from: pair.alice)
        #expect(pair.link.sightings.data.map(\.payload) == frames.map { ethernetRecord($0).padded })
    }

    @Test("after some seconds in which everything was lost, frames go on within 15 s")
    func outage() {
        let pair = Pair(both: Pair.Options(mode: tap))
        var isLost = true
        pair.link.rule = { $0.isTransport && isLost ? .drop : .deliver }
        func talk() {
            pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
            pair.link.send(ethernet: [ethernet(host(2), .everybody, text(46))], from: pair.bob)
            pair.link.run(for: .seconds(1))
        }
        for _ in 0..<6 { talk() }
        isLost = false
        var seconds = 0
        while pair.bob.received.isEmpty || pair.alice.received.isEmpty, seconds < 300 {
            talk()
            seconds += 1
        }
        #expect(seconds <= 16)
    }

    @Test("to a tunnel of packets, a peer that carries Ethernet is told once and shown")
    func framesPeer() {
        let pair = Pair(alice: Pair.Options(compression: auto), bob: Pair.Options(compression: auto, mode: tap))
        pair.connect()
        pair.link.send(udp(1, 2, text(300)), from: pair.alice)
        pair.link.run(for: .seconds(5))
        #expect(pair.alice.statistics(of: pair.bob)?.carriesOther == true)
        #expect(pair.alice.events.filter { $0 == .packetsRefused(pair.bob.publicKey) }.count == 1)
        #expect(pair.bob.received.isEmpty)
    }

}
