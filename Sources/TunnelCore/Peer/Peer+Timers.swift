// The timers of a peer, whitepaper §6.

extension Peer {
    /// Does what is due. To be called when the schedule comes to this peer, `instant` being what it was entered for.
    mutating func handleTimeout(scheduledAt instant: Instant, _ services: inout Services) {
        guard isAlive, timers.scheduled == instant else { return }
        timers.scheduled = .distantFuture
        for timer in PeerTimer.allCases where timers[timer] <= services.now.instant {
            timers.disarm(timer)
            expire(timer, &services)
        }
        let earliest = timers.earliest
        if earliest != .distantFuture { enlist(at: earliest, &services.schedule) }
    }

    /// Sets a timer, whether it was set or not.
    @inline(__always)
    mutating func arm(_ timer: PeerTimer, at deadline: Instant, _ schedule: inout Schedule) {
        timers[timer] = deadline
        enlist(at: deadline, &schedule)
    }

    /// Sees to it that the schedule looks at this peer by `deadline`. Later deadlines need nothing: when the schedule
    /// comes, it finds out.
    @inline(__always)
    private mutating func enlist(at deadline: Instant, _ schedule: inout Schedule) {
        guard deadline < timers.scheduled else { return }
        timers.scheduled = deadline
        schedule.add(id.slot, at: deadline)
    }

    private mutating func expire(_ timer: PeerTimer, _ services: inout Services) {
        switch timer {
        case .retransmitHandshake: retransmitHandshake(&services)
        case .keepalive:
            sendKeepalive(&services)
            if needsAnotherKeepalive {
                needsAnotherKeepalive = false
                arm(.keepalive, at: services.now.instant + Limits.keepaliveTimeout, &services.schedule)
            }
        case .newHandshake:
            // The way back may be what is broken: let the routing table choose the source again.
            path?.local = nil
            startHandshake(&services)
        case .wipe: wipeSessions(&services)
        case .persistentKeepalive:
            if persistentKeepalive != nil { sendKeepalive(&services) }
            noteAuthenticatedTraversal(&services)
        case .hello: repeatHello(&services)
        case .receipt: askForMissing(&services)
        case .probe: sendProbe(&services)
        case .pathMTU: searchPath(&services)
        case .keyExchange: repeatExchange(&services)
        }
    }

    /// Anything authentic went either way: the operator's keepalive starts over.
    @inline(__always)
    mutating func noteAuthenticatedTraversal(_ services: inout Services) {
        if let persistentKeepalive {
            arm(.persistentKeepalive, at: services.now.instant + persistentKeepalive, &services.schedule)
        }
    }
}
