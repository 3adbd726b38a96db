import Keys

/// Noise_IKpsk2 as WireGuard uses it (whitepaper §5.4.2–5.4.5): one message each way, and then two keys.
///
/// Pure functions over keys and bytes; who may call them when is the business of `HandshakeEngine`. The messages come
/// without mac1 and mac2, which depend on cookies and are the data thread's.
enum Handshake {
    /// A private key with its public one.
    struct Identity {
        let key: PrivateKey
        let publicKey: PublicKey

        init(_ key: PrivateKey) {
            self.key = key
            publicKey = key.publicKey
        }
    }

    /// The end that an initiation goes to. `staticShared` is X25519 of both static keys, which is made once per peer.
    struct Responder {
        let publicKey: PublicKey
        let staticShared: Secret
    }

    /// An initiation, and what the initiator keeps until the response comes.
    struct Initiated {
        let message: Initiation.Bytes
        let pending: Pending
    }

    /// The secrets of a handshake that waits for its response.
    struct Pending {
        let index: ReceiverIndex
        let ephemeral: PrivateKey
        let hash: Bytes32
        let chainingKey: Secret
        /// It is made for the key that is to be the responder's.
        var isToNext = false
    }

    /// An initiation as the responder has read it, before it answers.
    struct Received {
        let initiator: PublicKey
        let ephemeral: PublicKey
        let sender: ReceiverIndex
        let timestamp: TAI64N
        let hash: Bytes32
        let chainingKey: Secret
    }

    /// Makes an initiation. `nil` if the responder's key is of low order.
    static func initiate(
        from identity: Identity, to responder: Responder, sender: ReceiverIndex, timestamp: TAI64N,
        ephemeral: PrivateKey
    ) -> Initiated? {
        var state = SymmetricState(responder: responder.publicKey)
        defer { state.wipe() }
        var message = Initiation.Bytes(repeating: 0)
        message.store(little: Initiation.type, at: 0)
        message.store(little: sender.rawValue, at: Initiation.sender)

        let ephemeralPublic = ephemeral.publicKey
        message.copy(ephemeralPublic.bytes, to: Initiation.ephemeral)
        state.mixKey(ephemeralPublic.bytes.span)
        state.mixHash(ephemeralPublic.bytes.span)

        guard let staticKey = state.mixSharedSecretAndKey(ephemeral.bytes, responder.publicKey) else { return nil }
        let sealedStatic: InlineArray<48, UInt8> = state.seal(identity.publicKey.bytes, key: staticKey)
        message.copy(sealedStatic, to: Initiation.sealedStatic)

        let timestampKey = state.mixKeyAndKey(responder.staticShared.bytes)
        let sealedTimestamp: InlineArray<28, UInt8> = state.seal(timestamp.bytes, key: timestampKey)
        message.copy(sealedTimestamp, to: Initiation.sealedTimestamp)

        let chainingKey = Secret(copying: state.chainingKey.span)
        return Initiated(
            message: message,
            pending: Pending(index: sender, ephemeral: ephemeral, hash: state.hash, chainingKey: chainingKey))
    }

    /// Reads an initiation as far as the sender's public key, then asks `staticShared` for X25519 with that key (`nil`
    /// if it is no peer), and opens the timestamp. `nil` if any of it is wrong.
    static func receive(
        _ message: Initiation.Bytes, identity: Identity, staticShared: (PublicKey) -> Secret?
    ) -> Received? {
        var state = SymmetricState(responder: identity.publicKey)
        defer { state.wipe() }
        let ephemeral = PublicKey(bytes: message.slice(at: Initiation.ephemeral))
        state.mixKey(ephemeral.bytes.span)
        state.mixHash(ephemeral.bytes.span)

        guard let staticKey = state.mixSharedSecretAndKey(identity.key.bytes, ephemeral) else { return nil }
        let sealedStatic: InlineArray<48, UInt8> = message.slice(at: Initiation.sealedStatic)
        guard let initiatorBytes: Bytes32 = state.open(sealedStatic, key: staticKey) else { return nil }
        let initiator = PublicKey(bytes: initiatorBytes)
        guard let shared = staticShared(initiator) else { return nil }

        let timestampKey = state.mixKeyAndKey(shared.bytes)
        let sealedTimestamp: InlineArray<28, UInt8> = message.slice(at: Initiation.sealedTimestamp)
        guard let timestamp: InlineArray<12, UInt8> = state.open(sealedTimestamp, key: timestampKey) else { return nil }

        return Received(
            initiator: initiator, ephemeral: ephemeral,
            sender: ReceiverIndex(rawValue: message.little32(at: Initiation.sender)),
            timestamp: TAI64N(bytes: timestamp), hash: state.hash,
            chainingKey: Secret(copying: state.chainingKey.span))
    }

