// What others say of the size of a datagram: ICMP on the way, and our own interface.

extension PathMTU {
    /// An ICMP error says that a datagram was too big for `mtu`. Whoever sent it has seen one of ours if `isBelievable`; else it is only
    /// worth a question. When to go on.
    mutating func takeTooBig(_ mtu: Int, isBelievable: Bool, at now: Instant) -> Instant? {
        defer {
            update()
            setWatch()
        }
        guard sizes.ceiling > 0, mtu >= sizes.floor, mtu < sizes.ceiling else {
            ignored &+= 1
            return nil
        }
        guard isBelievable else {
            ignored &+= 1
            guard phase == .complete, !round.isOpen, now - round.askedAt > Self.quiet else { return nil }
            isVerifying = true
            return now
        }
        sizes.hint = mtu
        if sizes.confirmed > 0, mtu >= sizes.confirmed {
            // About a question of ours: there is less to find.
            sizes.failed = min(sizes.failed, mtu + 1)
            return nil
        }
        lower(below: mtu + 1)
        source = .icmp
        return now
    }

    /// The same to a peer that answers no PING: it is taken at its word for some time.
    mutating func takeTooBigUnasked(_ mtu: Int, isBelievable: Bool, at now: Instant) -> Instant? {
        guard sizes.ceiling > 0, mtu >= sizes.floor, mtu < sizes.ceiling, isBelievable else {
            ignored &+= 1
            return nil
        }
        guard sizes.confirmed == 0 || mtu < sizes.confirmed else { return nil }
        sizes.confirmed = mtu
        source = .icmp
        phase = .complete
        raiseAt = now + Self.raiseAfter
        told = mtu
        news = PathNews(mtu: mtu, source: .icmp, isSilent: false)
        update()
        limit.whole = 0
        return raiseAt
    }

    /// What ICMP said to be so is believed no longer than that.
    mutating func expireUnasked(at now: Instant) {
        guard now >= raiseAt, phase == .complete else { return }
        sizes.confirmed = 0
        phase = .disabled
        source = .assumed
        raiseAt = .distantFuture
        update()
    }

    /// Our own interface took a datagram only in pieces.
    mutating func noteDivided(at now: Instant) -> Instant? {
        guard phase == .complete, !round.isOpen, now - round.askedAt > Self.gap else { return nil }
        isVerifying = true
        return now
    }
}
