import BasicContainers

// HELLO: saying what we decode, and learning what the peer does. See docs/protocol.md.
//
// A HELLO is like a keepalive to every timer: it arms none, asks for no answer in kind, and prolongs no session.

extension Tunnel {
    /// Sends what is due on a session that may have just been confirmed: our first HELLO before any data, then the
    /// packets that waited.
    @inline(__always)
    mutating func sendPending(_ slot: Int32, _ session: Int32, at now: Now) {
        guard peers[Int(slot)].current == session else { return }
        if sessions[session].hello.sent == 0 { sendHello(slot, session, at: now) }
        sendStaged(slot, at: now)
    }

    /// Sends a HELLO, if the configuration asks for more than WireGuard; whether it did.
    @discardableResult
    mutating func sendHello(_ slot: Int32, _ session: Int32, at now: Now) -> Bool {
        guard let announced = peers[Int(slot)].announced, let path = peers[Int(slot)].path,
            sessions[session].canSend(at: now.instant)
        else { return false }
        let hello = sessions[session].hello.announcement(announced, aesIndex: sessions[session].aes.localIndex)
        let limits = RecordLimits(mtu: payloadSize, fragments: false)
        let size = chain.outbound(
            Hello.maximumSize, limits, 0, on: &sessions[session].wireGuard, to: Destination(path: path, peer: slot),
            into: &outbox
        ) { hello.write(to: &$0) }
        guard size > 0 else {
            drops.count(.overflow)
            return false
        }
        peers[Int(slot)].sent &+= UInt64(size)
        noteAuthenticatedSent(slot, at: now)
        let isSilent = peers[Int(slot)].silentSessions >= Limits.helloSilentSessions
        let wait = sessions[session].hello.noteSent(peerIsSilent: isSilent, arrived: sessions[session].arrived)
        guard session == peers[Int(slot)].current else { return true }
        // What waits for the answer is missed like data that was sent.
        if !sessions[session].hello.isConfirmed, !peers[Int(slot)].staged.isEmpty { awaitAnswer(slot, at: now) }
        if let wait {
            arm(.hello, slot, at: now.instant + wait)
        } else {
            peers[Int(slot)].timers.disarm(.hello)
        }
        return true
    }

    /// Takes the peer's HELLO and answers it if it asks for that.
    mutating func receive(_ hello: Hello, _ slot: Int32, _ session: Int32, at now: Now) {
        let isFirst = !sessions[session].hello.hasArrived
        if isFirst, hello.aesIndex != 0, sessions[session].aes.localIndex != 0 {
            sessions[session].aes.remoteIndex = hello.aesIndex
        }
        if isFirst {
            let suite = sessions[session].forData.suite
            note(.peerAnnounced(peers[Int(slot)].publicKey, hello.codecs, suite, version: hello.version))
            if peers[Int(slot)].cipher == .aes256gcm, suite != .aes256gcm {
                note(.cipherRefused(peers[Int(slot)].publicKey))
            }
        }
        let takesFrames = hello.records.contains(.ethernet)
        if takesFrames != carriesFrames, isFirst || sessions[session].hello.records.contains(.ethernet) == carriesFrames
        {
            let key = peers[Int(slot)].publicKey
            note(carriesFrames ? .ethernetRefused(key) : .packetsRefused(key))
        }
        peers[Int(slot)].silentSessions = 0
        let isAsked = sessions[session].hello.receive(hello)
        let isCurrent = peers[Int(slot)].current == session
        if isCurrent, sessions[session].hello.isConfirmed { peers[Int(slot)].timers.disarm(.hello) }
        // On the session that it came on: after initiations that crossed, each end sends on the other's previous one.
        if isAsked { sendHello(slot, session, at: now) }
    }

    /// Our HELLO was not confirmed in time.
    mutating func repeatHello(_ slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        guard session >= 0, !sessions[session].hello.isConfirmed else { return }
        // Silence for so long is WireGuard's way to say that it doesn't know what a HELLO is.
        if sessions[session].hello.sent == Limits.helloRepeats.count, !sessions[session].hello.hasArrived {
            if carriesFrames {
                note(.ethernetRefused(peers[Int(slot)].publicKey))
            } else if peers[Int(slot)].cipher == .aes256gcm, isLate(slot, session) {
                note(.cipherUnknown(peers[Int(slot)].publicKey))
            }
        }
        // The first repeats go out whatever happens; after them an idle link is left in peace.
        if sessions[session].hello.sent <= Limits.helloRepeats.count || sessions[session].hello.hasTraffic {
            sendHello(slot, session, at: now)
        }
    }

    /// Data waits for the peer's HELLO: ours is repeated, and if nothing at all has come since it was sent, a new session is
    /// due, as if the data had been sent. A peer that says something, but no HELLO, is there and knows none.
    mutating func noteHeld(_ slot: Int32, _ session: Int32, at now: Now) {
        noteTraffic(slot, session, at: now)
        if sessions[session].hello.isUnanswered(arrived: sessions[session].arrived) { awaitAnswer(slot, at: now) }
    }

    /// Whether a peer has had the time to say on a session what it does, and did not. One that said it on the session before
    /// is there no more, or comes back.
    func isLate(_ slot: Int32, _ session: Int32) -> Bool {
        let hello = sessions[session].hello
        let previous = peers[Int(slot)].previous
        return !hello.hasArrived && hello.sent >= Limits.helloRepeats.count
            && (previous < 0 || !sessions[previous].hello.hasArrived)
    }

    /// Whether it will not say it: it has said something else, as WireGuard does after ten seconds, or was silent on many
    /// sessions. What waits for it waits in vain.
    func isSilent(_ slot: Int32, _ session: Int32) -> Bool {
        let hello = sessions[session].hello
        if peers[Int(slot)].silentSessions >= Limits.helloSilentSessions { return !hello.hasArrived }
        return isLate(slot, session) && !hello.isUnanswered(arrived: sessions[session].arrived)
    }

    /// Drops what waits for a session or for the peer's word.
    mutating func dropStaged(_ slot: Int32) {
        peers[Int(slot)].drops.count(.staged, peers[Int(slot)].staged.removeAll().count)
    }

    /// Data was sent: a HELLO that fell silent with the link is repeated again.
    @inline(__always)
    mutating func noteTraffic(_ slot: Int32, _ session: Int32, at now: Now) {
        guard sessions[session].hello.isWaiting else { return }
        sessions[session].hello.hasTraffic = true
        if !peers[Int(slot)].timers.isArmed(.hello), peers[Int(slot)].silentSessions < Limits.helloSilentSessions {
            arm(.hello, slot, at: now.instant + Limits.helloInterval)
        }
    }
}
