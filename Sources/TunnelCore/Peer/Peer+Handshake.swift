import Addresses
import BasicContainers
import Keys

// Making sessions, whitepaper §5.4 and §6. What costs X25519 is done elsewhere: here jobs are made, and their results
// turned into messages and sessions.

extension Peer {
    // MARK: Initiations

    /// Begins a handshake, unless one began in the last five seconds.
    mutating func startHandshake(_ services: inout Services) {
        handshaking.resetAttempts()
        guard services.isUp, services.hasIdentity, path != nil, handshaking.mayInitiate(at: services.now.instant) else {
            return
        }
        if handshaking.pending != nil { noteUnanswered(&services) }
        initiate(&services)
    }

    private mutating func initiate(_ services: inout Services) {
        forgetHandshake(&services)
        let index = services.indices.insert(.handshake(id.slot), &services.randomness)
        handshaking.begin(index, at: services.now.instant)
        services.jobs.append(.initiate(id, sender: index, at: services.now, toNext: handshaking.isToNext))
        let deadline = services.now.instant + Limits.rekeyTimeout + services.randomJitter()
        arm(.retransmitHandshake, at: deadline, &services.schedule)
    }

    /// Repeats an initiation that was not answered, or gives up.
    mutating func retransmitHandshake(_ services: inout Services) {
        let attempts = handshaking.countAttempt()
        guard attempts < Limits.handshakeAttempts else {
            timers.disarm(.keepalive)
            let waiting = staged.removeAll().count
            drops.count(.staged, waiting)
            if !timers.isArmed(.wipe) { arm(.wipe, at: services.now.instant + Limits.wipeAfter, &services.schedule) }
            forgetHandshake(&services)
            if problems.cause(since: handshaking.lastInitiation) == nil {
                problems.remember(.unanswered, at: services.now)
            }
            problems.noteGivenUp()
            return services.note(.handshakeGivenUp(publicKey, dropped: waiting))
        }
        noteUnanswered(&services)
        path?.local = nil
        initiate(&services)
    }

    /// Gives the index of a pending handshake back.
    mutating func forgetHandshake(_ services: inout Services) {
        if let index = handshaking.forgetPending() { services.indices.remove(index) }
    }

    // MARK: Results of handshakes

    /// Sends an initiation that the handshake thread has made, if it is still wanted.
    mutating func send(initiation: Initiation.Bytes, _ index: ReceiverIndex, _ services: inout Services) {
        guard handshaking.pending == index else { return }
        sendHandshake(initiation, toNext: handshaking.isToNext, &services)
    }

    /// Takes the session of an initiation that we answer, and sends the response.
    mutating func answer(
        with response: Response.Bytes, _ session: NewSession, from path: Path, _ services: inout Services
    ) {
        roam(to: path, &services)
        timers.disarm(.newHandshake)
        received &+= UInt64(Initiation.size)
        // It asks again and has not used what we answered before.
        if let next = keypairs.next, services.now.instant - services.sessions[next].createdAt >= Limits.rekeyTimeout {
            notice(.unconfirmed, &services)
        }
        let slot = begin(session, isInitiator: false, &services)
        services.end(keypairs.take(answered: slot))
        sendHandshake(response, toNext: services.sessions[slot].isOfNextKey, &services)
    }

    /// Takes the session of our initiation, which was answered, if that is still wanted.
    mutating func establish(_ session: NewSession, from path: Path, _ services: inout Services) {
        guard handshaking.pending == session.local else { return }
        // The index is the session's from now on.
        _ = handshaking.forgetPending()
        received &+= UInt64(Response.size)
        roam(to: path, &services)
        timers.disarm(.newHandshake)
        let slot = begin(session, isInitiator: true, &services)
        quality.note(trip: services.now.instant - handshaking.lastInitiation, at: services.now.instant)
        noteSilence(&services)
        noteSession(services.sessions[slot].presharedKey, &services)
        noteShown(on: slot, &services)
        services.end(keypairs.take(initiated: slot))
        noteHandshakeDone(isInitiator: true, &services)
        confirmToPeer(slot, &services)
    }

    private mutating func sendHandshake<let size: Int>(
        _ message: InlineArray<size, UInt8>, toNext: Bool, _ services: inout Services
    ) {
        guard let path else { return }
        var message = message
        handshaking.sign(&message, toNext: toNext, at: services.now)
        guard services.egress.send(message, to: Destination(path: path, peer: id.slot)) else {
            return services.drops.count(.overflow)
        }
        sent &+= UInt64(size)
        if services.egress.queue.isUsed {
            services.egress.queue.charge(size, datagrams: 1, to: id.slot, at: services.now.instant)
        }
        noteAuthenticatedSent(&services)
    }

    // MARK: Sessions

