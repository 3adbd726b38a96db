import Addresses
import BasicContainers
import Keys

// Making sessions, whitepaper §5.4 and §6. What costs X25519 is done elsewhere: here jobs are made, and their results
// turned into messages and sessions.

extension Tunnel {
    // MARK: Ours

    /// Begins a handshake, unless one began in the last five seconds.
    mutating func startHandshake(_ slot: Int32, at now: Now) {
        // Whoever asks while we try makes us try for 90 s more (whitepaper §6.4).
        peers[Int(slot)].handshakeAttempts = 0
        guard isUp, publicKey != nil, peers[Int(slot)].path != nil,
            now.instant - peers[Int(slot)].lastInitiation >= Limits.rekeyTimeout
        else { return }
        if peers[Int(slot)].handshakeIndex != 0 { noteUnanswered(slot, at: now) }
        initiate(slot, at: now)
    }

    private mutating func initiate(_ slot: Int32, at now: Now) {
        peers[Int(slot)].lastInitiation = now.instant
        forgetHandshake(slot)
        let index = indices.insert(.handshake(slot), &randomness)
        peers[Int(slot)].handshakeIndex = index
        jobs.append(.initiate(peers[Int(slot)].id, sender: index, at: now))
        arm(.retransmitHandshake, slot, at: now.instant + Limits.rekeyTimeout + randomJitter())
    }

    /// An initiation was not answered.
    mutating func retransmitHandshake(_ slot: Int32, at now: Now) {
        peers[Int(slot)].handshakeAttempts += 1
        let attempts = peers[Int(slot)].handshakeAttempts
        guard attempts < Limits.handshakeAttempts else {
            peers[Int(slot)].timers.disarm(.keepalive)
            let waiting = peers[Int(slot)].staged.removeAll().count
            peers[Int(slot)].drops.count(.staged, waiting)
            if !peers[Int(slot)].timers.isArmed(.wipe) { arm(.wipe, slot, at: now.instant + Limits.wipeAfter) }
            forgetHandshake(slot)
            if cause(slot) == nil { peers[Int(slot)].trouble = Trouble(.unanswered, at: now) }
            peers[Int(slot)].unanswered = 0
            return note(.handshakeGivenUp(peers[Int(slot)].publicKey, dropped: waiting))
        }
        noteUnanswered(slot, at: now)
        peers[Int(slot)].path?.local = nil
        initiate(slot, at: now)
    }

    /// Gives the index of a pending handshake back.
    mutating func forgetHandshake(_ slot: Int32) {
        indices.remove(peers[Int(slot)].handshakeIndex)
        peers[Int(slot)].handshakeIndex = 0
    }

    // MARK: Theirs

    mutating func handleInitiation(_ message: Initiation.Bytes, from path: Path, at now: Now) {
        guard admit(message, from: path, at: now) else { return }
        let index = indices.insert(.reserved, &randomness)
        handshakesUnderWay += 1
        jobs.append(.initiation(message, index: index, from: path, at: now))
    }

    mutating func handleResponse(_ message: Response.Bytes, from path: Path, at now: Now) {
        let index = message.little32(at: Response.receiver)
        guard case .handshake(let slot) = indices[index] else { return drops.count(.unknownIndex) }
        guard admit(message, from: path, at: now) else { return }
        handshakesUnderWay += 1
        jobs.append(.response(peers[Int(slot)].id, message, index: index, from: path))
    }

    /// Whether a handshake message is worth its cost: made for us, and under load from an address that is its sender's.
    private mutating func admit<let size: Int>(
        _ message: InlineArray<size, UInt8>, from path: Path, at now: Now
    ) -> Bool {
        guard cookieChecker?.verifyMAC1(message) == true else {
            drops.count(.mac1)
            noteStranger(publicKey.map { .foreignKey($0) } ?? .noIdentity, path)
            return false
        }
        if handshakesUnderWay >= Limits.handshakeLoad { underLoadUntil = now.instant + Limits.loadLatency }
        guard now.instant < underLoadUntil else { return true }
        guard handshakesUnderWay < Limits.handshakeQueue else {
            drops.count(.rateLimited)
            return false
        }
        if cookieChecker?.verifyMAC2(message, from: path.remote, at: now) == true {
            if rateLimiter.admit(path.remote.address, at: now.instant) { return true }
            drops.count(.rateLimited)
            return false
        }
        if cookieLimiter.admit(path.remote.address, at: now.instant),
            let reply = cookieChecker?.reply(to: message, from: path.remote, at: now, randomness: &randomness)
        {
            _ = transmit(reply, to: path, peer: -1)
        }
        drops.count(.rateLimited)
        return false
    }

