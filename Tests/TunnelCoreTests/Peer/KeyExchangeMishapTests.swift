import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// Two ends that agree on keys, whatever happens on the way.
@Suite struct KeyExchangeMishapTests {
    /// What happens as a datagram of some number leaves.
    enum Mishap: CaseIterable {
        case loss, duplicate, delay, restartAlice, restartBob, roamAlice, roamBob, renewAlice, renewBob
    }

    @Test(
        "whatever happens at whichever datagram, a session follows, and never a packet without the key",
        arguments: Mishap.allCases, [true, false])
    func mishaps(_ mishap: Mishap, areBoth: Bool) {
        for number in 0..<24 {
            let trial = Trial(areBoth: areBoth)
            trial.plan[number] = mishap
            trial.run()
            #expect(trial.problem == nil, "\(mishap) at \(number): \(trial.problem ?? "")")
        }
    }

    @Test("the same for the loss of one datagram and the restart of an end at another", arguments: 0..<16)
    func twoMishaps(lost: Int) {
        for number in 0..<20 where number != lost {
            for mishap in [Mishap.restartAlice, .restartBob, .loss] {
                let trial = Trial(areBoth: false)
                trial.plan[lost] = .loss
                trial.plan[number] = mishap
                trial.run()
                #expect(trial.problem == nil, "loss at \(lost), \(mishap) at \(number): \(trial.problem ?? "")")
            }
        }
    }

    @Test("an end that starts anew while both use a key is reached again", arguments: [true, false])
    func restartLater(isAlice: Bool) {
        for asks in [true, false] {
            let options = Pair.Options(keyExchange: .require)
            var pair = Pair(both: options)
            pair.guardPackets()
            pair.meet()
            pair.link.run(for: .seconds(20))
            if isAlice { pair.restartAlice(options) } else { pair.restartBob(options) }
            pair.guardPackets()
            pair.forget()
            let sender = asks == isAlice ? pair.alice : pair.bob
            let receiver = sender === pair.alice ? pair.bob : pair.alice
            // The other end notices after fifteen seconds without an answer.
            for _ in 0..<28 {
                let packet = sender === pair.alice ? udp(1, 2, payload: 32) : udp(2, 1, payload: 32)
                pair.link.send(packet, from: sender)
                pair.link.run(for: .seconds(1))
            }
            #expect(!receiver.received.isEmpty)
            #expect(pair.agreed == [true, true])
        }
    }
}

/// One run of two ends that demand the key, with something that happens as datagrams of some numbers leave.
private final class Trial {
    private var pair: Pair
    private let options = Pair.Options(keyExchange: .require)
    private let areBoth: Bool
    var plan: [Int: KeyExchangeMishapTests.Mishap] = [:]
    private var count = 0
    private var due: [KeyExchangeMishapTests.Mishap] = []
    private(set) var problem: String?

    init(areBoth: Bool) {
        pair = Pair(both: options)
        self.areBoth = areBoth
    }

    func run() {
        pair.link.rule = { [unowned self] in decide($0) }
        send()
        for _ in 0..<30 {
            pair.link.run(for: .milliseconds(100))
            happen()
        }
        // Fifteen seconds until an end notices that the other is another process; then two periods of five seconds and a little.
        for _ in 0..<27 {
            send()
            pair.link.run(for: .seconds(1))
            happen()
        }
        guard problem == nil else { return }
        plan = [:]
        pair.forget()
        send()
        pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
        pair.link.run(for: .seconds(1))
        if pair.bob.received.isEmpty || pair.alice.received.isEmpty { problem = "no session" }
        if pair.agreed != [true, true] { problem = "no key: \(pair.agreed)" }
    }

    private func send() {
        pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
        if areBoth { pair.link.send(udp(2, 1, payload: 32), from: pair.bob) }
    }

    private func decide(_ sighting: Sighting) -> Link.Fate {
        if pair.isUnguarded(sighting) { problem = "a packet without the key" }
        defer { count += 1 }
        switch plan[count] {
        case nil: return .deliver
        case .loss: return .drop
        case .duplicate: return .duplicate
        case .delay: return .delay(.milliseconds(700))
        case .some(let other):
            due.append(other)
            return .deliver
        }
    }

    private func happen() {
        for mishap in due {
            switch mishap {
            case .restartAlice: pair.restartAlice(options, seed: UInt64(1000 + count))
            case .restartBob: pair.restartBob(options, seed: UInt64(1000 + count))
            case .roamAlice:
                pair.alice.endpoint = Endpoint(.v4(0xc633_6401), port: 4000)
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            case .roamBob:
                // It says so, or nobody would know.
                pair.bob.endpoint = Endpoint(.v4(0xc633_6402), port: 4000)
                pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
            case .renewAlice: renew(pair.alice, pair.bob)
            case .renewBob: renew(pair.bob, pair.alice)
            case .loss, .duplicate, .delay: break
            }
        }
        due = []
    }

    private func renew(_ end: End, _ other: End) {
        pair.link.change(end) { tunnel, now in
            guard let slot = tunnel.peers.slot(of: other.publicKey) else { return }
            tunnel.services.now = now
            tunnel.peers[slot].handshaking.allowAtOnce()
            tunnel.peers[slot].startHandshake(&tunnel.services)
        }
    }
}
