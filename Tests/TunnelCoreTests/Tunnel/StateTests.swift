import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What a process leaves to the one that takes its place.
@Suite("The state that a new process takes over")
struct StateTests {
    static let kinds: [Pair.Options] = [
        Pair.Options(), Pair.Options(presharedKey: presharedKey(7)),
        Pair.Options(compression: CompressionPolicy(.auto), cipher: .auto),
        Pair.Options(compression: CompressionPolicy(.codec(.zstd)), persistentKeepalive: .seconds(25), packs: true),
    ]

    @Test("sessions go on without a handshake, both ways, and no counter comes twice", arguments: kinds)
    func sessionsGoOn(_ options: Pair.Options) throws {
        var pair = Pair(both: options)
        pair.connect()
        for size in 0..<50 { pair.link.send(udp(1, 2, text(40 + size)), from: pair.alice) }
        pair.link.drain()
        for _ in 0..<3 {
            try pair.upgradeAlice(options)
            for size in 0..<50 {
                pair.link.send(udp(1, 2, text(40 + size)), from: pair.alice)
                pair.link.send(udp(2, 1, text(60 + size)), from: pair.bob)
            }
            pair.link.drain()
        }
        #expect(pair.bob.received.count == 200)
        // What came before belongs to the process before.
        #expect(pair.alice.received.count == 50)
        #expect(!pair.link.sightings.contains { $0.bytes[0] != 4 })
        let sealed = pair.link.sightings.data.sent(by: pair.alice).map { "\($0.receiver) \($0.counter)" }
        #expect(Set(sealed).count == sealed.count)
        #expect(pair.bob.drops(.replay, of: pair.alice) == 0)
    }

    @Test("what had arrived before is a replay afterwards")
    func replays() throws {
        var pair = Pair()
        pair.connect()
        pair.link.send(udp(2, 1, text(100)), from: pair.bob)
        pair.link.drain()
        let old = try #require(pair.link.sightings.data.sent(by: pair.bob).last)
        try pair.upgradeAlice()
        pair.link.deliver(old.bytes, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.received.isEmpty)
        #expect(pair.alice.drops(.replay, of: pair.bob) == 1)
        // The same of handshakes, at the end that had answered.
        var other = Pair()
        other.meet()
        let first = try #require(other.initiation)
        try other.upgradeBob()
        other.link.deliver(first, to: other.bob, from: other.alice.endpoint)
        #expect(other.bob.drops(.handshake) == 1)
    }

