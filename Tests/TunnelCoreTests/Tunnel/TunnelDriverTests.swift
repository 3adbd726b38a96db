import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What a driver does with what comes out of its tunnel.
@Suite struct TunnelDriverTests {
    @Test("whatever goes in at once comes out, though it is many times what outbox and inbox hold")
    func bounds() {
        let pair = Pair()
        pair.connect()
        let packets = (0..<4000).map { udp(1, 2, payload: 1200, port: UInt16($0)) }
        for packet in packets {
            let bytes = unsafe packet.span.bytes
            pair.alice.tunnel.handlePacket(bytes, at: pair.link.now(at: pair.alice))
            pair.alice.driver.makeRoomToSend()
        }
        pair.alice.driver.sendGathered(at: pair.link.now(at: pair.alice))
        let datagrams = pair.alice.takeDatagrams()
        #expect(datagrams.count == packets.count && datagrams.allSatisfy { $0.path.remote == pair.bob.endpoint })
        var memory = Arena(capacity: datagrams.reduce(0) { $0 + $1.bytes.count })
        var used = 0
        for datagram in datagrams {
            var place = memory[used..<used + datagram.bytes.count]
            used += datagram.bytes.count
            unsafe place.copy(datagram.bytes.span.bytes, to: 0)
            pair.bob.tunnel.handleDatagram(
                &place, from: Path(pair.alice.endpoint), trafficClass: 0, at: pair.link.now(at: pair.bob))
            pair.bob.driver.makeRoom()
        }
        #expect(pair.bob.driver.takeWrites().map(\.packet) == packets)
        for end in [pair.alice, pair.bob] { #expect(end.drops(.overflow) == 0) }
    }

    @Test("what waited for a link with a rate leaves once it has none, though the outbox holds a part of it at a time")
    func queue() {
        let pair = Pair()
        pair.connect()
        let now = pair.link.now(at: pair.alice)
        pair.alice.tunnel.setRate(400_000_000, linkOverhead: 14, at: now)
        for number in 0..<2000 as Range<UInt16> {
            let packet = udp(1, 2, payload: 1200, port: number)
            let bytes = unsafe packet.span.bytes
            pair.alice.tunnel.handlePacket(bytes, at: now)
        }
        let early = pair.alice.takeDatagrams()
        pair.alice.tunnel.setRate(nil, linkOverhead: 14, at: now)
        pair.alice.driver.handleTimeouts(at: now)
        pair.alice.driver.sendGathered(at: now)
        #expect(early.count < 100 && pair.alice.takeDatagrams().count + early.count == 2000)
        #expect(pair.alice.drops(.queueFull, of: pair.bob) == 0)
        let next = pair.alice.tunnel.nextTimeout
        #expect(next.map { $0 > now.instant } == true)
    }

    @Test("what came out is sent and written once, and where nothing came out nobody is asked to")
    func once() throws {
        let now = Now(instant: Instant(nanoseconds: 1_000_000_000), wall: WallTime(seconds: 1, nanoseconds: 0))
        var driver = Recorder(tunnel: Tunnel(randomness: Randomness(seed: 1)))
        driver.tunnel.setPrivateKey(privateKey(1), at: now)
        driver.tunnel.setPeer(privateKey(2).publicKey, Pair.configuration(site(2), Pair.Options()), at: now)
        driver.flush()
        #expect(driver.calls == [])
        for packet in [udp(1, 2, payload: 10), udp(1, 9, payload: 10)] {
            let bytes = unsafe packet.span.bytes
            driver.tunnel.handlePacket(bytes, at: now)
        }
        var engine = HandshakeEngine(randomness: Randomness(seed: 2))
        while let job = driver.tunnel.pollHandshake() { driver.take(engine.perform(job), at: now) }
        let refusal = driver.tunnel.pollRefusal()
        driver.tunnel.answer(try #require(refusal), from: nil)
        driver.flush()
        driver.flush()
        // ICMP's quote, and an initiation.
        #expect(driver.calls == ["write 66", "send 148"])
    }
}

/// Notes what it is asked to do.
private struct Recorder: TunnelDriver, ~Copyable {
    var tunnel: Tunnel
    var calls: [String] = []

    init(tunnel: consuming Tunnel) { self.tunnel = tunnel }

    mutating func withTunnel<Result>(_ body: (inout Tunnel) -> Result) -> Result { body(&tunnel) }

    mutating func write(_ write: Inbox.Write) { calls.append("write \(tunnel.inbox.bytes(of: write).count)") }

    mutating func sendRuns() {
        for index in 0..<tunnel.outbox.count { calls.append("send \(tunnel.outbox[index].length)") }
    }
}