    mutating func handleCookieReply(_ message: CookieReply.Bytes, at now: Now) {
        let index = message.little32(at: CookieReply.receiver)
        let slot: Int32
        switch indices[index] {
        case .handshake(let peer): slot = peer
        case .session(let session), .aes(let session): slot = sessions[session].peer
        case .reserved, nil: return drops.count(.unknownIndex)
        }
        if !peers[Int(slot)].cookies.accept(message, at: now) { drops.count(.handshake) }
    }

    // MARK: What came of it

    /// Takes the result of a job, with room in the outbox: all that waited for the session may go out.
    public mutating func handle(_ result: HandshakeResult, at now: Now) {
        switch result {
        case .done: break
        case .initiation(let id, let message, let index):
            guard let slot = slot(of: id), peers[Int(slot)].handshakeIndex == index else { return }
            sendHandshake(message, slot, to: peers[Int(slot)].path, at: now)
        case .response(let id, let message, let keys, let index, let remote, let path):
            handshakesUnderWay -= 1
            // The index is free again if our key changed meanwhile: the session would be the old identity's.
            guard indices[index] == .reserved else { return }
            guard let slot = slot(of: id) else { return indices.remove(index) }
            roam(slot, to: path)
            peers[Int(slot)].timers.disarm(.newHandshake)
            // It asks again and has not used what we answered before.
            if peers[Int(slot)].next >= 0,
                now.instant - sessions[peers[Int(slot)].next].createdAt >= Limits.rekeyTimeout
            {
                notice(.unconfirmed, slot, at: now)
            }
            begin(keys, slot, index, remote, isInitiator: false, at: now)
            sendHandshake(message, slot, to: path, at: now)
        case .established(let id, let keys, let index, let remote, let path):
            handshakesUnderWay -= 1
            guard let slot = slot(of: id), peers[Int(slot)].handshakeIndex == index else { return }
            peers[Int(slot)].handshakeIndex = 0
            peers[Int(slot)].received &+= UInt64(Response.size)
            roam(slot, to: path)
            peers[Int(slot)].timers.disarm(.newHandshake)
            begin(keys, slot, index, remote, isInitiator: true, at: now)
            noteHandshakeDone(slot, initiator: true, at: now)
            confirmToPeer(slot, at: now)
        case .failed(let failure, let id, let index, let path):
            if path != nil {
                handshakesUnderWay -= 1
                drops.count(.handshake)
            }
            if indices[index] == .reserved { indices.remove(index) }
            guard let slot = id.flatMap({ slot(of: $0) }) else {
                if let path { noteStranger(failure, path) } else { note(.handshakeFailed(failure, nil, nil)) }
                return
            }
            switch failure {
            case .response: peers[Int(slot)].trouble = Trouble(.response, at: now)
            case .replayed: peers[Int(slot)].trouble = Trouble(.replayed, at: now)
            default: break
            }
            note(.handshakeFailed(failure, peers[Int(slot)].publicKey, path))
        }
    }

    private mutating func sendHandshake<let size: Int>(
        _ message: InlineArray<size, UInt8>, _ slot: Int32, to path: Path?, at now: Now
    ) {
        guard let path else { return }
        var message = message
        peers[Int(slot)].cookies.sign(&message, at: now)
        guard transmit(message, to: path, peer: slot) else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(size)
        noteAuthenticatedSent(slot, at: now)
    }

    private mutating func transmit<let size: Int>(
        _ message: InlineArray<size, UInt8>, to path: Path, peer: Int32
    ) -> Bool {
        let destination = Destination(path: path, peer: peer)
        return outbox.append(size, to: destination, trafficClass: Limits.handshakeTrafficClass) { datagram in
            for index in 0..<size { datagram.store(message[index], at: index) }
            return size
        } > 0
    }

    // MARK: Sessions

