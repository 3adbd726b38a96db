import BasicContainers
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite("The lane for AES-256-GCM")
struct CipherLaneTests {
    @Test("two ends that want it seal their data with it, both ways, compressed or not")
    func bothWant() {
        for compression in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(both: Pair.Options(compression: compression, cipher: .auto))
            pair.connect()
            let packets = (0..<200).map { udp(1, 2, text(10 + $0 * 6)) }
            for packet in packets { pair.link.send(packet, from: pair.alice) }
            pair.link.send(udp(2, 1, text(900)), from: pair.bob)
            pair.link.drain()
            #expect(pair.bob.received == packets)
            #expect(pair.alice.received == [udp(2, 1, text(900))])
            #expect(pair.cipher(of: pair.alice) == .aes256gcm)
            #expect(pair.cipher(of: pair.bob) == .aes256gcm)
            let indices = Set(pair.link.sightings.data.sent(by: pair.alice).map(\.receiver))
            #expect(indices == [pair.lane(of: pair.bob, .aes256gcm)])
        }
    }

    @Test("the second lane counts from zero, and WireGuard's goes on beside it")
    func counters() {
        let pair = Pair(both: Pair.Options(cipher: .auto))
        pair.connect()
        for number in 0..<10 { pair.link.send(udp(1, 2, payload: 20 + number), from: pair.alice) }
        pair.link.drain()
        let sealed = pair.link.sightings.data.sent(by: pair.alice)
        #expect(sealed.map(\.counter) == (0..<10).map { UInt64($0) })
    }

    @Test(
        "an end that lacks the instructions, or does not ask for it, gets ChaCha20-Poly1305",
        arguments: [
            Pair.Options(cipher: .auto, hasAES: false), Pair.Options(cipher: .chacha20poly1305),
            Pair.Options(compression: CompressionPolicy(.auto)),
        ])
    func fallback(other: Pair.Options) {
        for (first, second) in [(Pair.Options(cipher: .auto), other), (other, Pair.Options(cipher: .auto))] {
            let pair = Pair(alice: first, bob: second)
            pair.connect()
            pair.link.send(udp(1, 2, payload: 500), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 500), from: pair.bob)
            pair.link.drain()
            #expect(pair.bob.received.count == 1)
            #expect(pair.alice.received.count == 1)
            #expect(pair.cipher(of: pair.alice) == .chacha20poly1305)
            #expect(pair.cipher(of: pair.bob) == .chacha20poly1305)
        }
    }

    @Test("where it is demanded, packets wait for the peer's HELLO and then go over it in order")
    func demanded() {
        let pair = Pair(both: Pair.Options(cipher: .aes256gcm))
        let packets = (0..<20).map { udp(1, 2, payload: 30 + $0) }
        for packet in packets { pair.link.send(packet, from: pair.alice) }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == packets)
        #expect(pair.link.sightings.data.allSatisfy { $0.receiver == pair.lane(of: pair.bob, .aes256gcm) })
    }

    @Test("where it is demanded and the peer can't, nothing is sent, and it is said and counted")
    func refused() {
        let pair = Pair(
            alice: Pair.Options(cipher: .aes256gcm), bob: Pair.Options(compression: CompressionPolicy(.auto)))
        pair.link.send(udp(1, 2, payload: 100), from: pair.alice)
        pair.link.run(for: .seconds(1))
        pair.link.send(udp(1, 2, payload: 100), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.isEmpty)
        #expect(pair.alice.events.contains(.cipherRefused(pair.bob.publicKey)))
        let drops = pair.alice.tunnel.statistics().peers[0].drops[.staged]
        #expect(drops >= 1)
    }

    @Test("a message on it that is changed, or comes twice, is dropped and counted")
    func forged() {
        let pair = Pair(both: Pair.Options(cipher: .auto))
        pair.connect()
        pair.link.send(udp(1, 2, payload: 100), from: pair.alice)
        pair.link.drain()
        guard let sighting = pair.link.sightings.data.last else { return #expect(Bool(false), "nothing was sent") }
        pair.forget()
        for position in 8..<sighting.bytes.count {
            var changed = sighting.bytes
            changed[position] ^= 0x10
            pair.link.deliver(changed, to: pair.bob, from: sighting.from)
        }
        pair.link.deliver(sighting.bytes, to: pair.bob, from: sighting.from)
        pair.link.drain()
        #expect(pair.bob.received.isEmpty)
        let drops = pair.bob.tunnel.statistics().peers[0].drops
        #expect(drops[.authentication] == UInt64(sighting.bytes.count - 8))
        #expect(drops[.replay] == 1)
    }

    @Test("after 2^32 messages a new session is asked for, and data goes on without loss")
    func usedUp() {
        let pair = Pair(both: Pair.Options(cipher: .auto))
        pair.connect()
        pair.link.run(for: .seconds(6))
        guard let session = pair.alice.sessions(with: pair.bob.publicKey).first else {
            return #expect(Bool(false), "there is no session")
        }
        pair.alice.tunnel.services.sessions[session].aes.sendCounter = Limits.aesRekeyAfterMessages + 1
        pair.forget()
        for _ in 0..<5 {
            pair.link.send(udp(1, 2, payload: 40), from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        #expect(pair.link.sightings.initiations.count == 1)
        #expect(pair.bob.received.count == 5)
        #expect((pair.link.sightings.data.last?.counter ?? .max) < 10)
    }
}

extension Pair {
    /// What an end seals data with now.
    fileprivate func cipher(of end: End) -> CipherSuite? { end.tunnel.statistics().peers.first?.cipher }

    /// The index by which an end knows a lane of its current session.
    fileprivate func lane(of end: End, _ suite: CipherSuite) -> UInt32? {
        guard let peer = end.tunnel.peers.all.first else { return nil }
        guard let session = end.tunnel.peers[peer].keypairs.current else { return nil }
        return end.tunnel.services.sessions[session][suite].localIndex?.rawValue
    }
}
