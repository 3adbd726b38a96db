import Testing

@testable import TestKit
@testable import TunnelCore

/// The cases of Linux' `drivers/net/wireguard/selftest/counter.c`, then what they mean on a wire.
@Suite struct ReplayWindowTests {
    @Test("counters at the edges of the window are told apart as the kernel tells them")
    func edges() {
        var window = ReplayWindow()
        let end = Limits.rejectAfterMessages
        let cases: [(UInt64, Bool)] = [
            (0, true), (1, true), (1, false), (9, true), (8, true), (7, true), (7, false), (limit, true),
            (limit - 1, true), (limit - 1, false), (limit - 2, true), (2, true), (2, false), (limit + 16, true),
            (3, false), (limit + 16, false), (limit * 4, true), (limit * 4 - (limit - 1), true), (10, false),
            (limit * 4 - limit, false), (limit * 4 - (limit + 1), false), (limit * 4 - (limit - 2), true),
            (limit * 4 + 1 - limit, false), (0, false), (end, false), (end - 1, true), (end, false), (end - 1, false),
            (end - 2, true), (end + 1, false), (end + 2, false), (end - 2, false), (end - 3, true), (0, false),
            (.max, false),
        ]
        for (place, (counter, expected)) in cases.enumerated() {
            #expect(window.accept(counter) == expected, "case \(place + 1), counter \(counter)")
        }
    }

    @Test("the window forgets nothing while it is filled upwards")
    func upwards() {
        #expect(accepted(Array(1...usable) + [0, 0]) == usable + 1)
        #expect(accepted(Array(2...usable + 1) + [1, 0]) == usable + 1)
    }

    @Test("the window forgets nothing while it is filled downwards")
    func downwards() {
        #expect(accepted((0...usable).reversed()) == usable + 1)
        #expect(accepted((1...usable + 1).reversed() + [0]) == usable + 1)
        #expect(accepted((1...usable).reversed() + [usable + 1, 0]) == usable + 1)
        #expect(accepted((1...usable).reversed() + [0, usable + 1]) == usable + 2)
    }

    @Test("the window agrees with a plain set, whatever comes")
    func model() {
        var noise = Noise(seed: 4)
        for _ in 0..<20 {
            var window = ReplayWindow()
            var seen: Set<UInt64> = []
            var greatest: UInt64 = 0
            for _ in 0..<20_000 {
                let back = noise.next() % (limit + 200)
                let ahead = noise.next() % (noise.next() % 64 == 0 ? 20_000 : 40)
                let counter = noise.next() % 2 == 0 ? greatest + ahead : greatest - min(back, greatest)
                let expected = counter + usable >= greatest && !seen.contains(counter)
                #expect(window.accept(counter) == expected)
                if expected { seen.insert(counter) }
                greatest = max(greatest, counter)
            }
        }
    }

    @Test("datagrams that come in another order are let through as far as the window reaches, duplicates are not")
    func reordering() throws {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { _ in .drop }
        let count = Int(usable) + 11
        for number in 0..<count { pair.link.send(udp(1, 2, big(number)), from: pair.alice) }
        let datagrams = pair.link.sightings.map(\.bytes)
        pair.forget()
        for datagram in datagrams.reversed() {
            pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
        }
        #expect(pair.bob.received.count == Int(usable) + 1)
        #expect(pair.bob.drops(.replay, of: pair.alice) == 10)
        for datagram in datagrams.suffix(100) {
            pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
        }
        #expect(pair.bob.received.count == Int(usable) + 1)
        #expect(pair.bob.drops(.replay, of: pair.alice) == 110)
    }

    @Test("a forged counter moves the window nowhere")
    func forgedCounter() throws {
        let pair = Pair()
        pair.connect()
        var forged = try #require(pair.alice.seal([], to: pair.bob))
        forged.replaceSubrange(8..<16, with: little(UInt64(1) << 40))
        pair.link.deliver(forged, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.bob.drops(.authentication, of: pair.alice) == 1)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.count == 1)
    }
}

/// Of 8192 bits, those that are certain.
private let usable: UInt64 = 8192 - 64
private let limit = usable + 1

/// How many of some counters are accepted.
private func accepted(_ counters: [UInt64]) -> UInt64 {
    var window = ReplayWindow()
    return counters.reduce(0) { $0 + (window.accept($1) ? 1 : 0) }
}
