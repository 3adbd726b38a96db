import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What is said when no packet gets through.
@Suite struct ProblemTests {
    @Test("a peer that says nothing of the cipher that is demanded is named in four seconds, and every packet counts")
    func silentPeer() throws {
        let pair = Pair(alice: Pair.Options(cipher: .aes256gcm))
        var sent: UInt64 = 0
        func send(_ count: Int) {
            for _ in 0..<count { pair.link.send(udp(1, 2, payload: 100), from: pair.alice) }
            sent += UInt64(count)
        }
        send(10)
        pair.link.run(for: .seconds(4))
        #expect(pair.alice.events.contains(.cipherUnknown(pair.bob.publicKey)))
        let statistics = try #require(pair.alice.statistics(of: pair.bob))
        #expect(statistics.refusesCipher && statistics.saysNothing)
        // WireGuard answers after ten seconds what it can't read.
        pair.link.run(for: .seconds(8))
        #expect(pair.alice.drops(.staged, of: pair.bob) == sent)
        // As long as it lasts, over many sessions.
        for _ in 0..<600 {
            send(3)
            pair.link.run(for: .seconds(2))
        }
        #expect(pair.bob.received.isEmpty)
        pair.link.run(for: .seconds(20))
        #expect(pair.alice.drops(.staged, of: pair.bob) == sent)
        #expect(pair.alice.statistics(of: pair.bob)?.refusesCipher == true)
    }

