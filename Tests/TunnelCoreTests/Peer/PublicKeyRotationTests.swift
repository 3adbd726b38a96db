import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// An end goes over to another private key, of which the other has been told (docs/protocol.md §3.13).
@Suite struct PublicKeyRotationTests {
    private let new = PrivateKey.generate()

    private func meet() -> Pair {
        let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.auto), rotates: true))
        pair.connect()
        pair.link.change(pair.bob) { tunnel, _ in tunnel.setNextPublicKey(new.publicKey, of: pair.alice.publicKey) }
        return pair
    }

    /// Packets both ways for so many seconds; how many got lost.
    private func exchange(_ pair: Pair, seconds: Int) -> Int {
        pair.alice.received = []
        pair.bob.received = []
        for _ in 0..<seconds * 10 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
            pair.link.run(for: .milliseconds(100))
        }
        return seconds * 20 - pair.alice.received.count - pair.bob.received.count
    }

    private func changeOver(_ pair: Pair) {
        pair.link.change(pair.alice) { tunnel, now in tunnel.changePrivateKey(to: new, at: now) }
        pair.alice.key = new
    }

    private func isShown(_ pair: Pair, _ old: PublicKey) -> Bool {
        pair.bob.events.contains(.rotation(old, RotateRecord(.publicKey, .done, new.publicKey.bytes)))
    }

    @Test("sessions go on, one with the new key follows, and nothing is lost")
    func changed() {
        let pair = meet()
        let old = pair.alice.publicKey
        #expect(exchange(pair, seconds: 2) == 0 && !isShown(pair, old))
        changeOver(pair)
        #expect(exchange(pair, seconds: 2) == 0 && isShown(pair, old))
        pair.link.change(pair.bob) { tunnel, _ in
            let wrong = tunnel.rename(old, to: old)
            let right = tunnel.rename(old, to: new.publicKey)
            #expect(!wrong && right && !tunnel.hasPeer(old) && tunnel.hasPeer(new.publicKey))
        }
        // New sessions from both ends, for half an hour.
        #expect(exchange(pair, seconds: 1800) == 0)
        #expect(pair.bob.statistics(of: pair.alice)?.handshakes ?? 0 >= 10)
    }

    @Test("initiations of the old key and of the new one are answered until the new one is the peer's")
    func both() {
        let pair = meet()
        for _ in 0..<3 {
            pair.link.change(pair.alice) { tunnel, now in tunnel.renewSession(with: pair.bob.publicKey, at: now) }
            #expect(exchange(pair, seconds: 6) == 0)
        }
        #expect(pair.alice.handshakesDone + pair.bob.handshakesDone >= 6)
        changeOver(pair)
        for _ in 0..<3 { #expect(exchange(pair, seconds: 200) == 0) }
    }

    @Test("an end that was told, and has no session, finds the other by either key")
    func begunAnew() {
        for hasChanged in [false, true] {
            var pair = meet()
            let old = pair.alice.publicKey
            if hasChanged { changeOver(pair) }
            var options = Pair.Options(compression: CompressionPolicy(.auto), rotates: true)
            options.knowsEndpoint = false
            pair.restartAlice(options)
            options.knowsEndpoint = true
            let key = pair.alice.key
            pair.alice.key = privateKey(1 << 8 + 1)
            pair.restartBob(options)
            pair.alice.key = key
            pair.link.change(pair.bob) { tunnel, _ in tunnel.setNextPublicKey(new.publicKey, of: old) }
            pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
            pair.link.run(for: .seconds(12))
            #expect(pair.bob.handshakesDone >= 1 && pair.alice.received.count >= 1, "\(hasChanged)")
            #expect(isShown(pair, old) == hasChanged)
        }
    }

    @Test("a key that is somebody's is nobody's next one")
    func taken() {
        let pair = meet()
        pair.link.change(pair.bob) { tunnel, _ in
            let other = PrivateKey.generate().publicKey
            _ = tunnel.addPeer(other)
            tunnel.setNextPublicKey(other, of: pair.alice.publicKey)
            let renamed = tunnel.rename(pair.alice.publicKey, to: other)
            tunnel.setNextPublicKey(pair.bob.publicKey, of: pair.alice.publicKey)
            let isSelf = tunnel.rename(pair.alice.publicKey, to: pair.bob.publicKey)
            #expect(!renamed && !isSelf)
        }
    }

    @Test("a peer's word that a key is in use is not enough")
    func word() {
        let pair = meet()
        let record = RotateRecord(.publicKey, .done, new.publicKey.bytes)
        pair.link.change(pair.alice) { tunnel, now in _ = tunnel.rotate(record, with: pair.bob.publicKey, at: now) }
        pair.link.run(for: .seconds(1))
        #expect(!isShown(pair, pair.alice.publicKey))
    }
}
