internal import CCryptoBoringSSL
import Keys

/// The AEADs of the BoringSSL that comes inside swift-crypto. It and `MLKEM768` are all that knows of it: swift-crypto promises
/// nothing of its inner modules, so its version is pinned.
enum BoringSSL {
    /// A key schedule. It must not move while it is in use.
    @safe struct Context: ~Copyable {
        private var state = unsafe EVP_AEAD_CTX()

        init() {}

        mutating func begin(_ suite: CipherSuite, key: Span<UInt8>) {
            let algorithm =
                switch suite {
                case .chacha20poly1305: unsafe CCryptoBoringSSL_EVP_aead_chacha20_poly1305()
                case .aes256gcm: unsafe CCryptoBoringSSL_EVP_aead_aes_256_gcm()
                }
            let made = unsafe CCryptoBoringSSL_EVP_AEAD_CTX_init(&state, algorithm, key.start, key.count, 0, nil)
            precondition(made == 1, "the sizes are fixed")
        }

        mutating func end() { unsafe CCryptoBoringSSL_EVP_AEAD_CTX_cleanup(&state) }

        @inline(__always)
        mutating func seal(_ buffer: inout MutableRawSpan, _ nonce: Nonce) {
            unsafe buffer.withUnsafeMutableBytes { bytes in
                guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                var length = 0
                _ = unsafe CCryptoBoringSSL_EVP_AEAD_CTX_seal(
                    &state, start, &length, bytes.count, nonce.bytes.span.start, 12, start,
                    bytes.count - Transport.tagSize, nil, 0)
            }
        }

        @inline(__always)
        mutating func open(_ buffer: inout MutableRawSpan, _ nonce: Nonce) -> Bool {
            unsafe buffer.withUnsafeMutableBytes { bytes in
                guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
                var length = 0
                return unsafe CCryptoBoringSSL_EVP_AEAD_CTX_open(
                    &state, start, &length, bytes.count, nonce.bytes.span.start, 12, start, bytes.count, nil, 0) == 1
            }
        }
    }
}
