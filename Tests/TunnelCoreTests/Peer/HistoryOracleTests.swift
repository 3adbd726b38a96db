import Testing

@testable import TestKit
@testable import TunnelCore

/// What the lengths of units with a dictionary give away of another flow (docs/security.md): the attacker sends in a flow of his own between the
/// same two hosts, and sees the datagrams outside.
@Suite struct HistoryOracleTests {
    @Test(
        "a flow becomes no shorter by what another one said, by flow; by hosts, who can send and see lengths finds the secret of another",
        arguments: [.flow, .hosts] as [HistoryScope])
    func oracle(scope: HistoryScope) {
        var noise = Noise(seed: 11)
        let tokens = (0..<8).map { _ in
            String((0..<20).map { _ in "0123456789abcdef".randomElement(using: &noise) ?? "0" })
        }
        let secret = tokens[5]
        let beside = tokens.map { cost(of: $0, beside: secret, scope) }
        // What it would be beside something else, which the attacker can try at home.
        let alone = tokens.map { cost(of: $0, beside: "nothing of the kind", scope) }
        if scope == .flow {
            #expect(beside == alone)
        } else {
            let found = tokens.indices.filter { beside[$0] < alone[$0] }
            #expect(found == [5])
        }
    }

    @Test(
        "by hosts, who can send and see lengths reads the secret of another flow letter by letter; by flow every letter looks the same",
        arguments: [.flow, .hosts] as [HistoryScope])
    func letters(scope: HistoryScope) {
        let secret = "c4a17e09"
        let attack = Attack(on: secret, scope)
        var found = ""
        while found.count < secret.count, let letter = attack.letter(after: found) { found.append(letter) }
        #expect(found == (scope == .hosts ? secret : ""))
        // Guessing it whole would take two thousand million.
        #expect(attack.guesses < 1000)
    }

    // MARK: Helpers

    /// The bytes that a guess of the attacker's flow takes after a victim's has sent its secret.
    private func cost(of guess: String, beside secret: String, _ scope: HistoryScope) -> UInt64 {
        let pair = thin(scope)
        func send(_ port: UInt16, _ text: String) {
            pair.link.send(udp(1, 2, Array(text.utf8), port: port), from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        for number in 0..<8 {
            send(5000, "GET /victim/\(number) HTTP/1.1 Host: intranet Cookie: token=\(secret) Accept: everything")
            send(5001, "GET /attacker/\(number) HTTP/1.1 Host: intranet Cookie: token=\(number) Accept: everything")
        }
        let before = pair.alice.statistics(of: pair.bob)?.traffic.sent.wire ?? 0
        send(5001, "GET /attacker/9 HTTP/1.1 Host: intranet Cookie: token=\(guess) Accept: everything")
        return (pair.alice.statistics(of: pair.bob)?.traffic.sent.wire ?? 0) - before
    }
}

private func thin(_ scope: HistoryScope) -> Pair {
    var options = Pair.Options(compression: CompressionPolicy(.auto), history: true)
    options.historyScope = scope
    let pair = Pair(both: options)
    pair.connect()
    pair.link.run(for: .seconds(1))
    pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(2_000_000, of: pair.bob.publicKey, at: now) }
    return pair
}

/// One that knows what the victim says but for its secret, and says the same with a guess in a flow of his own. Between two guesses he waits until
/// nothing is known of the last one.
private final class Attack {
    private static let letters = Array("0123456789abcdef")
    private let pair: Pair
    private let secret: String
    private(set) var guesses = 0

    init(on secret: String, _ scope: HistoryScope) {
        self.secret = secret
        pair = thin(scope)
    }

    /// The next letter; `nil`: all look the same, or several as if they were right, whatever stands around them.
    func letter(after known: String) -> Character? {
        for variant in 0..<8 {
            // With a letter that there is not: where one byte more takes sixteen more on the wire.
            var filler = 1
            var wrong = size(of: known + "-", filler, variant)
            repeat {
                let before = wrong
                filler += 1
                wrong = size(of: known + "-", filler, variant)
                if wrong > before { break }
            } while filler < 20
            let right = Self.letters.filter { size(of: known + String($0), filler, variant) < wrong }
            if right.count == 1 { return right[0] }
        }
        return nil
    }

    /// The bytes on the wire that a guess takes, with so many bytes behind it that nobody has said before.
    private func size(of guess: String, _ filler: Int, _ variant: Int) -> Int {
        guesses += 1
        pair.link.run(for: .seconds(41))
        // A session that is new is to be in use.
        for number in 0..<3 {
            send("knock \(number)", 9)
            pair.link.run(for: .seconds(1))
        }
        for number in 0..<4 {
            send("GET /inbox/\(number) HTTP/1.1 Host: intranet Cookie: token=\(secret) Accept: everything", 5000)
        }
        var noise = Noise(seed: UInt64(variant))
        let rest = String((0..<filler).map { _ in Character(UnicodeScalar(UInt8(0x21 + noise.next() % 15))) })
        let before = pair.link.sightings.count
        // More or less in front moves what is coded by some bits.
        send("\("1.1 Host: intranet Cookie: token=".dropFirst(variant))\(guess)\(rest)", 5001)
        let sent = pair.link.sightings[before...].filter { $0.from == pair.alice.endpoint && $0.isTransport }
        return sent.map(\.bytes.count).max() ?? 0
    }

    private func send(_ text: String, _ port: UInt16) {
        pair.link.send(udp(1, 2, Array(text.utf8), port: port), from: pair.alice)
        pair.link.run(for: .milliseconds(100))
    }
}
