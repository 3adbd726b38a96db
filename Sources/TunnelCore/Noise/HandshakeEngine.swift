public import Keys

/// Work for the handshake thread, in the order in which it was asked for.
public enum HandshakeJob: Sendable {
    /// Our own key is now this one, or there is none. Pending handshakes are forgotten.
    case identity(PrivateKey?)
    /// A peer appeared, or its preshared key changed.
    case peer(PeerID, PublicKey, PresharedKey?)
    /// Another preshared key that the peer may answer with; `nil`: none.
    case otherKey(PeerID, PresharedKey?)
    /// The peer used a session that we answered it with, as this index.
    case proved(PeerID, index: ReceiverIndex)
    /// A public key that is to take the place of the peer's; both are taken. `nil`: none.
    case nextPublicKey(PeerID, PublicKey?)
    /// It has taken its place.
    case tookPublicKey(PeerID)
    case removePeer(PeerID)
    /// Something about the keys that are agreed on with a peer.
    case key(PeerID, KeyJob)
    /// Make an initiation; to the public key that is to be the peer's, if that is wanted.
    case initiate(PeerID, sender: ReceiverIndex, at: Now, toNext: Bool)
    /// An initiation came whose mac1 is ours; `index` is for the session that it may become.
    case initiation(InlineArray<148, UInt8>, index: ReceiverIndex, from: Path, at: Now)
    /// A response came to the initiation that we sent to this peer as `index`.
    case response(PeerID, InlineArray<92, UInt8>, index: ReceiverIndex, from: Path)
    /// Tell the times of all peers' handshakes, which a new process goes on with.
    case tellTimes
    /// Go on with these.
    case adoptTimes(PeerID, HandshakeTimes)
    /// Forget all keys: another process goes on.
    case forget
}

/// The times of a peer's handshakes that must not be forgotten: what comes with an earlier one is a replay.
public struct HandshakeTimes: Sendable, Equatable {
    /// In our last initiation, and in the peer's.
    public var lastSent = TAI64N.zero
    public var lastReceived = TAI64N.zero
    /// When that came.
    public var lastReceivedAt = Instant.distantPast
    /// The keys that were agreed on, newest first.
    var agreed: [CandidateKeys.Agreed] = []

    public init() {}
}

/// The result of a job. `index` is always the one that the job brought, so that the asker can take it back.
public enum HandshakeResult: Sendable {
    /// The job is done, and there is nothing to tell.
    case done
    /// An initiation to send, without its macs.
    case initiation(PeerID, InlineArray<148, UInt8>, index: ReceiverIndex)
    /// A response to send, without its macs, and the session that it makes.
    case response(PeerID, InlineArray<92, UInt8>, SessionKeys, index: ReceiverIndex, remote: ReceiverIndex, from: Path)
    /// Our initiation was answered: the session.
    case established(PeerID, SessionKeys, index: ReceiverIndex, remote: ReceiverIndex, from: Path)
    /// The times of all peers' handshakes.
    case times([PeerID: HandshakeTimes])
    /// What came of work about the keys that are agreed on with a peer.
    case key(PeerID, KeyResult)
    /// The message proved nothing, or the peer is gone.
    case failed(HandshakeFailure, PeerID?, index: ReceiverIndex, from: Path?)
}

/// Why a handshake went wrong, for the log.
public enum HandshakeFailure: Sendable, Equatable {
    /// We have no private key.
    case noIdentity
    /// The message is not made with the keys that both ends should have.
    case notAuthentic
    /// The message is made for another public key than this one, which is ours.
    case foreignKey(PublicKey)
    /// The sender knows our public key, and says that this is its own: no peer of ours has it.
    case stranger(PublicKey)
    /// The initiation is not newer than the last one of its sender: a replay, or its clock was set back.
    case replayed
    /// The initiation came too soon after the last one of its sender.
    case flood
    /// The response belongs to no initiation that is pending.
    case notPending
    /// The response does not open: wrong preshared key, or forged.
    case response
    /// The peer's public key can't be used: it is ours, or of low order.
    case unusableKey
}

/// Everything of the handshake that costs X25519 (190 µs a side): owned by one thread, fed with jobs.
///
/// It alone uses the private key and the preshared keys, and knows the pending handshakes and the timestamps of the
/// initiations that came. It has no clock and no socket; jobs bring the time.
public struct HandshakeEngine: ~Copyable {
    private var identity: Handshake.Identity?
    private var peers: [PeerID: KnownPeer] = [:]
    private var identifiers: [PublicKey: PeerID] = [:]
    var randomness: Randomness

