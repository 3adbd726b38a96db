public import Addresses
public import Keys

// Problems of peers that the edge finds out: what keeps them from being reached.

extension Tunnel {
    /// Notes that the system did not send to a peer.
    public mutating func noteNotSent(toPeer slot: PeerSlot, errno: Int32, at now: Now) {
        guard slot.offset < peers.slotCount else { return }
        services.now = now
        peers[slot].noteNotSent(errno: errno, &services)
    }

    /// Counts so many datagrams for which the way to a peer had no room.
    public mutating func noteQueueFull(toPeer slot: PeerSlot, datagrams: Int) {
        guard slot.offset < peers.slotCount else { return }
        peers[slot].drops.count(.queueFull, datagrams)
        if services.trace.isOn { traceDrops(.queueFull, datagrams, of: slot) }
    }

    /// Notes that an ICMP error came for a datagram to `endpoint`. Looks at all peers, so not more often than it can matter.
    public mutating func noteRejected(_ endpoint: Endpoint, _ rejection: PeerProblem.Rejection, at now: Now) {
        guard rejections.admit(at: now.instant) else { return }
        services.now = now
        for slot in peers.all where peers[slot].path?.remote == endpoint {
            peers[slot].notice(.rejected(endpoint, rejection), &services)
        }
    }

    /// Notes a problem of a peer that somebody outside found out.
    public mutating func note(_ problem: PeerProblem, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].notice(problem, &services)
    }

    /// Events that there was no room for.
    public var unnotedEvents: UInt64 { services.unnotedEvents }
}
