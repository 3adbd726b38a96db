import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// A preshared key takes the place of another (docs/protocol.md §3.13), with a file at each end in which the keys are.
@Suite struct PresharedKeysTests {
    @Test("both ends go over to the new key, and nothing is lost", arguments: [false, true])
    func done(withOld: Bool) {
        let ends = Rotating(old: withOld ? .generate() : nil)
        ends.begin(at: ends.alice)
        ends.run(seconds: 10)
        ends.expectDone()
        #expect(ends.lost == 0)
        // No more is said of it than there is to say.
        #expect(ends.words.first == .offer && ends.words.count <= 6)
    }

    @Test("each word may get lost, come twice or late", arguments: 0..<4)
    func lost(word: Int) {
        for fate in [Link.Fate.drop, .duplicate, .delay(.milliseconds(2500))] {
            let ends = Rotating(old: .generate())
            ends.fates[word] = fate
            ends.begin(at: ends.alice)
            ends.run(seconds: 20)
            ends.expectDone()
            #expect(ends.lost == 0)
        }
    }

    @Test("either end may begin anew at each step, before or after it has written down", arguments: 0..<4)
    func restart(word: Int) {
        for isAlice in [false, true] {
            for isBefore in [false, true] {
                let ends = Rotating(old: .generate())
                ends.restart = Rotating.Restart(word: word, isAlice: isAlice, isBefore: isBefore)
                ends.begin(at: ends.alice)
                ends.run(seconds: 2)
                // Whoever asks is answered at the first attempt.
                ends.expectAnswers()
                ends.run(seconds: 30)
                ends.expectDone()
                ends.expectAnswers()
            }
        }
    }

    @Test("beside an exchange of keys that a quantum computer does not undo it goes the same way", arguments: 0..<4)
    func keyExchange(word: Int) {
        for fate in [Link.Fate.deliver, .drop, .duplicate, .delay(.milliseconds(2500))] {
            let ends = Rotating(old: .generate(), keyExchange: .require)
            ends.fates[word] = fate
            ends.begin(at: ends.alice)
            ends.run(seconds: 20)
            ends.expectDone()
            #expect(ends.lost == 0)
            #expect(ends.agreed == [true, true])
        }
        for isAlice in [false, true] {
            for isBefore in [false, true] {
                let ends = Rotating(old: .generate(), keyExchange: .require)
                ends.restart = Rotating.Restart(word: word, isAlice: isAlice, isBefore: isBefore)
                ends.begin(at: ends.alice)
                ends.run(seconds: 40)
                ends.expectDone()
                #expect(ends.agreed == [true, true])
            }
        }
    }

    @Test("a new key is told on no session that a quantum computer opens, where no packet may go on one")
    func secretly() {
        let ends = Rotating(old: nil, keyExchange: .require)
        let rule = ends.link.rule
        ends.link.rule = { $0.payload?.first == 0x1f ? .drop : rule($0) }
        ends.begin(at: ends.alice)
        ends.run(seconds: 10)
        #expect(ends.words.isEmpty && ends.agreed == [false, false])
        ends.link.rule = rule
        ends.run(seconds: 150)
        ends.expectDone()
        #expect(ends.agreed == [true, true])
    }

    @Test("a link without packets needs none")
    func idle() {
        let ends = Rotating(old: .generate())
        ends.isIdle = true
        for _ in 0..<3 {
            ends.begin(at: ends.alice)
            ends.run(seconds: 20)
            ends.expectDone()
            ends.begin(at: ends.bob)
            ends.run(seconds: 20)
            ends.expectDone()
        }
    }

    @Test("of two offers that cross, one holds")
    func crossing() {
        let ends = Rotating(old: .generate())
        ends.begin(at: ends.alice)
        ends.begin(at: ends.bob)
        ends.run(seconds: 20)
        ends.expectDone()
        #expect(ends.lost == 0)
    }