    final class KnownPeer {
        var publicKey: PublicKey
        /// The one that is to take its place, and X25519 with that.
        var nextPublicKey: PublicKey?
        var nextShared: Secret?
        var keys: CandidateKeys
        /// X25519 of both static keys; `nil` if the peer's key can't be used.
        var staticShared: Secret?
        var pending: Handshake.Pending?
        var times = HandshakeTimes()
        /// Our encapsulation key that waits for its ciphertext.
        var offer: KeyOffer?

        init(_ publicKey: PublicKey, _ presharedKey: PresharedKey?, staticShared: Secret?) {
            self.publicKey = publicKey
            keys = CandidateKeys(presharedKey)
            self.staticShared = staticShared
        }

        /// What a new process goes on with.
        var allTimes: HandshakeTimes {
            var all = times
            all.agreed = keys.agreed
            return all
        }
    }

    public init(randomness: Randomness = .system) {
        self.randomness = randomness
    }

    /// Does one job, whatever it brings.
    public mutating func perform(_ job: HandshakeJob) -> HandshakeResult {
        switch job {
        case .identity(let key):
            setIdentity(key)
            return .done
        case .peer(let peer, let publicKey, let presharedKey):
            setPeer(peer, publicKey, presharedKey: presharedKey)
            return .done
        case .otherKey(let peer, let key):
            peers[peer]?.keys.other = key
            return .done
        case .proved(let peer, let index):
            peers[peer]?.keys.noteProved(index)
            return .done
        case .removePeer(let peer):
            if let removed = peers.removeValue(forKey: peer) {
                identifiers[removed.publicKey] = nil
                if let next = removed.nextPublicKey { identifiers[next] = nil }
            }
            return .done
        case .nextPublicKey(let peer, let key):
            setNextPublicKey(of: peer, key)
            return .done
        case .tookPublicKey(let peer):
            takePublicKey(of: peer)
            return .done
        case .initiate(let peer, let sender, let now, let toNext):
            return initiate(peer, sender: sender, at: now, toNext: toNext)
        case .initiation(let message, let index, let path, let now):
            return respond(to: message, index: index, from: path, at: now)
        case .response(let peer, let message, let index, let path):
            return finish(peer, message, index: index, from: path)
        case .key(let id, let job):
            guard let peer = peers[id], let result = perform(job, for: peer) else { return .done }
            return .key(id, result)
        case .tellTimes: return .times(peers.mapValues(\.allTimes))
        case .adoptTimes(let peer, let times):
            peers[peer]?.times = times
            peers[peer]?.keys.adopt(times.agreed)
            return .done
        case .forget:
            identity = nil
            peers = [:]
            identifiers = [:]
            return .done
        }
    }

    /// Our own.
    var publicKey: PublicKey? { identity?.publicKey }

    private mutating func setIdentity(_ key: PrivateKey?) {
        identity = key.map { Handshake.Identity($0) }
        for peer in peers.values {
            peer.pending = nil
            peer.offer = nil
            peer.staticShared = shared(with: peer.publicKey)
            peer.nextShared = peer.nextPublicKey.flatMap { shared(with: $0) }
        }
    }

    private mutating func setNextPublicKey(of id: PeerID, _ key: PublicKey?) {
        guard let peer = peers[id] else { return }
        if let old = peer.nextPublicKey, identifiers[old] == id { identifiers[old] = nil }
        // A key that is somebody's is not somebody else's next one.
        guard let key, identifiers[key] == nil else {
            peer.nextPublicKey = nil
            peer.nextShared = nil
            return
        }
        peer.nextPublicKey = key
        peer.nextShared = shared(with: key)
        identifiers[key] = id
    }

    private mutating func takePublicKey(of id: PeerID) {
        guard let peer = peers[id], let key = peer.nextPublicKey else { return }
        identifiers[peer.publicKey] = nil
        peer.publicKey = key
        peer.staticShared = peer.nextShared
        peer.nextPublicKey = nil
        peer.nextShared = nil
    }

