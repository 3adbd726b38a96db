import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct KeyExchangeTests {
    // MARK: How it goes

    @Test("two ends that prefer it agree on a key at once, and a session with it follows at once")
    func prefer() {
        let pair = Pair(both: Pair.Options(keyExchange: .prefer))
        pair.meet()
        pair.link.run(for: .seconds(1))
        #expect(pair.agreed == [true, true])
        #expect(pair.keyNumbers[0] == pair.keyNumbers[1])
        #expect(pair.alice.isToldAgreed == [true] && pair.bob.isToldAgreed == [true])
        #expect(pair.bob.received == [udp(1, 2, payload: 32)])
        #expect(pair.link.sightings.filter { $0.bytes[0] == 1 }.count == 2)
    }

    @Test(
        "on a path that takes no time the session with the key is not refused as one too soon",
        arguments: [KeyExchangePolicy.prefer, .require])
    func short(_ policy: KeyExchangePolicy) {
        let pair = Pair(both: Pair.Options(keyExchange: policy), latency: Interval(nanoseconds: 50_000))
        pair.meet()
        pair.link.run(for: .milliseconds(200))
        #expect(pair.agreed == [true, true])
        #expect(pair.bob.received == [udp(1, 2, payload: 32)])
        #expect(pair.link.sightings.filter { $0.bytes[0] == 1 }.count == 2)
    }

    @Test("both large records have room in a datagram of 1280 bytes over IPv6")
    func sizes() {
        let pair = Pair(both: Pair.Options(keyExchange: .prefer))
        pair.meet()
        let sizes = pair.keyDatagrams.map(\.bytes.count)
        #expect(sizes == [1232, 1136, 48, 48])
        #expect(40 + 8 + 1232 <= 1280)
    }

    @Test("where the path takes no more, they go in fragments")
    func fragments() {
        let pair = Pair(both: Pair.Options(keyExchange: .require))
        for end in [pair.alice, pair.bob] { pair.link.change(end) { tunnel, _ in tunnel.mtu = 576 } }
        pair.meet()
        pair.link.run(for: .seconds(1))
        #expect(pair.agreed == [true, true])
        #expect(pair.link.sightings.allSatisfy { $0.bytes.count <= 576 + 32 })
        #expect(pair.bob.received == [udp(1, 2, payload: 32)])
    }

    @Test("what waits for the key goes as soon as a session with it stands", arguments: [true, false])
    func waits(isFrames: Bool) {
        let options = Pair.Options(mode: isFrames ? .frames(isHub: false) : .packets, keyExchange: .require)
        let pair = Pair(both: options)
        pair.guardPackets()
        pair.meet()
        pair.link.run(for: .seconds(1))
        #expect(pair.agreed == [true, true])
        #expect(pair.bob.received.count == 1)
    }

    @Test("with compression, and on the lane of AES, it is the same")
    func compressed() {
        let options = Pair.Options(
            compression: CompressionPolicy(.auto), cipher: .aes256gcm, keyExchange: .require)
        let pair = Pair(both: options)
        pair.guardPackets()
        for _ in 0..<20 {
            pair.link.send(udp(1, 2, payload: 200), from: pair.alice)
            pair.link.send(udp(2, 1, payload: 200), from: pair.bob)
            pair.link.run(for: .milliseconds(100))
        }
        #expect(pair.agreed == [true, true])
        #expect(pair.bob.received.count == 20)
        #expect(pair.alice.received.count == 20)
    }

    @Test("the key is replaced after its time, and no packet is lost then")
    func renewed() {
        let pair = Pair(both: Pair.Options(keyExchange: .require, keyExchangeRekey: .seconds(600)))
        pair.guardPackets()
        pair.meet()
        var numbers: Set<UInt64> = []
        for _ in 0..<2000 {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .seconds(1))
            if let number = pair.keyNumbers[0] { numbers.insert(number) }
        }
        #expect(pair.bob.received.count == 2001)
        #expect((3...4).contains(numbers.count))
    }

    // MARK: With others

    @Test("an end that is not asked to sends nothing of it, and is sent nothing", arguments: [true, false])
    func oneEndAlone(isAlice: Bool) {
        let with = Pair.Options(compression: CompressionPolicy(.auto), keyExchange: .prefer)
        let without = Pair.Options(compression: CompressionPolicy(.auto))
        let pair = Pair(alice: isAlice ? with : without, bob: isAlice ? without : with)
        pair.meet()
        pair.link.run(for: .seconds(130))
        #expect(pair.keyDatagrams.isEmpty)
        #expect(pair.agreed == [false, false])
        #expect(pair.bob.received.count == 1)
    }

    @Test("what is demanded of a peer that takes no part is said once, and no packet passes")
    func refused() {
        for compression in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(
                alice: Pair.Options(keyExchange: .require), bob: Pair.Options(compression: compression))
            for _ in 0..<400 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.send(udp(2, 1, payload: 32), from: pair.bob)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.bob.received.isEmpty)
            #expect(pair.alice.received.isEmpty)
            #expect(pair.alice.events.count { if case .keyExchangeRefused = $0 { true } else { false } } == 1)
            #expect(pair.alice.drops(.keyExchange, of: pair.bob) > 300)
        }
    }

    // MARK: Bad input

    @Test("records of another length or form, or at the wrong time, are dropped and change nothing")
    func malformed() {
        let pair = Pair(both: Pair.Options(keyExchange: .prefer))
        pair.meet()
        pair.link.run(for: .seconds(1))
        let before = pair.keyNumbers
        let wrong: [(UInt8, Int)] = [
            (0, 0), (0, 1195), (0, 1197), (1, 1099), (1, 1101), (2, 7), (2, 9), (3, 0), (4, 8), (255, 8),
        ]
        for (form, length) in wrong {
            #expect(pair.deliver(record(form, [UInt8](repeating: 1, count: length))) == [.record])
        }
        // A ciphertext for no exchange, an answer to no question.
        #expect(pair.deliver(record(1, [UInt8](repeating: 1, count: 1100))) == [.record])
        #expect(pair.deliver(record(3, [UInt8](repeating: 1, count: 8))) == [.record])
        pair.link.run(for: .seconds(1))
        #expect(pair.keyNumbers == before)
        #expect(pair.agreed == [true, true])
    }

    @Test("an encapsulation key that is not reduced is not answered, and a flood of good ones slowly")
    func flood() {
        let pair = Pair(both: Pair.Options(keyExchange: .prefer))
        pair.meet()
        pair.link.run(for: .seconds(1))
        pair.forget()
        let dropped = pair.bob.drops(.record, of: pair.alice)
        pair.deliver(record(0, [1, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0xff, count: 1184)))
        pair.link.run(for: .seconds(1))
        #expect(pair.keyDatagrams.isEmpty)
        #expect(pair.bob.drops(.record, of: pair.alice) == dropped + 1)
        var randomness = Randomness(seed: 5)
        var refused = 0
        for number in UInt8(2)..<102 {
            var seed: MLKEM768.Seed = randomness.bytes()
            let key = MLKEM768.DecapsulationKey(consuming: &seed).encapsulationKey
            let reasons = pair.deliver(record(0, [number, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + key))
            if reasons == [.budget] { refused += 1 }
            pair.link.run(for: .milliseconds(10))
        }
        #expect(refused >= 90)
        #expect(pair.keyDatagrams.count <= 10)
        // The keys that came of them are used for nothing.
        pair.link.run(for: .seconds(130))
        pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
        pair.link.run(for: .seconds(11))
        #expect(pair.agreed == [true, true])
    }

    @Test("a ciphertext that opens to something else leads to no key, and the exchange begins again")
    func implicitRejection() {
        let pair = Pair(both: Pair.Options(keyExchange: .require))
        pair.guardPackets()
        // Bob's answers are of another key: his is exchanged for one of the same form.
        var hasChanged = false
        pair.link.rule = { sighting in
            guard !hasChanged, let payload = sighting.payload, payload.starts(with: [0x1f, 1]) else { return .deliver }
            hasChanged = true
            var other = payload
            other[100] ^= 1
            guard let changed = pair.bob.seal(other, to: pair.alice) else { return .drop }
            return .replace(changed)
        }
        pair.meet()
        pair.link.run(for: .seconds(12))
        #expect(hasChanged)
        #expect(pair.agreed == [true, true])
        #expect(pair.bob.received.count == 1)
    }

    @Test("who drops these records downgrades those that prefer it, visibly, and stops those that demand it")
    func downgrade() {
        for policy in [KeyExchangePolicy.prefer, .require] {
            let pair = Pair(both: Pair.Options(keyExchange: policy))
            pair.link.rule = { $0.bytes.count == 1232 || $0.bytes.count == 1136 ? .drop : .deliver }
            for _ in 0..<600 {
                pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
                pair.link.run(for: .seconds(1))
            }
            #expect(pair.agreed == [false, false])
            #expect(pair.alice.statistics(of: pair.bob)?.keyExchange?.isAgreed == false)
            #expect(pair.bob.received.count == (policy == .prefer ? 600 : 0))
            let bytes = pair.keyDatagrams.reduce(0) { $0 + $1.bytes.count + 28 }
            #expect(bytes * 8 < 600 * 1000)
        }
    }

    // MARK: What it costs

    @Test("a day with a loss of one in a hundred costs less than 0.2 kbit/s")
    func day() {
        let pair = Pair(both: Pair.Options(keyExchange: .require))
        pair.guardPackets(loss: 100)
        pair.link.listens = false
        var bytes = 0
        let rule = pair.link.rule
        pair.link.rule = { sighting in
            if let payload = sighting.payload, payload.first == 0x1f { bytes += sighting.bytes.count + 28 }
            return rule(sighting)
        }
        let seconds = 24 * 3600
        for _ in stride(from: 0, to: seconds, by: 10) {
            pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
            pair.link.run(for: .seconds(10))
        }
        let rate = Double(bytes * 8) / Double(seconds)
        print("a day at 1 % loss: \(bytes) bytes of KEYS, \(rate) bit/s")
        #expect(rate < 200)
        #expect(pair.agreed == [true, true])
        #expect(pair.bob.received.count > seconds / 10 * 97 / 100)
    }

    private func record(_ form: UInt8, _ body: [UInt8]) -> [UInt8] {
        [0x1f, form, UInt8(body.count & 255), UInt8(body.count >> 8)] + body
    }
}