    @Test("timers, endpoints, settings and counters are what they were")
    func all() throws {
        var options = Pair.Options(compression: CompressionPolicy(.auto), cipher: .auto)
        options.persistentKeepalive = .seconds(25)
        var pair = Pair(both: options)
        pair.connect()
        for size in 0..<90 { pair.link.send(udp(1, 2, text(100 + size)), from: pair.alice) }
        pair.link.run(for: .seconds(3))
        pair.link.change(pair.alice) { tunnel, _ in
            tunnel.setEndpoint(Endpoint(.v4(0xc000_0202), port: 51820), of: pair.bob.publicKey)
            if let prefix = Prefix("10.9.0.0/16") { tunnel.allow(prefix, for: pair.bob.publicKey) }
        }
        let before = try #require(pair.alice.statistics(of: pair.bob))
        let timeout = pair.alice.tunnel.nextTimeout
        try pair.upgradeAlice(options)
        let after = try #require(pair.alice.statistics(of: pair.bob))
        #expect(after.endpoint == before.endpoint && after.allowedIPs == before.allowedIPs)
        #expect(after.sent == before.sent && after.received == before.received)
        #expect(after.handshakes == before.handshakes && after.lastHandshake == before.lastHandshake)
        #expect(after.isGateway == before.isGateway && after.cipher == before.cipher)
        #expect(after.traffic.sent == before.traffic.sent && after.traffic.received == before.traffic.received)
        #expect(after.traffic.units[2] == before.traffic.units[2])
        #expect(after.persistentKeepalive == before.persistentKeepalive && after.compression == before.compression)
        #expect(after.roundTrip == before.roundTrip)
        if let timeout { #expect(pair.alice.tunnel.nextTimeout.map { $0 <= timeout } == true) }
        // A session is renewed when it would have been.
        let start = pair.link.instant
        while pair.link.instant - start < .seconds(200) {
            pair.link.send(udp(1, 2, text(50)), from: pair.alice)
            pair.link.run(for: .seconds(5))
        }
        #expect(pair.alice.statistics(of: pair.bob)?.handshakes == before.handshakes + 1)
    }

    @Test("a handshake that was under way is made anew at once, and packets go")
    func handshakeUnderWay() throws {
        var pair = Pair()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, text(50)), from: pair.alice)
        pair.link.rule = { _ in .deliver }
        try pair.upgradeAlice()
        pair.link.run(for: .seconds(1))
        pair.link.send(udp(1, 2, text(60)), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == [udp(1, 2, text(60))])
        #expect(pair.alice.drops(.staged, of: pair.bob) == 1)
    }

    @Test("a handshake that was lost while the peer's came through is over: none follows")
    func handshakesThatCrossed() throws {
        var pair = Pair()
        let alice = pair.alice.endpoint
        pair.link.rule = { $0.isInitiation && $0.from == alice ? .drop : .deliver }
        pair.link.send(udp(1, 2, text(50)), from: pair.alice)
        pair.link.send(udp(2, 1, text(50)), from: pair.bob)
        pair.link.run(for: .seconds(1))
        // It is pending still, and nobody waits for it.
        let pending = pair.alice.tunnel.peers[0].handshaking.pending
        #expect(pending != nil)
        pair.forget()
        try pair.upgradeAlice()
        try pair.upgradeBob()
        pair.link.send(udp(1, 2, text(60)), from: pair.alice)
        pair.link.run(for: .seconds(8))
        #expect(pair.bob.received == [udp(1, 2, text(60))])
        #expect(!pair.link.sightings.contains { !$0.isTransport })
    }

    @Test("frames go where their addresses were learned")
    func frames() throws {
        let options = Pair.Options(mode: .frames(isHub: false))
        var pair = Pair(both: options)
        pair.connect()
        pair.link.send(ethernet: [ethernet(host(2, 1), .everybody, text(80))], from: pair.bob)
        pair.link.drain()
        let before = try #require(pair.alice.statistics(of: pair.bob))
        #expect(!before.addresses.isEmpty)
        try pair.upgradeAlice(options)
        #expect(pair.alice.statistics(of: pair.bob)?.addresses == before.addresses)
    }

    @Test("a state of another version, one that is cut off, and one with a flipped bit are refused")
    func refused() throws {
        let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.auto), cipher: .auto))
        pair.connect()
        let state = pair.alice.state(at: pair.link.now(at: pair.alice))
        #expect(throws: Never.self) { try Self.open(state) }
        for bit in stride(from: 0, to: state.count * 8, by: 61) {
            var other = state
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: StateProblem.self) { try Self.open(other) }
        }
        for length in stride(from: 0, to: state.count, by: 13) {
            #expect(throws: StateProblem.self) { try Self.open(Array(state[..<length])) }
        }
        var other = state
        other[8] = 3
        #expect(throws: StateProblem.version(3)) { try Self.open(other) }
    }

    @Test("a content that nobody wrote is refused or taken, and nothing else")
    func anyContent() throws {
        let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.auto), cipher: .auto))
        pair.connect()
        let now = pair.link.now(at: pair.alice)
        let state = Array(pair.alice.state(at: now)[StateEnvelope.size...])
        var noise = Noise(seed: 4)
        for _ in 0..<3000 {
            var other = state
            for _ in 0..<Int.random(in: 1...4, using: &noise) {
                other[Int.random(in: other.indices, using: &noise)] = UInt8.random(in: 0...255, using: &noise)
            }
            if Bool.random(using: &noise) { other.removeLast(Int.random(in: 0..<other.count, using: &noise)) }
            let end = End(pair.alice.key, pair.alice.endpoint, seed: 9)
            unsafe other.withUnsafeBytes { bytes in
                var reader = unsafe StateReader(bytes)
                guard (try? end.tunnel.readState(&reader, at: now, { _ in nil })) != nil else { return }
            }
        }
    }

    private static func open(_ state: [UInt8]) throws(StateProblem) {
        var problem: StateProblem?
        unsafe state.withUnsafeBytes { bytes in
            do throws(StateProblem) { _ = try unsafe StateEnvelope.unwrap(bytes) } catch { problem = error }
        }
        if let problem { throw problem }
    }
}

extension Pair {
    /// Alice's process is upgraded: another takes its place, with its state.
    mutating func upgradeAlice(_ options: Options = Options()) throws {
        try upgrade(alice, bob, site(2), options)
    }

    mutating func upgradeBob(_ options: Options = Options()) throws {
        try upgrade(bob, alice, site(1), options)
    }

    private mutating func upgrade(_ old: End, _ other: End, _ place: Site, _ options: Options) throws {
        let now = link.now(at: old)
        let state = old.state(at: now)
        let new = End(old.key, old.endpoint, seed: 1234, mode: options.mode)
        var problem: StateProblem?
        unsafe state.withUnsafeBytes { bytes in
            do throws(StateProblem) {
                var reader = unsafe StateReader(try StateEnvelope.unwrap(bytes))
                try new.tunnel.readState(&reader, at: now) { key in
                    key == other.publicKey ? Self.configuration(place, options) : nil
                }
                try reader.finish()
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
        replace(old, by: new)
    }

    /// The last initiation that alice sent.
    fileprivate var initiation: [UInt8]? { link.sightings.last { $0.bytes.first == 1 }?.bytes }
}

extension End {
    /// What it would leave to another.
    fileprivate func state(at now: Now) -> [UInt8] {
        while tunnel.releaseHeld(at: now) { received += driver.takeWrites().map(\.packet) }
        while tunnel.pollHandshake() != nil {}
        guard case .times(let times) = engine.perform(.tellTimes) else { return [] }
        var memory = [UInt8](repeating: 0, count: tunnel.largestState)
        let length = unsafe memory.withUnsafeMutableBytes { bytes in
            unsafe StateEnvelope.wrap(into: bytes) { tunnel.writeState(to: &$0, times, at: now) }
        }
        return Array(memory.prefix(length ?? 0))
    }
}
