internal import CCryptoBoringSSL
import Keys

/// ML-KEM-768 (FIPS 203) of the BoringSSL that comes inside swift-crypto. Only the handshake thread calls it: each function takes some
/// 70 µs.
enum MLKEM768 {
    static let encapsulationKeySize = 1184
    static let ciphertextSize = 1088

    typealias Seed = InlineArray<64, UInt8>

    /// The decapsulation key of an exchange as its seed (d, then z) in secret memory: the key itself is made anew when it is used, once.
    struct DecapsulationKey {
        private let d: Secret
        private let z: Secret

        /// Takes the seed and wipes it.
        init(consuming seed: inout Seed) {
            d = Secret(copying: seed.span.extracting(0..<32))
            z = Secret(copying: seed.span.extracting(32..<64))
            wipe(&seed)
        }

        /// The encapsulation key that belongs to it.
        var encapsulationKey: [UInt8] {
            unsafe withKey { key in
                var whole = MLKEM768_public_key()
                unsafe CCryptoBoringSSL_MLKEM768_public_from_private(&whole, key)
                return unsafe [UInt8](unsafeUninitializedCapacity: encapsulationKeySize) { space, count in
                    var writer = unsafe CBB()
                    guard let start = space.baseAddress,
                        unsafe CCryptoBoringSSL_CBB_init_fixed(&writer, start, space.count) == 1,
                        unsafe CCryptoBoringSSL_MLKEM768_marshal_public_key(&writer, &whole) == 1
                    else { return }
                    count = space.count
                }
            }
        }

        /// Puts the shared secret in a ciphertext into `shared`, which the caller wipes; a random one if the ciphertext was not made for this
        /// key (implicit rejection). False if its length is wrong.
        func decapsulate(_ ciphertext: Span<UInt8>, into shared: inout Bytes32) -> Bool {
            guard ciphertext.count == ciphertextSize else { return false }
            return unsafe withKey { key in
                var out = shared.mutableSpan
                return unsafe CCryptoBoringSSL_MLKEM768_decap(out.start, ciphertext.start, ciphertext.count, key) == 1
            }
        }

        private func withKey<Result>(_ body: (UnsafePointer<MLKEM768_private_key>) -> Result) -> Result {
            let (d, z) = (d.bytes, z.bytes)
            var seed = Seed { $0 < 32 ? d[$0] : z[$0 - 32] }
            var key = MLKEM768_private_key()
            let made = unsafe CCryptoBoringSSL_MLKEM768_private_key_from_seed(&key, seed.span.start, 64)
            precondition(made == 1, "the size is fixed")
            wipe(&seed)
            defer {
                unsafe withUnsafeMutableBytes(of: &key) { bytes in
                    var span = unsafe MutableSpan<UInt8>(_unsafeElements: bytes.assumingMemoryBound(to: UInt8.self))
                    wipe(&span)
                }
            }
            return unsafe withUnsafePointer(to: &key) { unsafe body($0) }
        }
    }

    /// Encapsulates a fresh secret for a key, into `shared`, which the caller wipes; the ciphertext. `nil` if the key is none: of another
    /// length, or with a coefficient that is not reduced (FIPS 203 §7.2).
    static func encapsulate(for key: Span<UInt8>, into shared: inout Bytes32) -> [UInt8]? {
        guard key.count == encapsulationKeySize else { return nil }
        var whole = MLKEM768_public_key()
        var reader = unsafe CBS()
        unsafe CCryptoBoringSSL_CBS_init(&reader, key.start, key.count)
        guard unsafe CCryptoBoringSSL_MLKEM768_parse_public_key(&whole, &reader) == 1 else { return nil }
        var out = shared.mutableSpan
        return unsafe [UInt8](unsafeUninitializedCapacity: ciphertextSize) { space, count in
            guard let start = space.baseAddress else { return }
            unsafe CCryptoBoringSSL_MLKEM768_encap(start, out.start, &whole)
            count = space.count
        }
    }
}
