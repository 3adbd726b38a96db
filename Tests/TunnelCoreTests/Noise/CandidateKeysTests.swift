import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct CandidateKeysTests {
    @Test("without another key the configured one is chosen, whatever became of it")
    func configuredAlone() {
        var keys = CandidateKeys(presharedKey(1))
        for second in [0, 5, 10, 300] {
            let choice1 = keys.choose(for: index(second), at: at(second)).name
            #expect(choice1 == .configured)
        }
        #expect(keys.all.map(\.name) == [.configured])
    }

    @Test("an agreed key is chosen once the peer has shown that it has it, and not before")
    func shared() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(2), 2, isShared: false)
        let choice2 = keys.choose(for: index(1), at: at(0)).name
        #expect(choice2 == .configured)
        let isShared13 = keys.noteShared(2)
        #expect(isShared13)
        let choice3 = keys.choose(for: index(2), at: at(10)).name
        #expect(choice3 == .agreed(2))
        let isShared14 = keys.noteShared(3)
        #expect(!isShared14)
    }

    @Test("the newest key that both have is chosen, and one that only we have is tried on a response all the same")
    func newest() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(2), 2, isShared: true)
        keys.add(presharedKey(3), 3, isShared: false)
        let choice4 = keys.choose(for: index(1), at: at(0)).name
        #expect(choice4 == .agreed(2))
        #expect(keys.all.map(\.name) == [.agreed(3), .agreed(2), .configured])
        keys.noteUsed(.agreed(3))
        #expect(keys.all.map(\.name) == [.agreed(3), .configured])
        let choice5 = keys.choose(for: index(2), at: at(20)).name
        #expect(choice5 == .agreed(3))
    }

    @Test("after an answer that carried nothing the next ones are made with the configured key")
    func doubt() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(2), 2, isShared: true)
        let choice6 = keys.choose(for: index(1), at: at(0)).name
        #expect(choice6 == .agreed(2))
        let choice7 = keys.choose(for: index(2), at: at(1)).name
        #expect(choice7 == .agreed(2))
        let choice8 = keys.choose(for: index(3), at: at(6)).name
        #expect(choice8 == .configured)
        let choice9 = keys.choose(for: index(4), at: at(12)).name
        #expect(choice9 == .configured)
        // It says that it has it after all.
        let isShared15 = keys.noteShared(2)
        #expect(isShared15)
        let choice10 = keys.choose(for: index(5), at: at(20)).name
        #expect(choice10 == .agreed(2))
    }

    @Test("an answer that carried something is not in doubt, and one with another index says nothing")
    func proved() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(1), 1, isShared: true)
        keys.add(presharedKey(2), 2, isShared: true)
        _ = keys.choose(for: index(1), at: at(0))
        keys.noteProved(index(1))
        #expect(keys.all.map(\.name) == [.agreed(2), .configured])
        let choice11 = keys.choose(for: index(2), at: at(120)).name
        #expect(choice11 == .agreed(2))
        keys.noteProved(index(7))
        let choice12 = keys.choose(for: index(3), at: at(240)).name
        #expect(choice12 == .configured)
    }

    @Test("who asks every second is answered with the configured key as soon as who asks seldom")
    func impatience() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(2), 2, isShared: true)
        let names = (0..<8).map { second in keys.choose(for: index(second), at: at(second)).name }
        #expect(names == Array(repeating: .agreed(2), count: 4) + Array(repeating: .configured, count: 4))
    }

    @Test("of answers that followed one another each may be the one that something comes on")
    func provedEarlier() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(2), 2, isShared: true)
        for second in 0..<3 { _ = keys.choose(for: index(second), at: at(second)) }
        keys.noteProved(index(1))
        let choice = keys.choose(for: index(9), at: at(120)).name
        #expect(choice == .agreed(2))
    }

    @Test("a key that both have stays, however many come that the peer never confirms")
    func unconfirmed() {
        var keys = CandidateKeys(nil)
        keys.add(presharedKey(1), 1, isShared: true)
        for number in UInt64(2)..<20 {
            keys.add(presharedKey(number), number, isShared: false)
            let choice = keys.choose(for: index(Int(number)), at: at(0)).name
            #expect(choice == .agreed(1))
            #expect(keys.all.count <= 4)
        }
        #expect(keys.all.map(\.name) == [.agreed(19), .agreed(18), .agreed(1), .configured])
        // One that is confirmed takes its place.
        let isShared = keys.noteShared(19)
        #expect(isShared)
        keys.add(presharedKey(20), 20, isShared: false)
        keys.add(presharedKey(21), 21, isShared: false)
        #expect(keys.all.map(\.name) == [.agreed(21), .agreed(20), .agreed(19), .configured])
    }

    @Test("there are never more than five candidates, of which the other end's configured key is the last")
    func bounded() {
        var keys = CandidateKeys(presharedKey(1))
        keys.other = presharedKey(2)
        for number in UInt64(3)..<20 { keys.add(presharedKey(number), number, isShared: true) }
        #expect(keys.all.count == 5)
        #expect(keys.all.map(\.name) == [.agreed(19), .agreed(18), .agreed(17), .configured, .other])
    }

    @Test("what was agreed on is forgotten with another configured key, but not while the one before may still be met")
    func configure() {
        var keys = CandidateKeys(presharedKey(1))
        keys.add(presharedKey(9), 9, isShared: true)
        keys.configure(presharedKey(1))
        #expect(keys.all.map(\.name) == [.agreed(9), .configured])
        keys.other = presharedKey(1)
        keys.configure(presharedKey(2))
        #expect(keys.all.map(\.name) == [.agreed(9), .configured, .other])
        keys.other = nil
        keys.configure(nil)
        #expect(keys.all.map(\.name) == [.configured])
    }

    private func index(_ number: Int) -> ReceiverIndex { ReceiverIndex(rawValue: UInt32(number)) }
    private func at(_ second: Int) -> Instant { Instant(nanoseconds: Int64(second) * 1_000_000_000) }
}
