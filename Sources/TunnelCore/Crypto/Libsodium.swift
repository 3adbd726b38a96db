import CSodium
import Keys

/// ChaCha20-Poly1305 (RFC 8439 §2.8) of libsodium.
enum Libsodium {
    static var hasAESInstructions: Bool {
        sodium_init() >= 0 && crypto_aead_aes256gcm_is_available() == 1
    }

    @inline(__always)
    static func seal(_ buffer: inout MutableRawSpan, nonce: Nonce, key: borrowing Bytes32) {
        let key = key.span
        unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            let plain = UInt64(bytes.count - Transport.tagSize)
            _ = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
                start, nil, start, plain, nil, 0, nil, nonce.bytes.span.start, key.start)
        }
    }

    @inline(__always)
    static func open(_ buffer: inout MutableRawSpan, nonce: Nonce, key: borrowing Bytes32) -> Bool {
        let key = key.span
        return unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            return unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
                start, nil, nil, start, UInt64(bytes.count), nil, 0, nonce.bytes.span.start, key.start) == 0
        }
    }
}
