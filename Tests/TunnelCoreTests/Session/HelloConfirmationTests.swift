import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let gateway = Pair.Options(compression: CompressionPolicy(.auto))
/// As the last version before CONFIRM.
private let older = Pair.Options(compression: CompressionPolicy(.auto), confirms: false)
private let stock = Pair.Options()

/// docs/protocol.md §3.9: what was announced on the session before is confirmed by a few bytes.
@Suite struct HelloConfirmationTests {
    @Test("on a later session a packet and its answer carry what three HELLOs said, and nothing else is sent")
    func exchange() {
        let pair = Pair.old(both: gateway)
        pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
        pair.link.run(for: .milliseconds(100))
        #expect(pair.link.sightings.summary == ["initiation", "response", "packet, CONFIRM", "packet, CONFIRM seen"])
        #expect(pair.bothCompress)
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.dropFirst(4).allSatisfy { $0.isKeepalive })
        // 60 bytes and their padding have no room for eight more.
        #expect(pair.link.sightings.data.map { $0.payload?.count } == [80, 80])
        #expect(pair.bob.received == [udp(1, 2, payload: 32)] && pair.alice.received == [udp(2, 1, payload: 32)])
    }

    @Test("a peer with nothing to send confirms after a second, in place of the keepalive that was due")
    func oneWay() {
        let pair = Pair.old(both: gateway)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.summary == ["initiation", "response", "packet, CONFIRM", "CONFIRM seen"])
        #expect(pair.link.sightings.last.map { $0.bytes.count } == 48)
        #expect(pair.bothCompress)
    }

    @Test("keepalives alone are as with WireGuard, on every session but the first")
    func idle() {
        func sizes(_ options: Pair.Options) -> [Int] {
            let pair = Pair.old(both: options)
            pair.link.change(pair.alice) { tunnel, now in
                tunnel.setPersistentKeepalive(.seconds(25), of: pair.bob.publicKey, at: now)
            }
            pair.link.run(for: .seconds(3600))
            return pair.link.sightings.map(\.bytes.count)
        }
        #expect(sizes(gateway) == sizes(stock))
    }

    @Test("a flow of one packet in 20 seconds costs 32 bytes a session")
    func sparse() {
        func bytes(_ options: Pair.Options) -> (sum: Int, sessions: Int) {
            let pair = Pair.old(both: options)
            for _ in 0..<180 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(20))
            }
            return (pair.link.sightings.map(\.bytes.count).reduce(0, +), pair.link.sightings.initiations.count)
        }
        let (ours, plain) = (bytes(gateway), bytes(stock))
        #expect(ours.sessions == plain.sessions)
        #expect(ours.sum - plain.sum <= 32 * plain.sessions)
    }

    @Test("whichever message is lost, both ends know each other soon and every other packet arrives", arguments: 0..<8)
    func loss(lost: Int) {
        let pair = Pair.old(both: gateway)
        var count = 0
        var packets = 0
        pair.link.rule = { sighting in
            guard sighting.isTransport else { return .deliver }
            defer { count += 1 }
            if count == lost, sighting.isData { packets += 1 }
            return count == lost ? .drop : .deliver
        }
        for _ in 0..<10 { pair.talk() }
        pair.link.run(for: .seconds(2))
        #expect(pair.bothCompress)
        #expect(pair.alice.received.count + pair.bob.received.count == 20 - packets)
    }

    @Test("on a wire that loses half, nothing stays unsaid", arguments: 0..<40)
    func heavyLoss(seed: UInt64) {
        let pair = Pair.old(both: gateway)
        var noise = Noise(seed: seed)
        pair.link.rule = { $0.isTransport && noise.next() % 2 == 0 ? .drop : .deliver }
        for _ in 0..<15 { pair.talk() }
        pair.link.rule = { _ in .deliver }
        for _ in 0..<10 { pair.talk() }
        pair.forget()
        #expect(pair.bothCompress)
        pair.talk()
        #expect(pair.alice.received.count == 1 && pair.bob.received.count == 1)
    }

    @Test(
        "a message that comes twice, or late, does no harm",
        arguments: [.duplicate, .delay(.seconds(3))] as [Link.Fate])
    func duplicates(fate: Link.Fate) {
        let pair = Pair.old(both: gateway)
        pair.link.rule = { $0.isTransport ? fate : .deliver }
        for _ in 0..<10 { pair.talk() }
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(4))
        #expect(pair.bothCompress)
        #expect(pair.alice.received.count == 10 && pair.bob.received.count == 10)
    }

    @Test("after initiations that crossed, both ends know each other as well")
    func crossed() {
        let pair = Pair.old(both: gateway)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        for _ in 0..<10 { pair.talk() }
        #expect(pair.bothCompress)
        #expect(pair.alice.received.count == 11 && pair.bob.received.count == 11)
    }

    @Test(
        "an end that comes back as anything is sent no record before it has said HELLO, and nothing is lost",
        arguments: [gateway, older, stock], [true, false])
    func restarts(options: Pair.Options, begins: Bool) {
        var pair = Pair.old(both: gateway)
        pair.restartBob(options)
        for _ in 0..<20 {
            if begins { pair.talk(from: pair.bob) } else { pair.talk() }
        }
        #expect(pair.alice.received.count == 20 && pair.bob.received.count == 20)
        let sent = pair.link.sightings
        let said = sent.firstIndex { $0.isHello && $0.from == pair.bob.endpoint } ?? sent.endIndex
        let early = sent[..<said].filter { $0.from == pair.alice.endpoint && $0.isTransport }
        #expect(early.allSatisfy { $0.isPlain || $0.isKeepalive || $0.isHello || $0.confirms != nil })
        #expect(pair.bothCompress == (options.compression.mode != .off))
        if options.compression.mode == .off {
            #expect(sent.sent(by: pair.alice).allSatisfy { !$0.isUnit && !$0.isBundle && !$0.isFragment })
        }
        #expect(pair.bob.drops(.record, of: pair.alice) == 0)
    }

    @Test(
        "the other end comes back in the middle of a session, and both know each other again",
        arguments: [gateway, older])
    func restartsAmidst(options: Pair.Options) {
        var pair = Pair.old(both: gateway)
        for _ in 0..<3 { pair.talk() }
        pair.restartBob(options)
        for _ in 0..<40 { pair.talk() }
        pair.forget()
        for _ in 0..<3 { pair.talk() }
        #expect(pair.bothCompress)
        #expect(pair.alice.received.count == 3 && pair.bob.received.count == 3)
    }

    @Test("with an older version there are HELLOs on every session and never a CONFIRM", arguments: [true, false])
    func olderVersion(begins: Bool) {
        let pair = begins ? Pair.old(alice: older, bob: gateway) : Pair.old(alice: gateway, bob: older)
        for _ in 0..<3 {
            pair.talk()
            #expect(pair.link.sightings.hellos.count == 3)
            #expect(pair.link.sightings.allSatisfy { $0.confirms == nil })
            #expect(pair.bothCompress)
            pair.link.run(for: .seconds(200))
            pair.forget()
        }
        #expect(pair.alice.drops(.record, of: pair.bob) == 0 && pair.bob.drops(.record, of: pair.alice) == 0)
    }

    @Test("an end that moves while it confirms is followed")
    func roaming() {
        let pair = Pair.old(both: gateway)
        pair.link.rule = { $0.confirms != nil ? .drop : .deliver }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        pair.link.rule = { _ in .deliver }
        pair.alice.endpoint = Endpoint(.v4(0xc000_0263), port: 1234)
        for _ in 0..<5 { pair.talk() }
        #expect(pair.bob.statistics(of: pair.alice)?.endpoint == pair.alice.endpoint)
        #expect(pair.bothCompress && pair.alice.received.count == 5)
    }

    @Test("an end that announces something else now says so in full")
    func otherAnnouncement() {
        let pair = Pair.old(both: gateway)
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setOptions(CompressionPolicy(.off), .auto, of: pair.bob.publicKey, at: now)
        }
        for _ in 0..<3 { pair.talk() }
        let first = pair.link.sightings.sent(by: pair.alice).filter(\.isTransport).first
        #expect(first?.isHello == true)
        #expect(pair.bob.statistics(of: pair.alice)?.compresses == false)
    }

    @Test("a packet without room is followed by nothing: HELLO goes before it, and no datagram is larger than before")
    func noRoom() {
        let pair = Pair.old(both: gateway)
        for _ in 0..<3 {
            pair.link.send(udp(1, 2, payload: 1392), from: pair.alice)
            pair.link.run(for: .milliseconds(300))
        }
        let sent = pair.link.sightings.sent(by: pair.alice).filter(\.isTransport)
        #expect(sent.first?.isHello == true)
        #expect(sent.allSatisfy { $0.bytes.count <= 1420 + 32 })
        #expect(pair.bothCompress && pair.bob.received.count == 3)
    }

    @Test("what many messages carried in vain is said by a HELLO, which is repeated as ever")
    func inVain() {
        let pair = Pair.old(both: gateway)
        pair.link.rule = { $0.isTransport && $0.from == pair.bob.endpoint ? .drop : .deliver }
        for _ in 0..<6 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        let sent = pair.link.sightings.sent(by: pair.alice).filter(\.isTransport).summary
        #expect(sent.prefix(5) == .init(repeating: "packet, CONFIRM", count: 4) + ["HELLO asks"])
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.sent(by: pair.alice).hellos.count >= 2)
    }

    @Test("the lane for AES-256-GCM is opened by a CONFIRM as by a HELLO")
    func secondLane() {
        var options = gateway
        options.cipher = .auto
        let pair = Pair.old(both: options)
        for _ in 0..<2 { pair.talk() }
        #expect(pair.link.sightings.hellos.isEmpty)
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            #expect(end.statistics(of: other)?.cipher == .aes256gcm)
        }
        #expect(pair.alice.received.count == 2 && pair.bob.received.count == 2)
    }

    @Test("an end that demands AES-256-GCM, or carries frames, says HELLO on every session")
    func demanding() {
        var options = gateway
        options.cipher = .aes256gcm
        let pair = Pair.old(both: options)
        pair.talk()
        #expect(pair.link.sightings.sent(by: pair.alice).filter(\.isTransport).first?.isHello == true)
        #expect(pair.bob.received.count == 1)
    }

    @Test("a CONFIRM of what was never announced says nothing, and is no harm")
    func foreignDigest() throws {
        let pair = Pair(gateway.compression, CompressionPolicy.off)
        pair.connect()
        for body in [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3]] as [[UInt8]] {
            let datagram = try #require(pair.bob.seal(record(0x17, 1, body).padded, to: pair.alice))
            pair.link.deliver(datagram, to: pair.alice, from: pair.bob.endpoint)
        }
        #expect(pair.alice.statistics(of: pair.bob)?.compresses == false)
        #expect(pair.alice.drops(.record, of: pair.bob) == 1)
    }
}

extension Pair {
    /// Two ends that have met, and whose session has run out since.
    fileprivate static func old(alice: Options, bob: Options) -> Pair {
        let pair = Pair(alice: alice, bob: bob)
        pair.connect()
        pair.link.run(for: .seconds(200))
        pair.forget()
        return pair
    }

    fileprivate static func old(both options: Options) -> Pair { old(alice: options, bob: options) }

    /// A packet from one end, the answer of the other, and some time.
    fileprivate func talk(from end: End? = nil) {
        let isAlice = end == nil || end === alice
        for number in [isAlice, !isAlice] {
            link.send(number ? udp(1, 2, text(300)) : udp(2, 1, text(300)), from: number ? alice : bob)
            link.run(for: .milliseconds(100))
        }
        link.run(for: .milliseconds(800))
    }

    fileprivate var bothCompress: Bool {
        [(alice, bob), (bob, alice)].allSatisfy { end, other in
            guard let session = end.sessions(with: other.publicKey).first else { return false }
            // Not what statistics say, which believe what was said before.
            return end.tunnel.services.sessions[session].hello.takesGathered
        }
    }
}