    @Test("what keeps a handshake from being answered is told once, and again when it is another or comes back")
    func told() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        let remote = pair.bob.endpoint
        let (first, second) = (PeerProblem.notSent(remote, errno: 101), PeerProblem.notSent(remote, errno: 1))
        func fail(_ errno: Int32) {
            pair.link.change(pair.alice) { tunnel, now in tunnel.noteNotSent(toPeer: 0, errno: errno, at: now) }
        }
        for errno in [101, 101, 1, 1, 101] as [Int32] {
            fail(errno)
            pair.link.run(for: .seconds(5))
        }
        #expect(pair.alice.troubles == [first, second, first])
        pair.link.run(for: .seconds(300))
        fail(101)
        #expect(pair.alice.troubles == [first, second, first, first])
        #expect(pair.alice.statistics(of: pair.bob)?.problem?.0 == first)
        fail(101)
        pair.link.rule = { _ in .deliver }
        pair.connect()
        fail(101)
        #expect(pair.alice.troubles.count == 5, "a handshake was done in between")
        #expect(pair.alice.statistics(of: pair.bob)?.problem?.0 == first)
    }

    @Test("an attempt that nobody answers names the cause if it is known, and is the problem if it is not")
    func unanswered() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        let key = pair.bob.publicKey
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(6))
        #expect(pair.alice.events == [.handshakeUnanswered(key, attempt: 1)])
        #expect(pair.alice.statistics(of: pair.bob)?.problem?.0 == .unanswered)
        let rejection = PeerProblem.Rejection(.port, by: pair.bob.endpoint.address)
        pair.link.change(pair.alice) { tunnel, now in tunnel.noteRejected(pair.bob.endpoint, rejection, at: now) }
        pair.link.run(for: .seconds(5))
        let problem = PeerProblem.rejected(pair.bob.endpoint, rejection)
        #expect(
            pair.alice.events.dropFirst() == [
                .troubled(key, problem), .handshakeUnanswered(key, attempt: 2, cause: problem),
            ])
    }

    @Test("with traffic that asks again and again, each initiation without an answer counts")
    func busy() {
        let pair = Pair()
        pair.link.rule = { _ in .drop }
        for _ in 0..<150 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .milliseconds(200))
        }
        let attempts = pair.alice.events.compactMap { event -> Int? in
            if case .handshakeUnanswered(_, let attempt, cause: nil) = event { attempt } else { nil }
        }
        #expect(attempts == [1, 2, 3, 4, 5])
        #expect(pair.link.sightings.filter(\.isInitiation).count == 6)
    }

    @Test("an ICMP error is of the peers at that endpoint, and of no other")
    func rejected() {
        let pair = Pair()
        let rejection = PeerProblem.Rejection(.host, by: nil)
        pair.link.change(pair.alice) { tunnel, now in tunnel.noteRejected(site(9).endpoint, rejection, at: now) }
        #expect(pair.alice.troubles.isEmpty)
        for _ in 0..<100 {
            pair.link.change(pair.alice) { tunnel, now in tunnel.noteRejected(pair.bob.endpoint, rejection, at: now) }
        }
        #expect(pair.alice.troubles == [.rejected(pair.bob.endpoint, rejection)])
    }

    @Test("a handshake made for another key, and one of a stranger, say so with address and key")
    func strangers() throws {
        let pair = Pair()
        let initiation = try #require(pair.captureInitiation())
        let carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.link.deliver(initiation, to: carol, from: pair.alice.endpoint)
        #expect(
            carol.events == [.handshakeFailed(.foreignKey(carol.publicKey), nil, Path(pair.alice.endpoint))])
        pair.link.rule = { _ in .deliver }
        pair.introduce(pair.bob, site(2), to: carol, Pair.Options())
        pair.link.send(udp(3, 2, payload: 10), from: carol)
        pair.link.run(for: .seconds(1))
        #expect(
            pair.bob.events.contains(.handshakeFailed(.stranger(carol.publicKey), nil, Path(carol.endpoint))))
    }

    @Test("strangers leave room for what is said of peers, and what is left out is counted")
    func crowd() throws {
        let pair = Pair()
        let initiation = try #require(pair.captureInitiation())
        var bytes = initiation.flipped(at: 20)
        pair.link.change(pair.bob) { tunnel, now in
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            for _ in 0..<1000 { tunnel.handleDatagram(&raw, from: Path(site(9).endpoint), trafficClass: 0, at: now) }
            tunnel.note(.loop(site(1).endpoint), of: pair.alice.publicKey, at: now)
        }
        #expect(pair.bob.troubles == [.loop(site(1).endpoint)])
        #expect(pair.bob.events.count + Int(pair.bob.tunnel.unnotedEvents) == 1001)
    }

    @Test("with different preshared keys one end knows it, and the other says what it can")
    func presharedKeys() {
        let pair = Pair(
            alice: Pair.Options(presharedKey: presharedKey(1)), bob: Pair.Options(presharedKey: presharedKey(2)))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(7))
        #expect(pair.alice.statistics(of: pair.bob)?.problem?.0 == .response)
        #expect(pair.bob.troubles == [.unconfirmed])
        #expect(pair.bob.statistics(of: pair.alice)?.problem?.0 == .unconfirmed)
        #expect(pair.alice.events.contains(.handshakeUnanswered(pair.bob.publicKey, attempt: 1, cause: .response)))
    }

    @Test("a clock that went back is the peer's problem at the end that sees it")
    func clock() {
        var pair = Pair()
        pair.connect()
        pair.restartAlice(clockError: .seconds(-3600))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.statistics(of: pair.alice)?.problem?.0 == .replayed)
    }

    @Test("an endpoint that is routed into the tunnel is told at the first datagram that comes back")
    func loop() throws {
        let pair = Pair()
        pair.connect()
        let everything = try #require(Prefix("0.0.0.0/0"))
        let (near, far) = (pair.alice.endpoint, pair.bob.endpoint)
        pair.link.change(pair.alice) { tunnel, _ in
            tunnel.port = near.port
            tunnel.allow(everything, for: pair.bob.publicKey)
        }
        for _ in 0..<3 {
            pair.link.send(
                packet(near.address, far.address, transport: 17, ports: (near.port, far.port), text(100)),
                from: pair.alice)
        }
        #expect(pair.alice.troubles == [.loop(far)])
    }

    @Test("packets from a source that is not the peer's are told with the source, ten seconds apart, and counted")
    func sources() {
        let pair = Pair()
        pair.connect()
        pair.bob.events = []
        for _ in 0..<1000 { pair.deliver(udp(7, 2, payload: 10)) }
        let key = pair.alice.publicKey
        #expect(pair.bob.events == [.sourceRefused(key, site(7).v4, packets: 1)])
        pair.link.run(for: .seconds(11))
        pair.deliver(udp(8, 2, payload: 10))
        #expect(pair.bob.events.last == .sourceRefused(key, site(8).v4, packets: 1000))
        #expect(pair.bob.drops(.allowedIPs, of: pair.alice) == 1001)
    }

    @Test("what the system sends to groups is no packet that a peer lacks", arguments: ["224.0.0.22", "ff02::2"])
    func groups(address: String) throws {
        let group = try #require(IPAddress(address))
        let source = group.isV4 ? site(1).v4 : site(1).v6
        let pair = Pair()
        pair.link.send(packet(source, group, transport: 17, ports: (1, 2), text(10)), from: pair.alice)
        #expect(pair.alice.drops(.noPeer) == 0)
        #expect(pair.alice.drops(.multicast) == 1)
    }

    @Test("a peer that is asked what it takes and takes nothing has dropped nothing")
    func askedInVain() {
        let pair = Pair(CompressionPolicy(.auto), .off)
        pair.connect()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(30))
        #expect(pair.link.sightings.hellos.count > 2)
        #expect(pair.drops.allSatisfy { $0 == 0 })
        // Another record than that has nothing to look for here.
        #expect(pair.deliver([0x14, 0, 4, 0, 1, 2, 3, 4]) == [.unannounced])
    }
}

extension End {
    fileprivate var troubles: [PeerProblem] {
        events.compactMap { if case .troubled(_, let problem) = $0 { problem } else { nil } }
    }
}
