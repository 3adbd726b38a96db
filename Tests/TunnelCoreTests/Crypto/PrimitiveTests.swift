import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct PrimitiveTests {
    @Test("BLAKE2s hashes as RFC 7693 Appendix B says")
    func blake2s() {
        let digest = Blake2s.hash(Array("ab".utf8).span, Array("c".utf8).span)
        #expect(hex(digest) == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
        let long = Blake2s.hash(count(200).span, [UInt8]().span)
        #expect(hex(long) == "6d244e1a06ce4ef578dd0f63aff0936706735119ca9c8d22d86c801414ab9741")
    }

    @Test("BLAKE2s of every size and key passes the self-test of RFC 7693 Appendix E")
    func blake2sSelfTest() {
        var all: [UInt8] = []
        for size in [16, 20, 28, 32] {
            for length in [0, 3, 64, 65, 255, 1024] {
                let input = sequence(length, seed: UInt32(length))
                all += digest(size, key: [], input)
                all += digest(size, key: sequence(size, seed: UInt32(size)), input)
            }
        }
        let result = hex(Blake2s.hash(all.span, [UInt8]().span))
        #expect(result == "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe")
    }

    @Test("the keyed MAC of 16 bytes is BLAKE2s' own, with keys of 32 and 16 bytes")
    func mac() {
        #expect(hex(Blake2s.mac(key: count(32).span, count(116).span)) == "072e94ffbfc684bd8ab2a1b9dade2fd5")
        #expect(hex(Blake2s.mac(key: count(16).span, count(116).span)) == "b9b1bbba1b59e4349d1018f97d243fca")
    }

    @Test("HMAC and the key derivation are those of RFC 2104 and RFC 5869")
    func hmac() {
        let key = count(32)
        let tag = Blake2s.hmac(key: key.span, Array("Hi ".utf8).span, Array("There".utf8).span)
        #expect(hex(tag) == "65043ae3113da6f99a94d81b790a6a08dcddef85a14bb01d1aae2ae6d7250146")
        let derived = Blake2s.derive(chainingKey: key.span, Array("input".utf8).span)
        #expect(hex(derived.0) == "87b7f70b24183c6db5dc4f6d9f4c47cdb203321aa2a0bef714896adb3107a040")
        #expect(hex(derived.1) == "538a02e1eb2e31b7e4d4b82476d1fe2acf50085d3fb584537279195f5d1f5824")
        #expect(hex(derived.2) == "9ad858025593be88de0f9442a589cfe84a88dc19e4753d93684d1c5efc4837f9")
        let empty = Blake2s.derive(chainingKey: key.span, [UInt8]().span)
        #expect(hex(empty.0) == "7a38c34bf2b8738d7374ca77c44ecb309a11d2b2528304fa86052c365e722624")
        #expect(hex(empty.1) == "1a17621f346abdc520746a9fb64d8eb03231d674fc15687537b0780fd9c060fd")
    }

    @Test("ChaCha20-Poly1305 seals the text and data of RFC 8439 §2.8.2 with nonce 0, and opens nothing else")
    func seal() {
        let key = (0x80..<0xa0).map { UInt8($0) }
        let data = bytes("50515253c0c1c2c3c4c5c6c7")
        var sealed = [UInt8](repeating: 0, count: sunscreen.count + 16)
        do {
            var out = sealed.mutableSpan
            Primitive.seal(&out, sunscreen.span, data: data.span, key: key.span)
        }
        #expect(
            hex(sealed)
                == "663d7ec45b29ceaaa35505b8c1b3d94613a50fd7e315a748d35a378670746af867ab3404fe7b7655b904162b408190f3"
                + "f8c781815bb8724e4ac22ea6351d38468cd370aa8ffb19e96edc915893cc6e1861c2af01ab0fb02df97ea145499bb87d"
                + "44ec7d738272327290570a03658b27b116665c21ea189f9450ff121509fd8142befc")
        var opened = [UInt8](repeating: 0, count: sunscreen.count)
        for place in sealed.indices {
            var damaged = sealed
            damaged[place] ^= 0x10
            var out = opened.mutableSpan
            let isOpen = Primitive.open(&out, damaged.span, data: data.span, key: key.span)
            #expect(!isOpen)
        }
        do {
            var out = opened.mutableSpan
            let isOpen = Primitive.open(&out, sealed.span, data: data.span, key: key.span)
            #expect(isOpen)
        }
        #expect(opened == sunscreen)
    }

    @Test(
        "a transport message has its counter, little-endian behind four zeros, as nonce, and no associated data",
        arguments: ChaChaImplementation.allCases)
    func transport(implementation: ChaChaImplementation) {
        let key = Bytes32 { UInt8(0x80 + $0) }
        let sealed = sealMessage(sunscreen, .chacha20poly1305, implementation, key, counter: 0x0102_0304_0506_0708)
        #expect(
            hex(sealed)
                == "b8d08ad235a97bbc4dd551cc6b1911b3961e31851245f58e7f581dbe0627e811f7465bd39dd94d5546bf48ac1a2dd43c"
                + "bda6f795d215ec93abb888192adfa41a10ee4bb956f2bbbe7294b33f513dbeeba962d9c2f8cc18c88a9171bebc9ffb11"
                + "6a4383f49408e055ad9ca5fa75dccb65b94fd5d23d697079b0de81ed4b7817a92427")
    }

    @Test(
        "libsodium and BoringSSL seal to the same bytes, and open what the other sealed",
        arguments: [0, 1, 15, 64, 1420])
    func implementationsAgree(size: Int) {
        let key = Bytes32 { UInt8($0 * 7) }
        let plain = (0..<size).map { UInt8(truncatingIfNeeded: $0 * 31) }
        let sodium = sealMessage(plain, .chacha20poly1305, .libsodium, key, counter: 77)
        let boring = sealMessage(plain, .chacha20poly1305, .boringSSL, key, counter: 77)
        #expect(sodium == boring)
        #expect(openMessage(sodium, .chacha20poly1305, .boringSSL, key, counter: 77) == plain)
        #expect(openMessage(boring, .chacha20poly1305, .libsodium, key, counter: 77) == plain)
        #expect(openMessage(boring, .chacha20poly1305, .libsodium, key, counter: 78) == nil)
    }

    @Test("AES-256-GCM seals as NIST's test case 14 and with our nonce as another library does")
    func aes() {
        // SP 800-38D test case 14: a key, a nonce and a block of zeros.
        let zeros = sealMessage(
            [UInt8](repeating: 0, count: 16), .aes256gcm, .libsodium, Bytes32(repeating: 0), counter: 0)
        #expect(hex(zeros) == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
        // By Python's cryptography 48: AESGCM(bytes(range(32))).encrypt(nonce 00000000 0807060504030201, b"gateway").
        let named = sealMessage(
            Array("gateway".utf8), .aes256gcm, .libsodium, Bytes32 { UInt8($0) }, counter: 0x0102_0304_0506_0708)
        #expect(hex(named) == "7b998b20154eb1cd749da8dc30a22e18dc78008f4bf1cc")
    }

    @Test("XChaCha20-Poly1305 is that of draft-irtf-cfrg-xchacha A.3.1")
    func xseal() {
        let key = (0x80..<0xa0).map { UInt8($0) }
        let nonce = (0x40..<0x58).map { UInt8($0) }
        let data = bytes("50515253c0c1c2c3c4c5c6c7")
        var sealed = [UInt8](repeating: 0, count: sunscreen.count + 16)
        do {
            var out = sealed.mutableSpan
            Primitive.xseal(&out, sunscreen.span, data: data.span, key: key.span, nonce: nonce.span)
        }
        #expect(
            hex(sealed)
                == "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
                + "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
                + "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49")
    }

    @Test("X25519 is that of RFC 7748 §5.2, once and a thousand times")
    func x25519() throws {
        let scalar1 = bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
        let point1 = try #require(
            PublicKey(hex: "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
        let first = Primitive.sharedSecret(scalar1.span, point1)
        let once = try #require(first)
        #expect(hex(once) == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")

        var scalar = Bytes32 { $0 == 0 ? 9 : 0 }
        var point = scalar
        for round in 1...1000 {
            let result = Primitive.sharedSecret(scalar.span, PublicKey(bytes: point))
            point = scalar
            scalar = try #require(result)
            if round == 1 {
                #expect(hex(scalar) == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
            }
        }
        #expect(hex(scalar) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    }

    private func digest(_ size: Int, key: [UInt8], _ input: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: size)
        var out = digest.mutableSpan
        Primitive.blake2s(&out, key: key.span, of: input.span, [UInt8]().span)
        return digest
    }

    /// The generator of RFC 7693 Appendix E.
    private func sequence(_ length: Int, seed: UInt32) -> [UInt8] {
        var a = 0xdead_4bad &* seed
        var b: UInt32 = 1
        return (0..<length).map { _ in
            let t = a &+ b
            a = b
            b = t
            return UInt8(t >> 24)
        }
    }

    private func count(_ length: Int) -> [UInt8] { (0..<length).map { UInt8($0) } }

    private let sunscreen = Array(
        ("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
            + "would be it.").utf8)
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

func hex<let count: Int>(_ bytes: InlineArray<count, UInt8>) -> String { hex((0..<count).map { bytes[$0] }) }

/// The bytes of hexadecimal digits.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

private func sealMessage(
    _ plain: [UInt8], _ suite: CipherSuite, _ implementation: ChaChaImplementation, _ key: Bytes32, counter: UInt64
) -> [UInt8] {
    var sealed = plain + [UInt8](repeating: 0, count: 16)
    var span = sealed.mutableSpan
    var raw = unsafe span.mutableBytes
    var cipher = CipherKey()
    cipher.begin(suite, implementation, key: key.span)
    cipher.seal(&raw, counter: counter)
    cipher.end()
    return sealed
}

private func openMessage(
    _ sealed: [UInt8], _ suite: CipherSuite, _ implementation: ChaChaImplementation, _ key: Bytes32, counter: UInt64
) -> [UInt8]? {
    var opened = sealed
    var span = opened.mutableSpan
    var raw = unsafe span.mutableBytes
    var cipher = CipherKey()
    cipher.begin(suite, implementation, key: key.span)
    let isAuthentic = cipher.open(&raw, counter: counter)
    cipher.end()
    return isAuthentic ? Array(opened.dropLast(16)) : nil
}
