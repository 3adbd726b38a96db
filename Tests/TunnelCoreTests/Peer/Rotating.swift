import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// Two ends with their files, and packets both ways all the time.
final class Rotating {
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

    private let keyExchange: KeyExchangePolicy

    init(old: PresharedKey?, keyExchange: KeyExchangePolicy = .off) {
        self.keyExchange = keyExchange
        files = (PresharedKeys(current: old), PresharedKeys(current: old))
        pair = Pair(both: Self.options(PresharedKeys(current: old), keyExchange))
        if keyExchange == .off { pair.connect() } else { link.run(for: .seconds(1)) }
        link.rule = { [unowned self] sighting in
            guard let payload = sighting.payload, payload.first == Record.Kind.rotate.rawValue,
                let step = RotateRecord.Step(rawValue: payload[1] & 0x0f)
            else { return .deliver }
            words.append(step)
            return fates[words.count - 1] ?? .deliver
        }
    }

    private static func options(_ keys: PresharedKeys, _ keyExchange: KeyExchangePolicy) -> Pair.Options {
        var options = Pair.Options(presharedKey: keys.current, compression: CompressionPolicy(.auto))
        options.otherPresharedKey = keys.other
        options.rotates = true
        options.keyExchange = keyExchange
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
            pair.restartAlice(Self.options(files.alice, keyExchange), seed: seed)
        } else {
            pair.restartBob(Self.options(files.bob, keyExchange), seed: seed)
        }
    }

    /// Whether the sessions of both ends are made with a key that both agreed on.
    var agreed: [Bool] { pair.agreed }

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
