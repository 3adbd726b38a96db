import Addresses
import BasicContainers
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

@Suite struct KeepaliveTests {
    @Test("data that nothing answers is answered by one keepalive after ten seconds")
    func passive() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(60))
        pair.forget()
        let sentAt = pair.link.instant
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(100))
        #expect(pair.link.sightings.summary == ["packet", "keepalive"])
        #expect(pair.link.sightings.last.map { $0.at - sentAt } == .milliseconds(10_010))
        #expect(pair.link.sightings.last?.from == pair.bob.endpoint)
    }

    @Test("more data while a keepalive is due makes one more, ten seconds later")
    func burst() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(60))
        pair.forget()
        let sentAt = pair.link.instant
        for _ in 0..<5 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .seconds(1))
        }
        pair.link.run(for: .seconds(100))
        let keepalives = pair.link.sightings.keepalives
        #expect(keepalives.map { $0.at - sentAt } == [.milliseconds(10_010), .milliseconds(20_010)])
        #expect(keepalives.allSatisfy { $0.from == pair.bob.endpoint })
    }

    @Test("data the other way within ten seconds makes it needless")
    func needless() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(60))
        pair.forget()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(9))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(9))
        #expect(pair.link.sightings.keepalives.summary == [])
        pair.link.run(for: .seconds(100))
        #expect(pair.link.sightings.keepalives.map(\.from) == [pair.alice.endpoint])
    }

    @Test(
        "data that is dropped behind the tag is answered by a keepalive too, so that its sender makes no new handshakes",
        arguments: [CompressionPolicy.off, CompressionPolicy(.auto)])
    func dropped(compression: CompressionPolicy) {
        let pair = Pair(compression, compression)
        pair.connect()
        pair.link.run(for: .seconds(20))
        pair.forget()
        // A source that bob does not allow to alice, in bundles where they may be.
        for _ in 0..<50 {
            pair.link.send(together: [udp(9, 2, payload: 10), udp(9, 2, payload: 10, port: 9)], from: pair.alice)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.bob.drops(.allowedIPs, of: pair.alice) == 100)
        #expect(pair.link.sightings.initiations.isEmpty)
        #expect((4...6).contains(pair.link.sightings.keepalives.sent(by: pair.bob).count))
    }

    @Test("a record that can't be read is data too")
    func unreadable() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(20))
        pair.forget()
        #expect(pair.deliver(record(0x1f, 0, [1, 2, 3])) == [.record])
        pair.link.run(for: .seconds(60))
        #expect(pair.link.sightings.summary == ["keepalive"])
    }

    @Test("keepalives of thousands of peers that are due at once all leave, in portions that the outbox holds")
    func many() {
        let end = End(privateKey(1), site(1).endpoint, seed: 1)
        let (count, start) = (3000, Now(instant: Instant(nanoseconds: 1), wall: WallTime(seconds: 1, nanoseconds: 0)))
        let state = SymmetricState(hash: Bytes32(repeating: 1), chainingKey: Bytes32(repeating: 2))
        for number in 0..<count {
            let configuration = PeerConfiguration(
                endpoint: Endpoint(.v4(0x0a01_0000 + UInt32(number)), port: 1), persistentKeepalive: .seconds(25))
            let key = privateKey(10 + UInt64(number)).publicKey
            end.tunnel.setPeer(key, configuration, at: start)
            let slot = end.tunnel.peers.slot(of: key) ?? 0
            let session = end.tunnel.services.sessions.insert(
                Session(peer: slot, local: 0, remote: 1, isInitiator: false, at: start.instant))
            end.tunnel.services.sessions[session].begin(
                SessionKeys(state, isInitiator: false), .libsodium)
            _ = end.tunnel.peers[slot].keypairs.take(initiated: session)
        }
        let now = Now(instant: start.instant + .seconds(1), wall: start.wall)
        var sent = 0
        while let due = end.tunnel.nextTimeout, due <= now.instant {
            end.tunnel.handleTimeout(at: now)
            sent += end.takeDatagrams().count
        }
        #expect(sent == count && end.drops(.overflow) == 0)
    }

    @Test("a keepalive is answered by nothing", arguments: [CompressionPolicy.off, CompressionPolicy(.auto)])
    func noPingPong(compression: CompressionPolicy) throws {
        let pair = Pair(compression, compression)
        pair.connect()
        pair.link.run(for: .seconds(60))
        pair.forget()
        let keepalive = try #require(pair.alice.seal([], to: pair.bob))
        pair.link.deliver(keepalive, to: pair.bob, from: pair.alice.endpoint)
        pair.link.run(for: .seconds(400))
        #expect(pair.link.sightings.summary == [])
    }

    @Test(
        "peers without traffic fall silent for ever",
        arguments: [CompressionPolicy.off, CompressionPolicy(.auto)], [CompressionPolicy.off, CompressionPolicy(.auto)])
    func silence(alice: CompressionPolicy, bob: CompressionPolicy) {
        let pair = Pair(alice, bob)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(5))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(40))
        pair.forget()
        pair.link.run(for: .seconds(24 * 3600))
        #expect(pair.link.sightings.summary == [])
        #expect(pair.link.next == nil)
    }

    @Test("a persistent keepalive goes out as often as the operator says, and only when nothing else does")
    func persistent() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.link.run(for: .seconds(1))
        pair.forget()
        pair.link.run(for: .seconds(110))
        #expect(pair.link.sightings.summary == ["keepalive", "keepalive", "keepalive", "keepalive"])
        let times = pair.link.sightings.map(\.at)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == .seconds(25) })
        pair.forget()
        for _ in 0..<100 {
            pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
            pair.link.run(for: .seconds(24))
        }
        // The first message of a session may be one.
        #expect(pair.link.sightings.keepalives.sent(by: pair.alice).filter { $0.counter > 0 }.summary == [])
    }

    @Test("a persistent keepalive keeps a session alive for a day")
    func persistentSessions() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.link.run(for: .seconds(24 * 3600))
        pair.forget()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.alice.received.count == 1)
        #expect(pair.link.sightings.initiations.summary == [])
    }

    @Test("a persistent keepalive finds a peer that was away for hours")
    func persistentReturns() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.link.rule = { _ in .drop }
        pair.link.run(for: .seconds(3 * 3600))
        pair.forget()
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(26))
        #expect(pair.bob.handshakesDone == 1)
    }

    @Test("a persistent keepalive that is taken back stops")
    func persistentStops() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.link.run(for: .seconds(60))
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setPersistentKeepalive(nil, of: pair.bob.publicKey, at: now)
        }
        pair.forget()
        pair.link.run(for: .seconds(3600))
        #expect(pair.link.sightings.summary == [])
    }
}
