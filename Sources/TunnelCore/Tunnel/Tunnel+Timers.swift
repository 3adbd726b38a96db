import BasicContainers
import HeapModule

// Time, whitepaper §6.

extension Tunnel {
    /// Does what is due, as long as the outbox has room: whoever calls it sends and calls again until `nextTimeout` lies ahead.
    public mutating func handleTimeout(at now: Now) {
        while outbox.hasRoom, let wake = schedule.min, wake.at <= now.instant {
            schedule.removeMin()
            let slot = wake.slot
            guard peers[Int(slot)].isAlive, peers[Int(slot)].timers.scheduled == wake.at else { continue }
            peers[Int(slot)].timers.scheduled = .distantFuture
            for timer in PeerTimer.allCases where peers[Int(slot)].timers[timer] <= now.instant {
                peers[Int(slot)].timers.disarm(timer)
                expire(timer, slot, at: now)
            }
            let earliest = peers[Int(slot)].timers.earliest
            if earliest != .distantFuture { enlist(slot, at: earliest) }
        }
    }

    /// Sets a timer of a peer, whether it was set or not.
    @inline(__always)
    mutating func arm(_ timer: PeerTimer, _ slot: Int32, at deadline: Instant) {
        peers[Int(slot)].timers[timer] = deadline
        enlist(slot, at: deadline)
    }

    /// Sees to it that the schedule looks at a peer by `deadline`. Later deadlines need nothing: when the schedule
    /// comes, it finds out.
    @inline(__always)
    private mutating func enlist(_ slot: Int32, at deadline: Instant) {
        guard deadline < peers[Int(slot)].timers.scheduled else { return }
        peers[Int(slot)].timers.scheduled = deadline
        schedule.insert(Wake(at: deadline, slot: slot))
    }

    private mutating func expire(_ timer: PeerTimer, _ slot: Int32, at now: Now) {
        switch timer {
        case .retransmitHandshake: retransmitHandshake(slot, at: now)
        case .keepalive:
            sendKeepalive(slot, at: now)
            if peers[Int(slot)].needsAnotherKeepalive {
                peers[Int(slot)].needsAnotherKeepalive = false
                arm(.keepalive, slot, at: now.instant + Limits.keepaliveTimeout)
            }
        case .newHandshake:
            // The way back may be what is broken: let the routing table choose the source again.
            peers[Int(slot)].path?.local = nil
            startHandshake(slot, at: now)
        case .wipe: wipeSessions(slot)
        case .persistentKeepalive:
            if peers[Int(slot)].persistentKeepalive != nil { sendKeepalive(slot, at: now) }
            noteAuthenticatedTraversal(slot, at: now)
        case .hello: repeatHello(slot, at: now)
        }
    }

    /// Anything authentic went either way: the operator's keepalive starts over.
    @inline(__always)
    mutating func noteAuthenticatedTraversal(_ slot: Int32, at now: Now) {
        if let interval = peers[Int(slot)].persistentKeepalive {
            arm(.persistentKeepalive, slot, at: now.instant + interval)
        }
    }

    /// Up to 333 ms, so that two ends do not keep colliding. It need not be unpredictable.
    @inline(__always)
    mutating func randomJitter() -> Interval {
        jitter ^= jitter << 13
        jitter ^= jitter >> 7
        jitter ^= jitter << 17
        return Interval(nanoseconds: Int64(jitter % UInt64(Limits.rekeyJitter.nanoseconds)))
    }
}
