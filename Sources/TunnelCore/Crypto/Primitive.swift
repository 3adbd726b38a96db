import CBlake2
import CSodium
import Keys

/// The cryptography that the handshake is made of, as libsodium and libb2 have it. Sizes are the caller's to get right:
/// they are all fixed, so a wrong one is a bug and traps.
enum Primitive {
    /// X25519 (RFC 7748) of a private key's bytes and a public key; `nil` if the point has low order. The caller wipes
    /// the result.
    static func sharedSecret(_ scalar: Span<UInt8>, _ point: PublicKey) -> Bytes32? {
        precondition(scalar.count == 32)
        var shared = Bytes32(repeating: 0)
        var out = shared.mutableSpan
        let failed = unsafe crypto_scalarmult_curve25519(out.start, scalar.start, point.bytes.span.start)
        return failed == 0 ? shared : nil
    }

    /// ChaCha20-Poly1305 (RFC 8439) with nonce 0; `out` is 16 bytes longer than `plain`.
    static func seal(_ out: inout MutableSpan<UInt8>, _ plain: Span<UInt8>, data: Span<UInt8>, key: Span<UInt8>) {
        precondition(out.count == plain.count + 16 && key.count == 32)
        let nonce = InlineArray<12, UInt8>(repeating: 0)
        let failed = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
            out.start, nil, plain.start, UInt64(plain.count), data.start, UInt64(data.count), nil, nonce.span.start,
            key.start)
        precondition(failed == 0)
    }

    /// The reverse; false if the tag is wrong.
    static func open(
        _ out: inout MutableSpan<UInt8>, _ sealed: Span<UInt8>, data: Span<UInt8>, key: Span<UInt8>
    ) -> Bool {
        precondition(sealed.count == out.count + 16 && key.count == 32)
        let nonce = InlineArray<12, UInt8>(repeating: 0)
        return unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
            out.start, nil, nil, sealed.start, UInt64(sealed.count), data.start, UInt64(data.count), nonce.span.start,
            key.start) == 0
    }

    /// XChaCha20-Poly1305; `out` is 16 bytes longer than `plain`.
    static func xseal(
        _ out: inout MutableSpan<UInt8>, _ plain: Span<UInt8>, data: Span<UInt8>, key: Span<UInt8>, nonce: Span<UInt8>
    ) {
        precondition(out.count == plain.count + 16 && key.count == 32 && nonce.count == 24)
        let failed = unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
            out.start, nil, plain.start, UInt64(plain.count), data.start, UInt64(data.count), nil, nonce.start,
            key.start)
        precondition(failed == 0)
    }

    /// The reverse; false if the tag is wrong.
    static func xopen(
        _ out: inout MutableSpan<UInt8>, _ sealed: Span<UInt8>, data: Span<UInt8>, key: Span<UInt8>, nonce: Span<UInt8>
    ) -> Bool {
        precondition(sealed.count == out.count + 16 && key.count == 32 && nonce.count == 24)
        return unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
            out.start, nil, nil, sealed.start, UInt64(sealed.count), data.start, UInt64(data.count), nonce.start,
            key.start) == 0
    }

    /// BLAKE2s of `first` and then `second` as long as `out`, keyed unless the key is empty.
    static func blake2s(
        _ out: inout MutableSpan<UInt8>, key: Span<UInt8>, of first: Span<UInt8>, _ second: Span<UInt8>
    ) {
        let failed = unsafe cblake2s(
            out.start, out.count, key.start, key.count, first.start, first.count, second.start, second.count)
        precondition(failed == 0)
    }

    /// HMAC-BLAKE2s of `first` and then `second`, 32 bytes.
    static func hmac(
        _ out: inout MutableSpan<UInt8>, key: Span<UInt8>, of first: Span<UInt8>, _ second: Span<UInt8>
    ) {
        precondition(out.count == 32)
        let failed = unsafe cblake2s_hmac(
            out.start, key.start, key.count, first.start, first.count, second.start, second.count)
        precondition(failed == 0)
    }

    /// Whether both are the same, in a time that depends on their size only.
    static func equal(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
        unsafe a.count == b.count && sodium_memcmp(a.start, b.start, a.count) == 0
    }
}
