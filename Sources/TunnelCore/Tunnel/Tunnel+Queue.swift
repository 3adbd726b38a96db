public import Keys

// Links with a rate: `[Interface] Rate` and `[Peer] Rate`.

extension Tunnel {
    /// Sets how fast all peers together are sent to, in bits a second on the wire; `nil`: as fast as it goes. `overhead` is what a
    /// datagram takes on that link besides itself and its IP and UDP headers, in bytes.
    public mutating func setRate(_ rate: UInt64?, linkOverhead: Int, at now: Now) {
        services.now = now
        services.egress.queue.linkOverhead = linkOverhead
        services.egress.queue.setRate(rate)
    }

    /// Sets how fast a peer is sent to.
    public mutating func setRate(_ rate: UInt64?, of key: PublicKey, at now: Now) {
        setRate(rate, within: nil, of: key, at: now)
    }

    /// Sets between which rates the one at which a peer is sent to is found, in bits a second.
    public mutating func setRate(within bounds: ClosedRange<UInt64>, of key: PublicKey, at now: Now) {
        setRate(nil, within: bounds, of: key, at: now)
    }

    mutating func setRate(_ rate: UInt64?, within bounds: ClosedRange<UInt64>?, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setRate(rate, within: bounds, &services)
    }

    /// Sets how fast we can be sent to by a peer, in kbit/s, which it is told.
    public mutating func setDownRate(_ rate: UInt32?, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setDownRate(rate, &services)
    }

    /// Sets whether what the path to a peer loses is sent again.
    public mutating func setRepairs(_ repairs: Bool, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setRepairs(repairs, &services)
    }

    /// Sets how much parity a peer is sent.
    public mutating func setParity(_ wish: ParityWish, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setParity(wish, &services)
    }

    /// Sends what waits, as far as the links are free and the outbox has room.
    mutating func sendQueued() {
        guard services.egress.queue.isUsed else { return }
        while services.egress.outbox.hasRoom, let turn = services.egress.queue.next(at: services.now.instant) {
            switch turn {
            case .flow(let grant):
                peers[grant.peer].send(grant, &services)
                makeRoomToGather()
            case .datagram(let peer): peers[peer].sendSealed(&services)
            }
        }
        if services.egress.outbox.hasRoom, let grant = services.egress.queue.nextAhead(at: services.now.instant) {
            peers[grant.peer].send(grant, &services)
            makeRoomToGather()
        }
    }
}