    private mutating func setPeer(_ peer: PeerID, _ publicKey: PublicKey, presharedKey: PresharedKey?) {
        identifiers[publicKey] = peer
        if let known = peers[peer] {
            known.keys.configure(presharedKey)
        } else {
            peers[peer] = KnownPeer(publicKey, presharedKey, staticShared: shared(with: publicKey))
        }
    }

    /// X25519 of our key and a peer's; `nil` without a key, with our own, or if theirs is of low order.
    private func shared(with publicKey: PublicKey) -> Secret? {
        guard let identity, identity.publicKey != publicKey,
            var shared = Primitive.sharedSecret(identity.key.bytes, publicKey)
        else { return nil }
        defer { wipe(&shared) }
        return Secret(copying: shared.span)
    }

    private mutating func initiate(
        _ id: PeerID, sender: ReceiverIndex, at now: Now, toNext: Bool
    ) -> HandshakeResult {
        guard let identity else { return .failed(.noIdentity, id, index: sender, from: nil) }
        guard let peer = peers[id], let shared = toNext ? peer.nextShared : peer.staticShared else {
            return .failed(.unusableKey, id, index: sender, from: nil)
        }
        let publicKey = toNext ? peer.nextPublicKey ?? peer.publicKey : peer.publicKey
        let timestamp = TAI64N(now.wall, after: peer.times.lastSent)
        let initiated = Handshake.initiate(
            from: identity, to: Handshake.Responder(publicKey: publicKey, staticShared: shared), sender: sender,
            timestamp: timestamp, ephemeral: ephemeral())
        guard let initiated else { return .failed(.unusableKey, id, index: sender, from: nil) }
        peer.times.lastSent = timestamp
        peer.pending = initiated.pending
        peer.pending?.isToNext = toNext
        return .initiation(id, initiated.message, index: sender)
    }

    private mutating func respond(
        to message: Initiation.Bytes, index: ReceiverIndex, from path: Path, at now: Now
    ) -> HandshakeResult {
        guard let identity else { return .failed(.noIdentity, nil, index: index, from: path) }
        var stranger: PublicKey?
        let received = Handshake.receive(message, identity: identity) { key in
            guard let id = identifiers[key] else { stranger = key; return nil }
            guard let peer = peers[id] else { return nil }
            return key == peer.publicKey ? peer.staticShared : peer.nextShared
        }
        guard let received, let id = identifiers[received.initiator], let peer = peers[id] else {
            return .failed(stranger.map { .stranger($0) } ?? .notAuthentic, nil, index: index, from: path)
        }
        guard received.timestamp > peer.times.lastReceived else {
            return .failed(.replayed, id, index: index, from: path)
        }
        guard now.instant - peer.times.lastReceivedAt >= Limits.initiationInterval else {
            return .failed(.flood, id, index: index, from: path)
        }
        let chosen = peer.keys.choose(for: index, at: now.instant)
        let answer = Handshake.respond(
            to: received, presharedKey: chosen.key, sender: index, ephemeral: ephemeral())
        guard var answer else { return .failed(.notAuthentic, id, index: index, from: path) }
        answer.keys.presharedKey = chosen.name
        answer.keys.isOfNextKey = received.initiator != peer.publicKey
        peer.times.lastReceived = received.timestamp
        peer.times.lastReceivedAt = now.instant
        return .response(id, answer.message, answer.keys, index: index, remote: received.sender, from: path)
    }

    private mutating func finish(
        _ id: PeerID, _ message: Response.Bytes, index: ReceiverIndex, from path: Path
    ) -> HandshakeResult {
        guard let identity, let peer = peers[id], let pending = peer.pending, pending.index == index else {
            return .failed(.notPending, id, index: index, from: path)
        }
        let candidates = peer.keys.all
        let finished = Handshake.finish(
            message, pending: pending, identity: identity, presharedKeys: candidates.map(\.key))
        guard let finished else { return .failed(.response, id, index: index, from: path) }
        var keys = finished.keys
        keys.presharedKey = candidates[finished.index].name
        keys.isOfNextKey = pending.isToNext && peer.nextPublicKey != nil
        peer.keys.noteUsed(keys.presharedKey)
        peer.pending = nil
        return .established(
            id, keys, index: index,
            remote: ReceiverIndex(rawValue: message.little32(at: Response.sender)), from: path)
    }

    private mutating func ephemeral() -> PrivateKey {
        var bytes: Bytes32 = randomness.bytes()
        return PrivateKey(consuming: &bytes)
    }
}
