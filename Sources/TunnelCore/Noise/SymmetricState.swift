import Keys

/// The running hash and chaining key of a handshake (whitepaper §5.4.2; Noise rev. 34 §5.2).
///
/// Whoever holds one calls `wipe()` when it is done with it.
struct SymmetricState {
    private(set) var hash: Bytes32
    private(set) var chainingKey: Bytes32

    /// The state that both ends start from, with the responder's public key mixed in.
    init(responder: PublicKey) {
        let construction = Array("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8)
        let identifier = Array("WireGuard v1 zx2c4 Jason@zx2c4.com".utf8)
        let none = InlineArray<0, UInt8>(repeating: 0)
        chainingKey = Blake2s.hash(construction.span, none.span)
        hash = Blake2s.hash(chainingKey.span, identifier.span)
        mixHash(responder.bytes.span)
    }

    init(hash: Bytes32, chainingKey: Bytes32) {
        self.hash = hash
        self.chainingKey = chainingKey
    }

    mutating func wipe() {
        Keys.wipe(&hash)
        Keys.wipe(&chainingKey)
    }

    mutating func mixHash(_ data: Span<UInt8>) {
        hash = Blake2s.hash(hash.span, data)
    }

    mutating func mixKey(_ input: Span<UInt8>) {
        var output = Blake2s.derive(chainingKey: chainingKey.span, input)
        chainingKey = output.0
        Keys.wipe(&output.0)
        Keys.wipe(&output.1)
        Keys.wipe(&output.2)
    }

    /// Mixes the result of a Diffie-Hellman; false, and nothing mixed, if the point has low order.
    mutating func mixSharedSecret(_ scalar: Span<UInt8>, _ point: PublicKey) -> Bool {
        guard var shared = Primitive.sharedSecret(scalar, point) else { return false }
        mixKey(shared.span)
        Keys.wipe(&shared)
        return true
    }

    /// As `mixSharedSecret`, and gives the key to seal the next field with.
    mutating func mixSharedSecretAndKey(_ scalar: Span<UInt8>, _ point: PublicKey) -> Bytes32? {
        guard var shared = Primitive.sharedSecret(scalar, point) else { return nil }
        defer { Keys.wipe(&shared) }
        return mixKeyAndKey(shared.span)
    }

    /// Mixes `input` and gives the key to seal the next field with (KDF2).
    mutating func mixKeyAndKey(_ input: Span<UInt8>) -> Bytes32 {
        var output = Blake2s.derive(chainingKey: chainingKey.span, input)
        chainingKey = output.0
        Keys.wipe(&output.0)
        Keys.wipe(&output.2)
        return output.1
    }

    /// Mixes the preshared key, or 32 zeros, and gives the key to seal the next field with (KDF3).
    mutating func mixPresharedKey(_ key: PresharedKey?) -> Bytes32 {
        var output =
            if let key {
                Blake2s.derive(chainingKey: chainingKey.span, key.bytes)
            } else {
                Blake2s.derive(chainingKey: chainingKey.span, Bytes32(repeating: 0).span)
            }
        chainingKey = output.0
        mixHash(output.1.span)
        Keys.wipe(&output.0)
        Keys.wipe(&output.1)
        return output.2
    }

    /// Seals `plain` with `key`, the hash as associated data, and mixes the result. The output is 16 bytes longer.
    mutating func seal<let plain: Int, let sealed: Int>(
        _ bytes: InlineArray<plain, UInt8>, key: consuming Bytes32
    ) -> InlineArray<sealed, UInt8> {
        var output = InlineArray<sealed, UInt8>(repeating: 0)
        var out = output.mutableSpan
        Primitive.seal(&out, bytes.span, data: hash.span, key: key.span)
        mixHash(output.span)
        Keys.wipe(&key)
        return output
    }

    /// Opens `sealed`, 16 bytes longer than the result, and mixes it; `nil` if the tag is wrong.
    mutating func open<let plain: Int, let sealed: Int>(
        _ bytes: InlineArray<sealed, UInt8>, key: consuming Bytes32
    ) -> InlineArray<plain, UInt8>? {
        var output = InlineArray<plain, UInt8>(repeating: 0)
        var out = output.mutableSpan
        let opened = Primitive.open(&out, bytes.span, data: hash.span, key: key.span)
        Keys.wipe(&key)
        guard opened else { return nil }
        mixHash(bytes.span)
        return output
    }

    /// The two transport keys (whitepaper §5.4.5), the initiator's sending key first; with a label, two others.
    func split(_ label: [UInt8] = []) -> (Bytes32, Bytes32) {
        var output = Blake2s.derive(chainingKey: chainingKey.span, label.span)
        Keys.wipe(&output.2)
        return (output.0, output.1)
    }
}
