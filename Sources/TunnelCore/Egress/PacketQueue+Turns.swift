// Whose turn it is: first among peers, then among the flows of a peer (`FlowQueues`).

extension PacketQueue {
    /// What a grant with a unit, which gains by being large, takes of a link's time, in milliseconds.
    private static let unitTime = 20
    private static let unitLeast = 1500
    /// How long before a link is free a unit for it is made at the most, and what a link for which that is done takes in a millisecond.
    private static let ahead = Interval.milliseconds(20)
    private static let thin = 6250

    /// When something may be sent, at the earliest; `nil` if nothing waits.
    func nextSend(at now: Instant) -> Instant? {
        guard count + sealedCount > 0 else { return nil }
        let shared = shaper?.freeAt ?? .distantPast
        var earliest = Instant.distantFuture
        var number = active.head
        while number >= 0, earliest > now {
            earliest = min(earliest, lines[Int(number)].shaper?.freeAt ?? .distantPast)
            number = lines[Int(number)].next
        }
        return max(shared, earliest)
    }

    /// What leaves next, if the link is free: flows that are new, then what is left of a unit, then the flow whose turn it is.
    mutating func next(at now: Instant) -> Turn? {
        guard count + sealedCount > 0, shaper?.isFree(at: now) != false else { return nil }
        if sealedCount > 0, let turn = nextBesideUnit(at: now) { return turn }
        // Each peer is looked at until its deficit is made up; peers that must wait for their own rate are passed over.
        var passes = 0
        var number = active.head
        while number >= 0 {
            let line = Int(number)
            let following = lines[line].next
            guard lines[line].isWaiting else {
                close(PeerSlot(number))
                number = following
                continue
            }
            let isFree = lines[line].shaper?.isFree(at: now) != false
            if isFree, lines[line].deficit > 0, let flow = nextFlow(of: line) {
                let unit = min(inMillisecond(for: PeerSlot(number)), Limits.unit) * Self.unitTime
                return .flow(
                    Grant(
                        peer: PeerSlot(number), flow: flow, unit: min(max(unit, Self.unitLeast), Limits.unit),
                        plain: atOnce(for: PeerSlot(number)), isBesideUnit: false))
            }
            if isFree, lines[line].deficit <= 0 { lines[line].deficit += FlowQueues.quantum }
            number = following
            // A round is over: another one, if somebody only has to make up for what it had.
            if number < 0, passes < 128, hasFree(at: now) {
                passes += 1
                number = active.head
            }
        }
        return nil
    }

    /// What leaves next when a thin link is free again, which is soon, if nothing is sealed for it: to be coded while the link is busy.
    mutating func nextAhead(at now: Instant) -> Grant? {
        guard sealedCount == 0, count > 0, let free = nextSend(at: now), free > now, free < now + Self.ahead,
            case .flow(var grant)? = next(at: free), inMillisecond(for: grant.peer) < Self.thin
        else { return nil }
        grant.isAhead = true
        return grant
    }

    /// A new flow of a peer that may be sent to, else the next datagram of a unit.
    private mutating func nextBesideUnit(at now: Instant) -> Turn? {
        var datagram: PeerSlot?
        var number = active.head
        while number >= 0 {
            let peer = PeerSlot(number)
            if lines[Int(number)].shaper?.isFree(at: now) != false {
                if let flow = flows.nextNew(&lines[Int(number)].turns) {
                    return .flow(Grant(peer: peer, flow: flow, unit: Self.unitLeast, plain: 0, isBesideUnit: true))
                }
                if datagram == nil, !lines[Int(number)].sealed.isEmpty { datagram = peer }
            }
            number = lines[Int(number)].next
        }
        return datagram.map { .datagram($0) }
    }

    private func hasFree(at now: Instant) -> Bool {
        var number = active.head
        while number >= 0 {
            if lines[Int(number)].count > 0, lines[Int(number)].shaper?.isFree(at: now) != false { return true }
            number = lines[Int(number)].next
        }
        return false
    }

    /// The flow of a peer whose turn it is.
    private mutating func nextFlow(of line: Int) -> Int32? {
        guard let next = flows.next(&lines[line].turns) else { return nil }
        if next.isOld { lines[line].log.noteBulk(FlowQueues.index(of: next.flow)) }
        return next.flow
    }

    /// Takes a peer for which nothing waits from those that have something to send.
    private mutating func close(_ peer: PeerSlot) {
        var previous: Int32 = -1
        var number = active.head
        while number >= 0, number != peer.number {
            previous = number
            number = lines[Int(number)].next
        }
        guard number >= 0 else { return }
        let next = lines[Int(number)].next
        if previous < 0 { active.head = next } else { lines[Int(previous)].next = next }
        if active.tail == number { active.tail = previous }
        flows.close(lines[peer.offset].table, &lines[peer.offset].turns)
        lines[peer.offset].table = -1
    }

    /// Puts a peer that has had its part behind the others.
    mutating func rotate(_ peer: PeerSlot) {
        guard active.head == peer.number, active.tail != peer.number else { return }
        active.head = lines[peer.offset].next
        lines[Int(active.tail)].next = peer.number
        lines[peer.offset].next = -1
        active.tail = peer.number
    }

    /// Gives a peer a part of the flow table and a place among those that have something to send.
    mutating func open(_ peer: PeerSlot) {
        lines[peer.offset].table = flows.openTable()
        lines[peer.offset].deficit = FlowQueues.quantum
        lines[peer.offset].next = -1
        if active.isEmpty { active.head = peer.number } else { lines[Int(active.tail)].next = peer.number }
        active.tail = peer.number
    }

    // MARK: What the links take

    /// What the links on the way to a peer take in a time.
    func bytes(for peer: PeerSlot, in time: Interval) -> Int {
        let own = peer.offset < lines.count ? lines[peer.offset].shaper : nil
        return min(shaper?.bytes(in: time) ?? .max, own?.bytes(in: time) ?? .max)
    }

    /// What they take in a millisecond.
    @inline(__always)
    func inMillisecond(for peer: PeerSlot) -> Int {
        let own = peer.offset < lines.count ? lines[peer.offset].shaper?.inMillisecond : nil
        return min(shaper?.inMillisecond ?? .max, own ?? .max)
    }

    /// What leaves at once to a peer at most, in bytes on the link, unless one packet is more.
    @inline(__always)
    func atOnce(for peer: PeerSlot) -> Int {
        let own = peer.offset < lines.count ? lines[peer.offset].shaper?.grant : nil
        return min(shaper?.grant ?? .max, own ?? .max)
    }

    /// The same of a unit.
    func unitAtOnce(for peer: PeerSlot) -> Int {
        let own = peer.offset < lines.count ? lines[peer.offset].shaper?.unit : nil
        return min(shaper?.unit ?? .max, own ?? .max)
    }
}