    /// Answers an initiation: the response, and the keys of the session. `nil` if a point is of low order.
    static func respond(
        to received: Received, presharedKey: PresharedKey?, sender: ReceiverIndex, ephemeral: PrivateKey
    ) -> (message: Response.Bytes, keys: SessionKeys)? {
        var state = SymmetricState(hash: received.hash, chainingKey: Bytes32(copying: received.chainingKey.bytes))
        defer { state.wipe() }
        var message = Response.Bytes(repeating: 0)
        message.store(little: Response.type, at: 0)
        message.store(little: sender.rawValue, at: Response.sender)
        message.store(little: received.sender.rawValue, at: Response.receiver)

        let ephemeralPublic = ephemeral.publicKey
        message.copy(ephemeralPublic.bytes, to: Response.ephemeral)
        state.mixKey(ephemeralPublic.bytes.span)
        state.mixHash(ephemeralPublic.bytes.span)
        guard state.mixSharedSecret(ephemeral.bytes, received.ephemeral),
            state.mixSharedSecret(ephemeral.bytes, received.initiator)
        else { return nil }

        let key = state.mixPresharedKey(presharedKey)
        let sealed: InlineArray<16, UInt8> = state.seal(InlineArray<0, UInt8>(repeating: 0), key: key)
        message.copy(sealed, to: Response.sealedNothing)
        return (message, SessionKeys(state, isInitiator: false))
    }

    /// Reads the response to a pending initiation, which may be made with any of some preshared keys: the keys of the session and
    /// which of them it was, or `nil` if it is not from the peer.
    static func finish(
        _ message: Response.Bytes, pending: Pending, identity: Identity, presharedKeys: [PresharedKey?]
    ) -> (keys: SessionKeys, index: Int)? {
        var state = SymmetricState(hash: pending.hash, chainingKey: Bytes32(copying: pending.chainingKey.bytes))
        defer { state.wipe() }
        let ephemeral = PublicKey(bytes: message.slice(at: Response.ephemeral))
        state.mixKey(ephemeral.bytes.span)
        state.mixHash(ephemeral.bytes.span)
        guard state.mixSharedSecret(pending.ephemeral.bytes, ephemeral),
            state.mixSharedSecret(identity.key.bytes, ephemeral)
        else { return nil }

        let sealed: InlineArray<16, UInt8> = message.slice(at: Response.sealedNothing)
        for (index, presharedKey) in presharedKeys.enumerated() {
            var mixed = state
            defer { mixed.wipe() }
            let key = mixed.mixPresharedKey(presharedKey)
            guard let _: InlineArray<0, UInt8> = mixed.open(sealed, key: key) else { continue }
            return (SessionKeys(mixed, isInitiator: true), index)
        }
        return nil
    }
}

/// The keys of a session as they come out of a handshake: two for each lane.
public struct SessionKeys: Sendable {
    let sending: Secret
    let receiving: Secret
    let sendingAES: Secret
    let receivingAES: Secret
    /// The preshared key that they were made with.
    var presharedKey = KeyName.configured
    /// The peer has shown the public key that is to be its.
    var isOfNextKey = false
    /// The hash of the handshake at its end, which names the session and is no secret.
    let transcript: InlineArray<32, UInt8>

    init(_ state: SymmetricState, isInitiator: Bool) {
        transcript = state.hash
        let chacha = Self.pair(state.split())
        let aes = Self.pair(state.split(Self.aesLabel))
        sending = isInitiator ? chacha.initiators : chacha.responders
        receiving = isInitiator ? chacha.responders : chacha.initiators
        sendingAES = isInitiator ? aes.initiators : aes.responders
        receivingAES = isInitiator ? aes.responders : aes.initiators
    }

    /// The label that makes the keys of the lane for AES-256-GCM others than WireGuard's.
    private static let aesLabel = Array("gateway v1 aes-256-gcm".utf8)

    private static func pair(_ keys: (Bytes32, Bytes32)) -> (initiators: Secret, responders: Secret) {
        var keys = keys
        defer {
            wipe(&keys.0)
            wipe(&keys.1)
        }
        return (Secret(copying: keys.0.span), Secret(copying: keys.1.span))
    }
}

extension InlineArray where Element == UInt8, count == 32 {
    init(copying bytes: Span<UInt8>) { self.init { bytes[$0] } }
}
