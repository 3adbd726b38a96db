import BasicContainers

// What happens to the device.

extension Tunnel {
    /// The device went up or down, as its owner sees it. Down: sessions end, what waited is dropped, timers stop.
    /// Up: peers with a persistent keepalive or with packets that wait are greeted; the others wait for traffic.
    public mutating func setUp(_ isUp: Bool, at now: Now) {
        guard isUp != self.isUp else { return }
        self.isUp = isUp
        if !isUp { indices.removeReserved() }
        for slot in slots.values {
            if isUp {
                if peers[Int(slot)].persistentKeepalive != nil { arm(.persistentKeepalive, slot, at: now.instant) }
                if !peers[Int(slot)].staged.isEmpty { startHandshake(slot, at: now) }
            } else {
                quiet(slot)
            }
        }
    }

    private mutating func quiet(_ slot: Int32) {
        endSessions(slot)
        peers[Int(slot)].drops.count(.staged, peers[Int(slot)].staged.removeAll().count)
        peers[Int(slot)].lastInitiation = .distantPast
        peers[Int(slot)].needsAnotherKeepalive = false
        for timer in PeerTimer.allCases { peers[Int(slot)].timers.disarm(timer) }
    }
}
