import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// ML-KEM-768 as others publish it (Tests/Vectors/ml-kem-768.md).
///
/// Two things that NIST's files have can't be asked of BoringSSL's interface: to encapsulate with a message that is given, and to take a
/// decapsulation key in its long form, of which its files have no seed. `Tests/System/page/test_kem.py` asks kyber-py for both, and
/// `test_page_keys.py` has kyber-py and this code open one another's ciphertexts. Here ciphertexts of Wycheproof's are opened, which has seeds.
@Suite struct MLKEMVectorTests {
    private static let values = Page.values(of: "Tests/Vectors/ml-kem-768.md")

    private static func value(_ name: String) -> [UInt8] { bytes(values[name] ?? "") }

    @Test("the encapsulation key of a seed is NIST's", arguments: 26...28)
    func keys(number: Int) {
        let key = Self.key(Self.value("keyGen \(number), d") + Self.value("keyGen \(number), z"))
        #expect(key.map { hex($0.encapsulationKey) } == Self.values["keyGen \(number), ek"])
    }

    @Test("a ciphertext for a seed opens to the secret that it should, rejected or not", arguments: 1...3)
    func seeded(number: Int) {
        let key = Self.key(Self.value("seeded \(number), seed"))
        #expect(key.map { hex($0.encapsulationKey) } == Self.values["seeded \(number), ek"])
        var shared = Bytes32(repeating: 0)
        let isDone = key?.decapsulate(Self.value("seeded \(number), c").span, into: &shared)
        #expect(isDone == true)
        #expect(hex(shared.indices.map { shared[$0] }) == Self.values["seeded \(number), K"])
    }

    @Test("a secret can be encapsulated for each of NIST's keys", arguments: 26...28)
    func encapsulation(number: Int) {
        var shared = Bytes32(repeating: 0)
        let ciphertext = MLKEM768.encapsulate(for: Self.value("encapsulation \(number), ek").span, into: &shared)
        #expect(ciphertext?.count == Self.value("encapsulation \(number), c").count)
    }

    @Test("the key that follows from an exchange is the one that docs/protocol.md quotes")
    func schedule() throws {
        let page = Page.values(of: "docs/protocol.md")
        func value(_ name: String) -> [UInt8] { bytes(page[name] ?? "") }
        func fixed(_ name: String) -> Bytes32 {
            let bytes = value(name)
            return Bytes32 { $0 < bytes.count ? bytes[$0] : 0 }
        }
        func preshared(_ name: String) -> PresharedKey {
            var bytes = fixed(name)
            return PresharedKey(consuming: &bytes)
        }
        let key = try #require(Self.key(value("seed of the decapsulation key")))
        let (exchange, base): (UInt32, UInt64) = (0x0403_0201, 0x8877_6655_4433_2211)
        let offer = KeyRecord.fields(exchange, base) + key.encapsulationKey
        #expect(hex(KeyRecord.record(.encapsulationKey, offer)) == page["KEYS encapsulation key, payload"])
        let reply = Array(value("KEYS ciphertext, payload").dropFirst(4))
        #expect(reply.count == KeyRecord.ciphertextSize)
        let (number, built) = KeyRecord.fields(of: reply.span)
        #expect(number == exchange && built == base)
        var shared = Bytes32(repeating: 0)
        let isDone = key.decapsulate(reply.span.extracting(12..<reply.count), into: &shared)
        #expect(isDone)
        #expect(hex(shared.indices.map { shared[$0] }) == page["shared secret"])
        let schedule = KeySchedule(
            transcript: fixed("handshake hash"), initiator: PublicKey(bytes: fixed("initiator, static public key")),
            responder: PublicKey(bytes: fixed("responder, static public key")), offer: offer, reply: reply)
        let (agreed, name) = schedule.derive(
            shared.span, configured: preshared("preshared key"), base: preshared("key that is built on"))
        #expect(agreed.hex == page["agreed key"])
        #expect(hex(KeyRecord.fields(0, name).dropFirst(4)) == page["n"].map { String($0.prefix(16)) })
        for (form, record) in [(KeyRecord.Form.question, "question"), (.answer, "answer")] {
            var payload = [UInt8](repeating: 0, count: 16)
            var span = payload.mutableSpan
            var bytes = unsafe span.mutableBytes
            _ = KeyRecord(form: form, number: name).write(to: &bytes)
            #expect(hex(payload) == page["KEYS \(record), payload"])
        }
    }

    private static func key(_ seed: [UInt8]) -> MLKEM768.DecapsulationKey? {
        guard seed.count == 64 else { return nil }
        var bytes = MLKEM768.Seed { seed[$0] }
        return MLKEM768.DecapsulationKey(consuming: &bytes)
    }
}
