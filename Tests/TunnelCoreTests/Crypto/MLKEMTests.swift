import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct MLKEMTests {
    @Test("both ends come to the same secret, of the sizes of FIPS 203")
    func same() {
        let (key, publicKey) = Self.pair(1)
        #expect(publicKey.count == 1184)
        let (ciphertext, made) = Self.encapsulate(publicKey)
        #expect(ciphertext?.count == 1088)
        #expect(made != nil && Self.decapsulate(ciphertext ?? [], key) == made)
        // Each time another one.
        #expect(Self.encapsulate(publicKey).secret != made)
    }

    @Test("a ciphertext with a bit changed opens to another secret, the same each time")
    func implicitRejection() {
        let (key, publicKey) = Self.pair(2)
        let (ciphertext, made) = Self.encapsulate(publicKey)
        var changed = ciphertext ?? []
        changed[500] ^= 4
        let first = Self.decapsulate(changed, key)
        #expect(first != nil && first == Self.decapsulate(changed, key))
        #expect(first != made)
    }

    @Test("a key of another length, or one that is not reduced, is none")
    func refused() {
        let (key, publicKey) = Self.pair(3)
        #expect(Self.encapsulate(Array(publicKey.dropLast())).ciphertext == nil)
        #expect(Self.encapsulate(publicKey + [0]).ciphertext == nil)
        #expect(Self.encapsulate([0xff, 0xff] + publicKey.dropFirst(2)).ciphertext == nil)
        // 3329 is the first number that is none.
        #expect(Self.encapsulate([0x01, 0x0d] + publicKey.dropFirst(2)).ciphertext == nil)
        #expect(Self.encapsulate([0x00, 0x0d] + publicKey.dropFirst(2)).ciphertext != nil)
        #expect(Self.decapsulate([UInt8](repeating: 1, count: 1087), key) == nil)
        #expect(Self.decapsulate([UInt8](repeating: 1, count: 1089), key) == nil)
    }

    private static func pair(_ number: UInt64) -> (MLKEM768.DecapsulationKey, [UInt8]) {
        var randomness = Randomness(seed: number)
        var seed: MLKEM768.Seed = randomness.bytes()
        let key = MLKEM768.DecapsulationKey(consuming: &seed)
        return (key, key.encapsulationKey)
    }

    private static func encapsulate(_ publicKey: [UInt8]) -> (ciphertext: [UInt8]?, secret: [UInt8]?) {
        var shared = Bytes32(repeating: 0)
        let ciphertext = MLKEM768.encapsulate(for: publicKey.span, into: &shared)
        return (ciphertext, ciphertext == nil ? nil : shared.indices.map { shared[$0] })
    }

    private static func decapsulate(_ ciphertext: [UInt8], _ key: MLKEM768.DecapsulationKey) -> [UInt8]? {
        var shared = Bytes32(repeating: 0)
        let isDone = key.decapsulate(ciphertext.span, into: &shared)
        return isDone ? shared.indices.map { shared[$0] } : nil
    }
}
