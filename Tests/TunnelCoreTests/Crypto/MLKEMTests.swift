import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct MLKEMTests {
    @Test("both ends come to the same secret, of the sizes of FIPS 203")
    func same() {
        let (key, publicKey) = Self.pair(1)
        #expect(publicKey.count == 1184)
        guard let made = MLKEM768.encapsulate(for: publicKey.span) else {
            Issue.record("no secret")
            return
        }
        #expect(made.ciphertext.count == 1088)
        guard let opened = key.decapsulate(made.ciphertext.span) else {
            Issue.record("no secret")
            return
        }
        #expect(Self.hex(opened) == Self.hex(made.shared))
    }

    @Test("a ciphertext with a bit changed opens to another secret, the same each time")
    func implicitRejection() {
        let (key, publicKey) = Self.pair(2)
        guard let made = MLKEM768.encapsulate(for: publicKey.span) else {
            Issue.record("no secret")
            return
        }
        var changed = made.ciphertext
        changed[500] ^= 4
        guard let first = key.decapsulate(changed.span) else {
            Issue.record("no secret")
            return
        }
        guard let second = key.decapsulate(changed.span) else {
            Issue.record("no secret")
            return
        }
        #expect(Self.hex(first) == Self.hex(second))
        #expect(Self.hex(first) != Self.hex(made.shared))
    }

    @Test("a key of another length, or one that is not reduced, is none")
    func refused() {
        let (key, publicKey) = Self.pair(3)
        let isShort = MLKEM768.encapsulate(for: publicKey.span.extracting(0..<1183)) == nil
        #expect(isShort)
        let unreduced = [0xff, 0xff] + publicKey.dropFirst(2)
        let isUnreduced = MLKEM768.encapsulate(for: unreduced.span) == nil
        #expect(isUnreduced)
        let ciphertext = [UInt8](repeating: 1, count: 1087)
        let isOpened = key.decapsulate(ciphertext.span) != nil
        #expect(!isOpened)
    }

    private static func pair(_ number: UInt64) -> (MLKEM768.DecapsulationKey, [UInt8]) {
        var randomness = Randomness(seed: number)
        var seed: MLKEM768.Seed = randomness.bytes()
        let key = MLKEM768.DecapsulationKey(consuming: &seed)
        return (key, key.encapsulationKey)
    }

    private static func hex(_ bytes: Bytes32) -> [UInt8] { bytes.indices.map { bytes[$0] } }
}