    /// Puts a new session into the slab.
    private mutating func begin(_ new: NewSession, isInitiator: Bool, _ services: inout Services) -> SessionSlot {
        let session = services.sessions.insert(
            Session(
                peer: id.slot, local: new.local, remote: new.remote, isInitiator: isInitiator, at: services.now.instant)
        )
        services.sessions[session].begin(new.keys, services.ciphers.chacha)
        services.indices.update(new.local, to: .lane(LaneSlot(session: session, suite: .chacha20poly1305)))
        if services.ciphers.hasAES, cipher != .chacha20poly1305 {
            let index = services.indices.insert(
                .lane(LaneSlot(session: session, suite: .aes256gcm)), &services.randomness)
            services.sessions[session].aes.localIndex = index
        }
        arm(.wipe, at: services.now.instant + Limits.wipeAfter, &services.schedule)
        return session
    }

    /// The first message came on the session that we answered: the initiator has it, so we may use it.
    mutating func confirmNext(_ services: inout Services) {
        noteSilence(&services)
        if let next = keypairs.next {
            quality.note(trip: services.now.instant - services.sessions[next].createdAt, at: services.now.instant)
            noteProved(next, &services)
            noteShown(on: next, &services)
        }
        services.end(keypairs.confirmNext())
        noteHandshakeDone(isInitiator: false, &services)
    }

    /// Notes that a message came on another session than the one we send on. If initiations crossed, each end sends on the session that it asked
    /// for, would be followed on none, and would ask for the next one when the other does: so the end with the lower public key goes over to the
    /// other's, once both have said there what they are.
    @inline(never)
    mutating func uncross(from session: SessionSlot, _ services: inout Services) {
        guard let current = keypairs.current, session == keypairs.previous,
            services.sessions[current].isInitiator, !services.sessions[session].isInitiator,
            services.sessions[current].createdAt - services.sessions[session].createdAt < Limits.rekeyTimeout,
            services.sessions[session].hello.hasArrived, services.sessions[session].hello.isConfirmed,
            let ours = services.publicKey, ours.isBelow(publicKey),
            services.sessions[session].canSend(at: services.now.instant),
            !hasDemands || meetsDemands(on: session, services)
        else { return }
        keypairs.preferPrevious()
        timers.disarm(.hello)
    }

    /// The peer has the preshared key that we answered it with. Where there is but one, nobody waits to hear that.
    private mutating func noteProved(_ session: SessionSlot, _ services: inout Services) {
        let name = services.sessions[session].presharedKey
        noteSession(name, &services)
        guard name != .configured, let index = services.sessions[session].wireGuard.localIndex else { return }
        services.jobs.append(.proved(id, index: index))
    }

    /// We made the session: the first message on it tells the responder so, be it HELLO, data or a keepalive.
    private mutating func confirmToPeer(_ session: SessionSlot, _ services: inout Services) {
        let saidHello = !offerConfirmation(on: session, &services) && sendHello(on: session, &services)
        if !saidHello, staged.isEmpty { sendKeepalive(&services) }
        sendStaged(&services)
    }

    private mutating func noteHandshakeDone(isInitiator: Bool, _ services: inout Services) {
        timers.disarm(.retransmitHandshake)
        timers.disarm(.hello)
        handshaking.noteDone()
        lastHandshake = services.now.wall
        handshakes += 1
        problems.noteHandshakeDone()
        services.ingress.reorder.trim()
        if let path { services.note(.handshakeDone(publicKey, path, initiator: isInitiator)) }
    }

    /// The current session ends: was the peer silent on it?
    private mutating func noteSilence(_ services: inout Services) {
        guard let current = keypairs.current, services.sessions[current].hello.sent > 0,
            !services.sessions[current].hello.hasArrived
        else { return }
        silentSessions += 1
        if silentSessions >= Limits.helloSilentSessions { take(downRate: nil, &services) }
    }

    /// Wipes all sessions and forgets the pending handshake.
    mutating func endSessions(_ services: inout Services) {
        services.end(keypairs.removeAll())
        forgetHandshake(&services)
    }

    /// Wipes the sessions after 540 s in which no new one was made.
    mutating func wipeSessions(_ services: inout Services) {
        let hadAny = keypairs.hasAny
        noteSilence(&services)
        endSessions(&services)
        if hadAny { services.note(.wiped(publicKey)) }
    }

    // MARK: Endpoint

    /// Follows a peer that talks from somewhere else.
    mutating func roam(to path: Path, _ services: inout Services) {
        if let old = self.path, old.remote != path.remote {
            quality.forgetTrips()
            if rates.isFound { services.egress.found.forget(rates.found) }
            forgetPath()
            services.note(.roamed(publicKey, path))
        }
        self.path = path
    }

    /// Sets the endpoint: datagrams go there from now on, until something authentic comes from elsewhere; from which address of
    /// ours is open again.
    mutating func setEndpoint(_ endpoint: Endpoint) {
        if path?.remote != endpoint { forgetPath() }
        path = Path(endpoint)
    }

    /// Nothing is known of how large datagrams may be on another path.
    private mutating func forgetPath() {
        pathMTU.forget()
        isRouteAsked = false
    }

    /// Forgets the local address that it is answered from, which the system refused: lets the routing table choose.
    mutating func forgetSource() { path?.local = nil }
}

/// The keys and indices that a handshake makes a session of.
struct NewSession {
    let keys: SessionKeys
    let local: ReceiverIndex
    let remote: ReceiverIndex
}
