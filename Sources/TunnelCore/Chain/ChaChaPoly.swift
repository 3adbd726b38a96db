import CSodium
import Keys

/// ChaCha20-Poly1305 (RFC 8439 §2.8) as WireGuard uses it for transport: no associated data, and a nonce of 32 zero bits
/// and the counter (whitepaper §5.4.6).
enum ChaChaPoly {
    /// Seals in place: all of `buffer` but its last 16 bytes, which become the tag.
    @inline(__always)
    static func seal(_ buffer: inout MutableRawSpan, key: borrowing Bytes32, counter: UInt64) {
        let nonce = Nonce(counter)
        let key = key.span
        unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
            let plain = UInt64(bytes.count - Transport.tagSize)
            _ = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
                start, nil, start, plain, nil, 0, nil, nonce.bytes.span.start, key.start)
        }
    }

    /// Opens in place: the last 16 bytes of `buffer` are the tag. False if it is wrong; the content is then undefined.
    @inline(__always)
    static func open(_ buffer: inout MutableRawSpan, key: borrowing Bytes32, counter: UInt64) -> Bool {
        let nonce = Nonce(counter)
        let key = key.span
        return unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            return unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
                start, nil, nil, start, UInt64(bytes.count), nil, 0, nonce.bytes.span.start, key.start) == 0
        }
    }

    private struct Nonce {
        let bytes: InlineArray<12, UInt8>

        @inline(__always)
        init(_ counter: UInt64) {
            bytes = InlineArray { $0 < 4 ? 0 : UInt8(truncatingIfNeeded: counter >> (8 * UInt64($0 - 4))) }
        }
    }
}