    /// Puts a new session in its place: an initiator may use it at once, a responder after the first message on it.
    private mutating func begin(
        _ keys: SessionKeys, _ slot: Int32, _ local: SessionIndex, _ remote: SessionIndex, isInitiator: Bool,
        at now: Now
    ) {
        let session = sessions.insert(
            Session(peer: slot, local: local, remote: remote, isInitiator: isInitiator, at: now.instant))
        sessions[session].begin(keys, chachaImplementation)
        indices.update(local, to: .session(session))
        if hasAES, peers[Int(slot)].cipher != .chacha20poly1305 {
            sessions[session].aes.localIndex = indices.insert(.aes(session), &randomness)
        }
        if isInitiator {
            noteSilence(slot)
            let old = peers[Int(slot)].next >= 0 ? peers[Int(slot)].next : peers[Int(slot)].current
            if peers[Int(slot)].next >= 0 { end(peers[Int(slot)].current) }
            end(peers[Int(slot)].previous)
            peers[Int(slot)].previous = old
            peers[Int(slot)].next = -1
            peers[Int(slot)].current = session
        } else {
            peers[Int(slot)].received &+= UInt64(Initiation.size)
            end(peers[Int(slot)].next)
            end(peers[Int(slot)].previous)
            peers[Int(slot)].previous = -1
            peers[Int(slot)].next = session
        }
        arm(.wipe, slot, at: now.instant + Limits.wipeAfter)
    }

    /// The first message came on the session that we answered: the initiator has it, so we may use it.
    mutating func confirm(_ slot: Int32, _ session: Int32, at now: Now) {
        end(peers[Int(slot)].previous)
        noteSilence(slot)
        peers[Int(slot)].previous = peers[Int(slot)].current
        peers[Int(slot)].current = session
        peers[Int(slot)].next = -1
        noteHandshakeDone(slot, initiator: false, at: now)
    }

    /// We made the session: the first message on it tells the responder so, be it HELLO, data or a keepalive.
    private mutating func confirmToPeer(_ slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        let saidHello = sendHello(slot, session, at: now)
        if !saidHello, peers[Int(slot)].staged.isEmpty { sendKeepalive(slot, at: now) }
        sendStaged(slot, at: now)
    }

    private mutating func noteHandshakeDone(_ slot: Int32, initiator: Bool, at now: Now) {
        peers[Int(slot)].timers.disarm(.retransmitHandshake)
        peers[Int(slot)].timers.disarm(.hello)
        peers[Int(slot)].handshakeAttempts = 0
        peers[Int(slot)].askedBeforeEnd = false
        peers[Int(slot)].lastHandshake = now.wall
        peers[Int(slot)].trouble?.isOver = true
        peers[Int(slot)].unanswered = 0
        if let path = peers[Int(slot)].path {
            note(.handshakeDone(peers[Int(slot)].publicKey, path, initiator: initiator))
        }
    }

    /// The current session ends: was the peer silent on it?
    private mutating func noteSilence(_ slot: Int32) {
        let session = peers[Int(slot)].current
        guard session >= 0, sessions[session].hello.sent > 0, !sessions[session].hello.hasArrived else { return }
        peers[Int(slot)].silentSessions += 1
    }

    /// Wipes a session and frees its index; nothing happens for -1.
    mutating func end(_ session: Int32) {
        guard session >= 0 else { return }
        indices.remove(sessions[session].wireGuard.localIndex)
        indices.remove(sessions[session].aes.localIndex)
        sessions.remove(session)
    }

    /// Wipes all sessions of a peer and forgets its pending handshake.
    mutating func endSessions(_ slot: Int32) {
        end(peers[Int(slot)].current)
        end(peers[Int(slot)].previous)
        end(peers[Int(slot)].next)
        peers[Int(slot)].current = -1
        peers[Int(slot)].previous = -1
        peers[Int(slot)].next = -1
        forgetHandshake(slot)
    }

    /// Nothing has come of a peer for 540 s.
    mutating func wipeSessions(_ slot: Int32) {
        let hadAny = peers[Int(slot)].current >= 0 || peers[Int(slot)].next >= 0
        noteSilence(slot)
        endSessions(slot)
        if hadAny { note(.wiped(peers[Int(slot)].publicKey)) }
    }
}
