public import Addresses
public import Keys

// What the edge finds out of what keeps peers from being reached.

extension Tunnel {
    /// The system did not send to a peer.
    public mutating func noteNotSent(toPeer slot: PeerSlot, errno: Int32, at now: Now) {
        guard slot.offset < peers.slotCount else { return }
        services.now = now
        peers[slot].noteNotSent(errno: errno, &services)
    }

    /// An ICMP error came for what was sent to `endpoint`. Looks at all peers, so not more often than it can matter.
    public mutating func noteRejected(_ endpoint: Endpoint, _ rejection: PeerProblem.Rejection, at now: Now) {
        guard rejections.admit(at: now.instant) else { return }
        services.now = now
        for slot in peers.all where peers[slot].path?.remote == endpoint {
            peers[slot].notice(.rejected(endpoint, rejection), &services)
        }
    }

    /// Somebody else found out what is wrong with a peer.
    public mutating func note(_ problem: PeerProblem, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].notice(problem, &services)
    }

    /// Events that there was no room for.
    public var unnotedEvents: UInt64 { services.unnotedEvents }
}
