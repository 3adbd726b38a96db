import Keys
import Testing

@Suite struct KeyPairTests {
    @Test(
        "the public key is the one of RFC 7748 §6.1",
        arguments: [
            (
                "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
            ),
            (
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
            ),
        ])
    func vector(privateKey: String, publicKey: String) {
        #expect(PrivateKey(hex: privateKey)?.publicKey.hex == publicKey)
    }

    @Test("a private key is clamped when it is taken in")
    func clamped() throws {
        let key = try #require(PrivateKey(hex: String(repeating: "ff", count: 32)))
        #expect(key.hex.hasPrefix("f8"))
        #expect(key.hex.hasSuffix("7f"))
    }

    @Test("a private key writes what it reads")
    func text() throws {
        let key = PrivateKey.generate()
        #expect(PrivateKey(base64: key.base64)?.publicKey == key.publicKey)
        #expect(PrivateKey(hex: key.hex)?.publicKey == key.publicKey)
    }

    @Test("the bytes that a key is made of are wiped")
    func wiped() {
        var bytes = InlineArray<32, UInt8>(repeating: 7)
        _ = PrivateKey(consuming: &bytes)
        let isPrivateWiped = isZero(bytes.span)
        #expect(isPrivateWiped)
        bytes = InlineArray<32, UInt8>(repeating: 7)
        _ = PresharedKey(consuming: &bytes)
        let isPresharedWiped = isZero(bytes.span)
        #expect(isPresharedWiped)
    }

    @Test("a preshared key of zeros is none")
    func zeros() {
        #expect(PresharedKey(base64: String(repeating: "A", count: 43) + "=") == nil)
        #expect(PresharedKey(hex: String(repeating: "0", count: 64)) == nil)
        #expect(PrivateKey(hex: String(repeating: "0", count: 64)) == nil)
    }

    @Test("two keys are never the same, nor two secrets in memory")
    func distinct() {
        var seen: Set<PublicKey> = []
        let keys = (0..<300).map { _ in PrivateKey.generate() }
        for key in keys { seen.insert(key.publicKey) }
        #expect(seen.count == keys.count)
        #expect(PresharedKey.generate().base64 != PresharedKey.generate().base64)
    }
}
