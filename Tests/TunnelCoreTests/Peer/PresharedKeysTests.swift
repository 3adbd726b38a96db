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

/// Two ends with their files, and packets both ways all the time.
private final class Rotating {
    struct Restart {
        /// The word that is on its way then.
        let word: Int
        let isAlice: Bool
        /// It ends before it has heard it.
        let isBefore: Bool
    }

    private var pair: Pair
    var files: (alice: PresharedKeys, bob: PresharedKeys)
    /// What becomes of the words, by their number.
    var fates: [Int: Link.Fate] = [:]
    var restart: Restart?
    var bobFails = false
    var isIdle = false
    private(set) var words: [RotateRecord.Step] = []
    private var sent = 0
    private var taken = 0
    private var seed: UInt64 = 100

    var link: Link { pair.link }
    var alice: End { pair.alice }
    var bob: End { pair.bob }
    var lost: Int { sent - taken }

    init(old: PresharedKey?) {
        files = (PresharedKeys(current: old), PresharedKeys(current: old))
        pair = Pair(both: Self.options(PresharedKeys(current: old)))
        pair.connect()
        link.rule = { [unowned self] sighting in
            guard let payload = sighting.payload, payload.first == Record.Kind.rotate.rawValue,
                let step = RotateRecord.Step(rawValue: payload[1] & 0x0f)
            else { return .deliver }
            words.append(step)
            return fates[words.count - 1] ?? .deliver
        }
    }

    private static func options(_ keys: PresharedKeys) -> Pair.Options {
        var options = Pair.Options(presharedKey: keys.current, compression: CompressionPolicy(.auto))
        options.otherPresharedKey = keys.other
        options.rotates = true
        return options
    }

    func begin(at end: End) {
        write(end) { $0.next = .generate() }
        say(end)
    }

    private func keys(of end: End) -> PresharedKeys { end === alice ? files.alice : files.bob }

    private func write(_ end: End, _ change: (inout PresharedKeys) -> Void) {
        if end === alice { change(&files.alice) } else { change(&files.bob) }
        let (keys, other) = (keys(of: end), end === alice ? bob : alice)
        link.change(end) { tunnel, now in
            tunnel.services.now = now
            tunnel.setPresharedKey(keys.current, other: keys.other, of: other.publicKey)
        }
    }

    private func say(_ end: End) {
        let (keys, other) = (keys(of: end), end === alice ? bob : alice)
        link.change(end) { tunnel, now in
            let stands = tunnel.keysStand(with: other.publicKey)
            if let word = keys.toSay(stands: stands) {
                _ = tunnel.rotate(word, with: other.publicKey, at: now)
            } else if keys.isChanging, !stands {
                tunnel.renewSession(with: other.publicKey, at: now)
            }
        }
    }

    func run(seconds: Int) {
        for tenth in 0..<seconds * 10 {
            exchange()
            if tenth % 10 == 9 {
                say(alice)
                say(bob)
            }
        }
    }

    /// A tenth of a second with a packet each way.
    private func exchange() {
        if !isIdle {
            link.send(udp(1, 2, payload: 32), from: alice)
            link.send(udp(2, 1, payload: 32), from: bob)
            sent += 2
        }
        for _ in 0..<10 {
            link.run(for: .milliseconds(10))
            hear(alice)
            hear(bob)
        }
        link.run(for: .milliseconds(20))
        taken += alice.received.count + bob.received.count
        alice.received = []
        bob.received = []
    }

    private func hear(_ end: End) {
        let events = end.events
        end.events = []
        for case .rotation(let key, let record) in events {
            if let restart, words.count == restart.word + 1, restart.isBefore {
                self.restart = nil
                begin(anew: restart.isAlice)
                guard end === alice || end === bob else { return }
            }
            take(record, from: key, at: end)
            if let restart, words.count >= restart.word + 1 {
                self.restart = nil
                begin(anew: restart.isAlice)
                return
            }
        }
    }

    private func take(_ record: RotateRecord, from key: PublicKey, at end: End) {
        let stands = end.tunnel.keysStand(with: key)
        let (keys, answer) = keys(of: end).taking(
            record, stands: stands, goesFirst: end.publicKey.description < key.description)
        let fails = bobFails && end === bob && keys != nil
        if let keys, !fails { write(end) { $0 = keys } }
        let said = fails ? RotateRecord(record.subject, .refused, record.key) : answer
        link.change(end) { tunnel, now in
            if let said { _ = tunnel.rotate(said, with: key, at: now) }
            if record.step == .holds, keys?.previous != nil { tunnel.renewSession(with: key, at: now) }
        }
    }

    private func begin(anew isAlice: Bool) {
        seed += 1
        if isAlice {
            pair.restartAlice(Self.options(files.alice), seed: seed)
        } else {
            pair.restartBob(Self.options(files.bob), seed: seed)
        }
    }

    func expectDone() {
        let isSame = files.alice.current?.isSame(as: files.bob.current ?? .zeros) ?? false
        #expect(isSame)
        #expect(!files.alice.isChanging && !files.bob.isChanging)
    }

    /// Whichever end asks for a session gets it from the first answer.
    func expectAnswers() {
        for (end, other) in [(alice, bob), (bob, alice)] {
            end.events = []
            link.change(end) { tunnel, now in
                tunnel.renewSession(with: other.publicKey, at: now)
                if tunnel.rotate(nil, with: other.publicKey, at: now) == .noSession { return }
            }
            link.run(for: .milliseconds(500))
            let events = end.events
            let isDone = events.contains { if case .handshakeDone(_, _, initiator: true) = $0 { true } else { false } }
            let hasFailed = events.contains { if case .handshakeFailed = $0 { true } else { false } }
            #expect(isDone && !hasFailed)
            hear(end)
            hear(other)
        }
    }
}
