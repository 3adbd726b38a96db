import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// Keys that two ends agreed on, over hours: bounds, attackers who drop, upgrades.
@Suite struct KeyExchangeLifeTests {
    @Test("however soon another key is wanted, five minutes pass between two", arguments: [false, true])
    func bounds(isChanged: Bool) {
        let options = Pair.Options(keyExchange: .prefer, keyExchangeRekey: .seconds(isChanged ? 3600 : 1))
        let pair = Pair(both: options)
        if isChanged {
            for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
                pair.link.change(end) { tunnel, now in
                    tunnel.setKeyExchange(
                        .prefer, rekey: Interval(nanoseconds: .min), of: other.publicKey, at: now)
                }
            }
        }
        var numbers: Set<UInt64> = []
        for _ in 0..<300 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .seconds(10))
            if let number = pair.keyNumbers[0] { numbers.insert(number) }
        }
        // Each at the first new session after its time.
        #expect((6...10).contains(numbers.count))
        #expect(pair.offers <= 10)
    }

    @Test(
        "who drops what would renew a key leaves the one that both have, for hours", arguments: [0, 1, 2, 3] as [UInt8])
    func dropped(form: UInt8) {
        let options = Pair.Options(keyExchange: .require, keyExchangeRekey: .seconds(300))
        let pair = Pair(both: options)
        pair.meet()
        pair.link.run(for: .seconds(1))
        #expect(pair.agreed == [true, true])
        pair.forget()
        var isUnguarded = false
        pair.link.rule = { sighting in
            if pair.isUnguarded(sighting) { isUnguarded = true }
            guard let payload = sighting.payload, payload.starts(with: [0x1f, form]) else { return .deliver }
            return .drop
        }
        var sent = 0
        for second in stride(from: 0, to: 3 * 3600, by: 5) {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
            sent += 1
            pair.link.run(for: .seconds(5))
            if pair.agreed != [true, true] {
                Issue.record("no key after \(second) s")
                return
            }
        }
        #expect(!isUnguarded)
        #expect(pair.bob.received.count == sent)
        #expect(pair.alice.received.count == sent)
        // As soon as nobody does any more, another one is agreed on.
        let before = pair.keyNumbers[0]
        pair.link.rule = { _ in .deliver }
        for _ in 0..<100 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .seconds(5))
        }
        #expect(pair.keyNumbers[0] == pair.keyNumbers[1] && pair.keyNumbers[0] != before)
    }

    @Test("it is said how far it is", arguments: [KeyExchangePolicy.prefer, .require])
    func stages(_ policy: KeyExchangePolicy) {
        let options = Pair.Options(compression: CompressionPolicy(.auto), keyExchange: policy)
        // Both ends see it if one of the large ones gets lost, each in its own way.
        for (form, alice, bob) in [(UInt8(0), true, false), (1, true, true)] {
            let pair = Pair(both: options)
            pair.link.rule = { $0.payload?.starts(with: [0x1f, form]) == true ? .drop : .deliver }
            pair.meet()
            #expect(pair.stages == [.underWay, .underWay])
            for _ in 0..<50 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.stages == [.unanswered, .unanswered])
            // Where nothing passes, each end tries it on sessions of its own.
            if policy == .prefer {
                #expect((pair.exchange(of: pair.alice)?.unanswered ?? 0 > 0) == alice)
                #expect((pair.exchange(of: pair.bob)?.inVain ?? 0 > 0) == bob)
            }
            pair.link.rule = { _ in .deliver }
            for _ in 0..<400 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.stages == [.agreed, .agreed])
            #expect(pair.exchange(of: pair.alice)?.unanswered == 0 && pair.exchange(of: pair.bob)?.inVain == 0)
        }
        for other in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(alice: options, bob: Pair.Options(compression: other))
            for _ in 0..<40 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.exchange(of: pair.alice)?.stage == .refused)
        }
    }

    @Test("in a session of which an end has lost the handshake nothing is agreed on, in the next one it is")
    func withoutTranscript() {
        let pair = Pair(both: Pair.Options(keyExchange: .prefer))
        pair.link.rule = { $0.payload?.first == 0x1f ? .drop : .deliver }
        pair.meet()
        for session in pair.bob.sessions(with: pair.alice.publicKey) {
            pair.bob.tunnel.services.sessions[session].transcript = Bytes32(repeating: 0)
        }
        pair.forget()
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(10))
        #expect(pair.offers > 0 && pair.keyDatagrams.count == pair.offers)
        #expect(pair.bob.drops(.record, of: pair.alice) == UInt64(pair.offers))
        for _ in 0..<30 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .seconds(5))
        }
        #expect(pair.agreed == [true, true])
    }

    @Test(
        "a key that was agreed on goes on over an upgrade, and the next session is made with it",
        arguments: [true, false])
    func upgrade(isAlice: Bool) throws {
        let options = Pair.Options(keyExchange: .require)
        var pair = Pair(both: options)
        pair.meet()
        pair.link.run(for: .seconds(30))
        let before = pair.keyNumbers
        let handshakes = pair.alice.statistics(of: pair.bob)?.handshakes ?? 0
        #expect(pair.agreed == [true, true])
        for _ in 0..<3 {
            if isAlice { try pair.upgradeAlice(options) } else { try pair.upgradeBob(options) }
            let end = isAlice ? pair.alice : pair.bob
            let age = pair.exchange(of: end)?.age ?? .seconds(0)
            #expect(age >= .seconds(29))
            pair.forget()
            pair.guardPackets()
            // More than the life of a session, with packets both ways.
            for _ in 0..<30 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
                pair.link.run(for: .seconds(5))
            }
            #expect(pair.keyNumbers == before)
            #expect(pair.offers == 0)
            #expect(pair.bob.received.count == 30 && pair.alice.received.count == 30)
        }
        #expect(pair.alice.statistics(of: pair.bob)?.handshakes ?? 0 >= handshakes + 3)
    }

    @Test("an exchange that was under way as an end was upgraded is done all the same", arguments: [true, false])
    func upgradeUnderWay(isAlice: Bool) throws {
        let options = Pair.Options(keyExchange: .require)
        for datagrams in 0..<12 {
            var pair = Pair(both: options)
            // So many leave, and then the process is another one.
            var left = datagrams
            pair.link.rule = { _ in
                defer { left -= 1 }
                return left > 0 ? .deliver : .drop
            }
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .milliseconds(500))
            if isAlice { try pair.upgradeAlice(options) } else { try pair.upgradeBob(options) }
            pair.guardPackets()
            for _ in 0..<30 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.agreed == [true, true], "after \(datagrams)")
        }
    }
}

extension Pair {
    fileprivate func exchange(of end: End) -> KeyExchangeStatistics? {
        end.statistics(of: end === alice ? bob : alice)?.keyExchange
    }

    fileprivate var stages: [KeyExchangeStage?] { [alice, bob].map { exchange(of: $0)?.stage } }

    /// Encapsulation keys that left.
    fileprivate var offers: Int { keyDatagrams.count { $0.payload?.starts(with: [0x1f, 0]) == true } }
}
