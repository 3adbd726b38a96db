public import Addresses

// What the edge knows of the way to peers: the MTU of the interface that it begins with, and ICMP errors about datagrams that were
// too big.

extension Tunnel {
    /// The next peer whose way there is to be asked for, and where it is.
    public mutating func pollRouteQuestion() -> (PeerSlot, Endpoint)? {
        while !services.routeQuestions.isEmpty {
            let slot = services.routeQuestions.removeFirst()
            if slot.offset < peers.slotCount, peers[slot].isAlive, let path = peers[slot].path {
                return (slot, path.remote)
            }
        }
        return nil
    }

    /// Takes the MTU of our interface on the way to a peer, and what the route itself is said to take, which is no more.
    public mutating func setRouteMTU(_ mtu: Int, route: Int, ofPeer slot: PeerSlot, at now: Now) {
        guard slot.offset < peers.slotCount else { return }
        services.now = now
        peers[slot].setRouteMTU(mtu, route: route, &services)
    }

    /// Has a peer's way asked for again.
    public mutating func askRoute(ofPeer slot: PeerSlot) { services.routeQuestions.append(slot) }

    /// Routes or interfaces outside are others than before: the way to every peer is asked for again.
    public mutating func forgetRoutes(at now: Now) {
        services.now = now
        for slot in peers.all { peers[slot].forgetRoute(&services) }
    }

    /// Notes that an ICMP error says that a datagram to `endpoint` was too big for `mtu` bytes on the way. `quote` is what it quotes
    /// of the datagram.
    public mutating func noteTooBig(_ mtu: Int, to endpoint: Endpoint, quote: RawSpan, at now: Now) {
        guard tooBigs.admit(at: now.instant) else { return }
        services.now = now
        var isKnown = false
        for slot in peers.all where peers[slot].path?.remote == endpoint {
            isKnown = true
            peers[slot].noteTooBig(mtu, quote: quote, &services)
        }
        if !isKnown { ignoredTooBigs &+= 1 }
    }

    /// Notes that our own interface took datagrams to a peer only in pieces, or not at all.
    public mutating func noteDivided(toPeer slot: PeerSlot, at now: Now) {
        guard slot.offset < peers.slotCount else { return }
        services.now = now
        peers[slot].noteDivided(&services)
    }
}
