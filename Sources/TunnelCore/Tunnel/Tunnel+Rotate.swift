public import Keys

extension Tunnel {
    /// Tells a peer of a key (docs/protocol.md §3.13); with `nil` only says whether it could be told, and asks for a session if there is
    /// none. What it answers comes as an event.
    public mutating func rotate(_ record: RotateRecord?, with key: PublicKey, at now: Now) -> RotateOutcome {
        guard let slot = peers.slot(of: key) else { return .noPeer }
        services.now = now
        return peers[slot].rotate(record, &services)
    }

    /// Whether a session with a peer was begun after its preshared keys were set.
    public func keysStand(with key: PublicKey) -> Bool {
        peers.slot(of: key).map { peers[$0].keysStand(services) } ?? false
    }

    /// Has a session with a peer made with the keys of now; the old one goes on until then.
    public mutating func renewSession(with key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].renew(&services)
    }

    /// Sets the public key that is to take the place of a peer's, `nil` being none; handshakes of both are taken. That the peer has shown it
    /// comes as an event, with `done`.
    public mutating func setNextPublicKey(_ next: PublicKey?, of key: PublicKey) {
        guard let slot = peers.slot(of: key), next.map({ $0 != publicKey && peers.slot(of: $0) == nil }) ?? true
        else { return }
        peers[slot].setNextPublicKey(next, &services)
    }

    /// Has that key be the peer's; sessions go on. False if it was not to be its key.
    @discardableResult
    public mutating func rename(_ key: PublicKey, to next: PublicKey) -> Bool {
        guard let slot = peers.slot(of: key), peers[slot].nextPublicKey == next, peers.slot(of: next) == nil else {
            return false
        }
        peers.rename(key, to: next)
        peers[slot].takeNextPublicKey(&services)
        return true
    }

    /// Goes over to another private key. Sessions go on, and each peer that has one is asked for another at once.
    public mutating func changePrivateKey(to key: PrivateKey, at now: Now) {
        services.now = now
        privateKey = key
        publicKey = key.publicKey
        admission.setIdentity(publicKey)
        services.hasIdentity = true
        services.jobs.append(.identity(key))
        services.indices.removeReserved()
        removePeer(key.publicKey)
        for slot in peers.all { peers[slot].renew(&services) }
    }
}
