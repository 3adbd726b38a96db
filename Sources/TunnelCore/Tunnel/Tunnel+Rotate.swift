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
}