    @Test("an end that can't write the key down says so, and the old one stays")
    func refused() {
        let old = PresharedKey.generate()
        let ends = Rotating(old: old)
        ends.bobFails = true
        ends.begin(at: ends.alice)
        ends.run(seconds: 10)
        #expect(ends.words == [.offer, .refused])
        for keys in [ends.files.alice, ends.files.bob] {
            let isOld = keys.current?.isSame(as: old) == true
            #expect(isOld && !keys.isChanging)
        }
        #expect(ends.lost == 0)
        ends.expectAnswers()
    }

    @Test("a peer of before is told nothing, and who asks hears that it takes none")
    func before() {
        let pair = Pair(
            alice: Pair.Options(compression: CompressionPolicy(.auto), rotates: true),
            bob: Pair.Options(compression: CompressionPolicy(.auto)))
        pair.connect()
        let (alice, bob) = (pair.alice, pair.bob)
        let record = RotateRecord(.presharedKey, .offer, .generate())
        let outcome = alice.tunnel.rotate(record, with: bob.publicKey, at: pair.link.now(at: alice))
        #expect(outcome == .takesNone(saysNothing: false))
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.isEmpty)
        let stranger = alice.tunnel.rotate(record, with: alice.publicKey, at: pair.link.now(at: alice))
        #expect(stranger == .noPeer)
    }

    @Test("words in floods are not passed on")
    func flood() {
        let ends = Rotating(old: nil)
        for _ in 0..<100 {
            ends.link.change(ends.bob) { tunnel, now in
                _ = tunnel.rotate(
                    RotateRecord(.presharedKey, .unknown, .generate()), with: ends.alice.publicKey, at: now)
            }
        }
        ends.link.run(for: .milliseconds(100))
        let passed = ends.alice.events.count { if case .rotation = $0 { true } else { false } }
        #expect((1...10).contains(passed))
        #expect(ends.alice.drops(.budget, of: ends.bob) == 100 - UInt64(passed))
    }

    @Test("whatever is lost, late or begun anew: each end takes what the other answers with", arguments: 0..<8)
    func anyOrder(seed: UInt64) {
        var state = seed
        for _ in 0..<500 {
            var walk = Walk()
            for _ in 0..<60 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                walk.step(Int(state >> 33) % 12)
            }
            walk.end()
            let isSame = walk.ends[0].current?.isSame(as: walk.ends[1].current ?? .zeros) ?? false
            #expect(isSame && !walk.ends[0].isChanging && !walk.ends[1].isChanging)
        }
    }
}

/// An initiator with these keys takes the answer of a responder with those.
private func takes(_ initiator: PresharedKeys, _ responder: PresharedKeys) -> Bool {
    let answer = responder.current ?? .zeros
    return [initiator.current ?? .zeros, initiator.other].contains { $0?.isSame(as: answer) == true }
}

/// Two files, and the words between them in any order.
private struct Walk {
    var ends = [PresharedKeys(current: .zeros), PresharedKeys(current: .zeros)]
    private var words: [(to: Int, RotateRecord)] = []

    mutating func step(_ what: Int) {
        let end = what & 1
        switch what >> 1 {
        case 0:
            if !ends[end].isChanging, !ends[1 - end].isChanging {
                words = []
                ends[end].next = .generate()
            }
        case 1, 2: say(end)
        case 3: if !words.isEmpty { hear(words.removeFirst()) }
        case 4: if !words.isEmpty { hear(words.removeLast()) }
        default: if !words.isEmpty { words.removeFirst() }
        }
        let (one, other) = (ends[0], ends[1])
        #expect(takes(one, other) && takes(other, one))
    }

    /// Everything is heard from now on.
    mutating func end() {
        for turn in 0..<40 {
            say(turn & 1)
            while !words.isEmpty { hear(words.removeFirst()) }
        }
    }

    private mutating func say(_ end: Int) {
        if let word = ends[end].toSay(stands: true) { words.append((1 - end, word)) }
    }

    private mutating func hear(_ word: (to: Int, record: RotateRecord)) {
        let (keys, answer) = ends[word.to].taking(word.record, stands: true, goesFirst: word.to == 0)
        if let keys { ends[word.to] = keys }
        if let answer { words.append((1 - word.to, answer)) }
    }
}
