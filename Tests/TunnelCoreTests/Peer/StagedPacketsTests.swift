import Testing

@testable import TestKit
@testable import TunnelCore

/// Packets that are staged until a peer says HELLO on a new session: where AES-256-GCM is demanded, and Ethernet frames.
@Suite struct StagedPacketsTests {
    @Test("no packet is lost or overtaken when a session that demands AES-256-GCM is renewed, whatever the round trip")
    func renewal() {
        for mode in [TunnelMode.packets, .frames(isHub: false)] {
            let pair = Pair(both: options(mode), latency: .milliseconds(100))
            pair.meet()
            pair.link.run(for: .seconds(119))
            pair.forget()
            let packets = (0..<3000).map { payload(mode, number: $0) }
            for packet in packets {
                send(packet, pair, mode)
                pair.link.run(for: .milliseconds(1))
            }
            pair.link.run(for: .seconds(1))
            #expect(pair.link.sightings.initiations.count == 1)
            #expect(pair.bob.received == packets)
            // All of it under AES-256-GCM: on the session before, then on the new one.
            let lanes = Set(pair.link.sightings.data.map(\.receiver))
            #expect(lanes.count == 2)
            #expect(Set(pair.link.sightings.hellos.sent(by: pair.alice).map(\.receiver)).isDisjoint(with: lanes))
        }
    }

    @Test("a peer that restarts between its response and its HELLO is met again after fifteen seconds")
    func restart() {
        for mode in [TunnelMode.packets, .frames(isHub: false)] {
            var pair = Pair(both: options(mode))
            // It has answered, and its HELLO never comes.
            let bob = pair.bob
            pair.link.rule = { $0.from == bob.endpoint && $0.isTransport ? .drop : .deliver }
            for number in 0..<10 {
                send(payload(mode, number: number), pair, mode)
                pair.link.run(for: .milliseconds(10))
            }
            pair.restartBob(options(mode))
            pair.link.rule = { _ in .deliver }
            for number in 10..<30 {
                send(payload(mode, number: number), pair, mode)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.bob.received == (0..<30).map { payload(mode, number: $0) })
        }
    }

    @Test("one packet that waits is enough for that")
    func one() {
        var pair = Pair(both: options(.packets))
        let bob = pair.bob
        pair.link.rule = { $0.from == bob.endpoint && $0.isTransport ? .drop : .deliver }
        send(payload(.packets, number: 0), pair, .packets)
        pair.link.run(for: .milliseconds(100))
        pair.restartBob(options(.packets))
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(20))
        #expect(pair.bob.received == [payload(.packets, number: 0)])
    }

    @Test("a renewal whose HELLO gets lost costs nothing while the session before lasts")
    func lostHello() {
        let pair = Pair(both: options(.packets))
        pair.meet()
        pair.link.run(for: .seconds(119))
        pair.forget()
        let bob = pair.bob
        let end = pair.link.instant + .seconds(8)
        pair.link.rule = { $0.from == bob.endpoint && $0.isTransport && $0.at < end ? .drop : .deliver }
        let packets = (0..<300).map { payload(.packets, number: $0) }
        for packet in packets {
            send(packet, pair, .packets)
            pair.link.run(for: .milliseconds(50))
        }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == packets)
        #expect(pair.link.sightings.initiations.count == 1)
    }

    @Test("towards a peer that knows no HELLO there are no more handshakes than WireGuard's")
    func stock() {
        let pair = Pair(alice: Pair.Options(cipher: .aes256gcm), bob: Pair.Options())
        for number in 0..<400 {
            send(payload(.packets, number: number), pair, .packets)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.bob.received.isEmpty)
        #expect(pair.link.sightings.initiations.count <= 5)
    }
}

private func options(_ mode: TunnelMode) -> Pair.Options { Pair.Options(cipher: .aes256gcm, mode: mode) }

private func payload(_ mode: TunnelMode, number: Int) -> [UInt8] {
    mode == .packets
        ? udp(1, 2, text(40 + number % 900), port: UInt16(number)) : ethernet(host(1), host(2), text(46 + number % 900))
}

private func send(_ payload: [UInt8], _ pair: Pair, _ mode: TunnelMode) {
    mode == .packets
        ? pair.link.send(payload, from: pair.alice) : pair.link.send(ethernet: [payload], from: pair.alice)
}
