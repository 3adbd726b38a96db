public import Keys

// Units that refer to those before them, where one of those is waited for.

extension Tunnel {
    /// Sets whether units to and from a peer refer to others, and to which.
    public mutating func setHistory(
        _ wanted: Bool, _ scope: HistoryScope = .flow, of key: PublicKey, at now: Now
    ) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setHistory(wanted, scope, &services)
    }

    /// Sets how much memory the streams and the dictionaries of all peers may take, in bytes; those that are there keep theirs.
    public mutating func setHistoryMemory(_ bytes: Int) {
        services.egress.streams.most = bytes / 8 * 3
        services.ingress.opener.streams.most = bytes / 8 * 3
        services.egress.dictionaries.most = bytes / 8
        services.ingress.opener.dictionaries.most = bytes / 8
    }

    /// How often one looks whether a unit still waits in vain.
    private static let look = Interval.milliseconds(50)

    /// Decodes what waits for nothing any more.
    @inline(__always)
    mutating func releaseUnits(of slot: PeerSlot) {
        if services.ingress.opener.dictionaries.tellsAt <= services.now.instant { tellLearned(slot) }
        guard services.ingress.opener.units.count > 0 || !services.ingress.opener.untold.isEmpty else { return }
        decodeUnits(of: slot)
    }

    /// Tells a peer, and then all others, what of theirs has become part of a dictionary.
    @inline(never)
    private mutating func tellLearned(_ slot: PeerSlot) {
        peers[slot].sendLearned(&services)
        while services.egress.outbox.hasRoom,
            let next = services.ingress.opener.dictionaries.nextToTell(at: services.now.instant)
        {
            peers[next].sendLearned(&services)
        }
    }

    @inline(never)
    private mutating func decodeUnits(of slot: PeerSlot) {
        let now = services.now.instant
        services.ingress.unitsAt = now + Self.look
        // What parity gives back comes before what stands behind it.
        if !services.ingress.opener.parity.hasRebuilt(of: slot) {
            while let turn = peers[slot].nextUnit(&services) {
                // A hub passes on what it decodes.
                guard services.ingress.inbox.hasRoom, mode == .packets || hasRoomToSend else {
                    services.ingress.unitsAt = now
                    break
                }
                if peers[slot].ordersPackets(at: now),
                    let later = peers[slot].repair.pace.take(turn.unit.length * 3, at: now)
                {
                    services.ingress.unitsAt = later
                    break
                }
                if case .packets(let packets) = peers[slot].receive(turn, &services) {
                    deliver(packets, counter: turn.unit.counter, from: slot)
                    makeRoomToGather()
                }
            }
        }
        peers[slot].sendClosings(&services)
    }

    /// When what waits is to be looked at again; `nil`: nothing does.
    var nextUnits: Instant? {
        let opener = min(services.ingress.opener.streams.expiresAt, services.egress.streams.expiresAt)
        let units = services.ingress.opener.units.count > 0 ? services.ingress.unitsAt : .distantFuture
        let dictionaries = min(
            services.egress.dictionaries.expiresAt, services.ingress.opener.dictionaries.expiresAt,
            services.ingress.opener.dictionaries.tellsAt)
        let next = min(opener, units, dictionaries)
        return next == .distantFuture ? nil : next
    }

    /// Does what is due of that.
    mutating func handleUnits(at now: Instant) {
        if services.ingress.opener.units.count > 0, services.ingress.unitsAt <= now {
            for place in 0..<InboundStreams.capacity where !services.ingress.opener.units.isEmpty(place) {
                guard let stream = services.ingress.opener.streams[place] else { continue }
                releaseUnits(of: stream.peer)
            }
        }
        if services.ingress.opener.streams.expiresAt <= now { services.ingress.opener.expireStreams(at: now) }
        if services.ingress.opener.dictionaries.tellsAt <= now,
            let slot = services.ingress.opener.dictionaries.nextToTell(at: now)
        {
            tellLearned(slot)
        }
        if services.ingress.opener.dictionaries.expiresAt <= now {
            services.ingress.opener.dictionaries.expire(at: now)
        }
        if services.egress.dictionaries.expiresAt <= now { services.egress.dictionaries.expire(at: now) }
        if services.egress.streams.expiresAt <= now { services.egress.streams.expire(at: now) }
    }
}
