// How fast a peer is sent to: as configured, as it says, or as the link turns out to take.

extension Peer {
    /// Sets how fast it is sent to, in bits a second, or between which rates the one that the link takes is looked for; `nil`: as fast as it
    /// goes, or as it says.
    mutating func setRate(_ rate: UInt64?, within bounds: ClosedRange<UInt64>?, _ services: inout Services) {
        rates.configured = rate
        guard (bounds != nil) != rates.isFound else {
            if let bounds { services.egress.found.setBounds(bounds, of: rates.found) }
            return applyRate(&services)
        }
        let before = announcement(services.cargo)
        if let bounds {
            rates.found = services.egress.found.add(bounds)
        } else {
            services.egress.found.remove(rates.found)
            rates.found = -1
        }
        applyRate(&services)
        announce(after: before, &services)
    }

    /// Tells the peer what has changed in our HELLO; what there is none about any more only a new session unsays, and what there was none
    /// about before needs one as well.
    private mutating func announce(after before: Announcement?, _ services: inout Services) {
        let now = announcement(services.cargo)
        guard now != before else { return }
        guard now?.records == before?.records else { return beginAnew(&services) }
        if let session = keypairs.current { sendHello(on: session, &services) }
    }

    /// Ends all rates of a peer that is removed.
    mutating func endRates(_ services: inout Services) {
        if rates.isFound { services.egress.found.remove(rates.found) }
        rates = PeerRates()
        services.egress.queue.setRate(nil, of: id.slot)
    }

    /// Goes on with what the peer has said, and with the rate that was found, after another process.
    mutating func resumeRates(told: UInt64?, found: UInt64?, _ services: inout Services) {
        rates.restore(told: told)
        if let found, rates.isFound { services.egress.found.resume(rates.found, at: found) }
        applyRate(&services)
    }

    private func applyRate(_ services: inout Services) {
        services.egress.queue.setRate(rates.sending(services.egress.found), of: id.slot)
    }

    /// Sets how fast we can be sent to by it, in kbit/s, and tells it.
    mutating func setDownRate(_ rate: UInt32?, _ services: inout Services) {
        guard rate != rates.down else { return }
        rates.down = rate
        // Without a word for it left, only a new session unsays it.
        guard announcement(services.cargo) != nil else { return beginAnew(&services) }
        if let session = keypairs.current { sendHello(on: session, &services) }
    }

    /// Sets whether what the path loses is sent again; what was announced is unsaid by a new session.
    mutating func setRepairs(_ repairs: Bool, _ services: inout Services) {
        guard repairs != repair.isWanted else { return }
        let before = announcement(services.cargo)
        repair.isWanted = repairs
        if !repairs { endRepair(&services) }
        if announcement(services.cargo) != before { beginAnew(&services) }
    }

    /// Takes the peer's word of how fast it can be sent to.
    mutating func take(downRate: UInt32?, _ services: inout Services) {
        let before = rates.told
        let isSensible = rates.take(downRate)
        if !isSensible, let downRate { services.note(.downRateRefused(publicKey, kilobits: downRate)) }
        guard rates.told != before else { return }
        applyRate(&services)
        services.note(.downRate(publicKey, kilobits: rates.told.map { UInt32(clamping: $0 / 1000) }))
    }

    // MARK: A rate that is found

    /// Notes that datagrams of a session's lane for data leave, from a counter on.
    @inline(never)
    func noteDepartures(from counter: UInt64, on session: SessionSlot, _ services: inout Services) {
        guard let lane = services.sessions[session].dataIndex else { return }
        let end = services.sessions[session].nextCounter
        let now = services.now.instant
        var counter = counter
        while counter < end {
            services.egress.found.noteDeparture(of: counter, on: lane, rates.found, at: now)
            counter += 1
        }
    }

    /// Notes that a datagram that has waited sealed leaves.
    @inline(never)
    func noteDeparture(of datagram: PacketQueue.Waiting, _ services: inout Services) {
        let start = unsafe services.egress.queue.start(of: datagram)
        let lane = unsafe UInt32(littleEndian: start.loadUnaligned(fromByteOffset: Transport.receiver, as: UInt32.self))
        let counter = unsafe UInt64(
            littleEndian: start.loadUnaligned(fromByteOffset: Transport.counter, as: UInt64.self))
        services.egress.found.noteDeparture(
            of: counter, on: ReceiverIndex(rawValue: lane), rates.found, at: services.now.instant)
    }

    /// Lets the rate age before something is sent; says once if the peer says nothing of what arrives.
    @inline(never)
    func ageRate(_ services: inout Services) {
        let sent = services.egress.queue.charged(to: id.slot)
        let silence = services.egress.found.age(rates.found, sent: sent, at: services.now.instant)
        if silence == .begins {
            services.note(
                .rateUnheard(publicKey, kilobits: services.egress.found.bounds(rates.found).lowerBound / 1000))
        }
        applyRate(&services)
    }

    /// Takes what the peer says of what has arrived, its highest counter so long before it said so.
    mutating func takeWord(
        _ report: ReportRecord, age: Interval, on session: SessionSlot, _ services: inout Services
    ) {
        guard rates.isFound, keypairs.current == session, report.isAES == services.sessions[session].aes.isOpen else {
            return
        }
        let context = FoundRates.Context(
            index: services.sessions[session].wireGuard.localIndex, lane: services.sessions[session].dataIndex,
            sent: services.egress.queue.charged(to: id.slot), overhead: services.egress.queue.linkOverhead,
            roundTrip: quality.roundTrip)
        services.egress.found.take(report, age: age, context, of: rates.found, at: services.now.instant)
        applyRate(&services)
    }

    /// The rate that is found, if there is one.
    func foundRate(_ services: borrowing Services) -> FoundRate? {
        guard rates.isFound else { return nil }
        let sent = services.egress.queue.charged(to: id.slot)
        let bounds = services.egress.found.bounds(rates.found)
        return FoundRate(
            rate: services.egress.found.rate(rates.found, sent: sent, at: services.now.instant),
            least: bounds.lowerBound,
            most: bounds.upperBound, isUnheard: services.egress.found.isUnheard(rates.found))
    }
}
