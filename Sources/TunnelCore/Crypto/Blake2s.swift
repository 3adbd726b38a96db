import Keys

/// 32 bytes: a hash, a chaining key, a symmetric key.
typealias Bytes32 = InlineArray<32, UInt8>

/// BLAKE2s (RFC 7693) in the three forms that WireGuard uses (whitepaper §5.4): plain hash, keyed MAC, HMAC.
enum Blake2s {
    /// The hash of `first` and then `second`, 32 bytes.
    static func hash(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Bytes32 {
        var digest = Bytes32(repeating: 0)
        var out = digest.mutableSpan
        let none = InlineArray<0, UInt8>(repeating: 0)
        Primitive.blake2s(&out, key: none.span, of: first, second)
        return digest
    }

    /// The keyed hash of 16 bytes that WireGuard calls MAC; the key has at most 32 bytes.
    static func mac(key: Span<UInt8>, _ message: Span<UInt8>) -> InlineArray<16, UInt8> {
        var digest = InlineArray<16, UInt8>(repeating: 0)
        var out = digest.mutableSpan
        let none = InlineArray<0, UInt8>(repeating: 0)
        Primitive.blake2s(&out, key: key, of: message, none.span)
        return digest
    }

    /// HMAC of `first` and then `second`, 32 bytes.
    static func hmac(key: Span<UInt8>, _ first: Span<UInt8>, _ second: Span<UInt8>) -> Bytes32 {
        var digest = Bytes32(repeating: 0)
        var out = digest.mutableSpan
        Primitive.hmac(&out, key: key, of: first, second)
        return digest
    }

    /// `KDF2` and `KDF3` of the whitepaper §5.4: HKDF over HMAC-BLAKE2s. A caller that needs fewer ignores the rest, and
    /// wipes what it takes.
    static func derive(chainingKey: Span<UInt8>, _ input: Span<UInt8>) -> (Bytes32, Bytes32, Bytes32) {
        let none = InlineArray<0, UInt8>(repeating: 0)
        var secret = hmac(key: chainingKey, input, none.span)
        defer { wipe(&secret) }
        let one: InlineArray<1, UInt8> = [1]
        let two: InlineArray<1, UInt8> = [2]
        let three: InlineArray<1, UInt8> = [3]
        let first = hmac(key: secret.span, one.span, none.span)
        let second = hmac(key: secret.span, first.span, two.span)
        let third = hmac(key: secret.span, second.span, three.span)
        return (first, second, third)
    }
}
