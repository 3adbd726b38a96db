import BasicContainers
import Keys

// KEYS (docs/protocol.md §3.15, §7): a key that a quantum computer does not find, agreed on in a session that stands, for the handshakes
// that follow. What costs ML-KEM is done by the handshake thread.

extension Peer {
    // MARK: What may pass

    /// The operator wants something of sessions that not every session has. Looked at for every packet.
    @inline(__always) var hasDemands: Bool { cipher == .aes256gcm || requiresAgreed }

    /// Whether packets may go on a session.
    @inline(__always)
    func meetsDemands(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        (cipher != .aes256gcm || services.sessions[session].aes.isOpen)
            && (!requiresAgreed || services.sessions[session].presharedKey.isAgreed)
    }

    /// Whether the peer takes no part in what is demanded, as far as it has said on a session.
    func refusesDemands(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        let hello = services.sessions[session].hello
        guard hello.hasArrived else { return isSilent(on: session, services) }
        return (cipher == .aes256gcm && !services.sessions[session].aes.isOpen)
            || (requiresAgreed && !hello.records.contains(.keys))
    }

    /// Drops what came on a session on which no packet may come.
    @inline(never)
    mutating func dropUnagreed(_ content: Inbound) {
        if case .packets(let packets) = content {
            drops.count(.keyExchange, packets.packets.count)
        } else {
            drops.count(.keyExchange)
        }
    }

    /// How far it is on a session.
    func exchangeStage(on session: SessionSlot, _ services: borrowing Services) -> KeyExchangeStage {
        guard !services.sessions[session].presharedKey.isAgreed else { return .agreed }
        let hello = services.sessions[session].hello
        guard hello.hasArrived else {
            let isHeard = isLate(on: session, services) && services.sessions[session].arrived > 0
            return isHeard || isSilent(on: session, services) ? .refused : .unsaid
        }
        guard hello.records.contains(.keys) else { return .refused }
        let age = exchange.classicSince.map { services.now.instant - $0 } ?? Interval(nanoseconds: 0)
        return exchange.unanswered > 0 || age > KeyExchange.patience ? .unanswered : .underWay
    }

    // MARK: Settings

    /// Sets what is wanted. What is announced can be unsaid only by a new session.
    mutating func setKeyExchange(_ policy: KeyExchangePolicy, rekey: Interval, _ services: inout Services) {
        let announcement = announcement(services.cargo)
        exchange.rekey = rekey
        guard exchange.policy != policy else { return }
        exchange.policy = policy
        exchange.isRefusalTold = false
        requiresAgreed = policy == .require
        if policy == .off {
            exchange.rest()
            exchange.newest = nil
            services.jobs.append(.key(id, .forget))
        }
        if self.announcement(services.cargo) != announcement { beginAnew(&services) }
    }

    // MARK: Under way

    /// The peer has said what it takes on a session: begins what is due there. Only the end that made the session begins anything.
    mutating func considerExchange(on session: SessionSlot, _ services: inout Services) {
        guard exchange.policy != .off, exchange.phase == .idle,
            services.sessions[session].hello.records.contains(.keys), services.sessions[session].hasTranscript
        else { return }
        let now = services.now.instant
        let name = services.sessions[session].presharedKey
        guard services.sessions[session].isInitiator else {
            // After initiations that crossed the other end may be content with what its newest session is.
            guard !name.isAgreed, !timers.isArmed(.keyExchange) else { return }
            return arm(.keyExchange, at: now + Limits.rekeyTimeout, &services.schedule)
        }
        if let newest = exchange.newest {
            guard name == .agreed(newest) else { return ask(&services) }
            guard now - exchange.agreedAt >= exchange.rekey else { return }
        }
        guard exchange.offers.admit(at: now) else {
            return arm(.keyExchange, at: now + KeyExchange.interval, &services.schedule)
        }
        exchange.phase = .making
        exchange.index = services.sessions[session].wireGuard.localIndex
        exchange.exchange = services.randomness.number()
        services.jobs.append(.key(id, .offer(exchange: exchange.exchange)))
        arm(.keyExchange, at: now + Limits.helloInterval, &services.schedule)
    }

    /// Asks the peer whether it has our newest key.
    private mutating func ask(_ services: inout Services) {
        exchange.rest()
        exchange.phase = .asking
        repeatExchange(&services)
    }

    /// Sends what is to be answered, for the first time or again; what is never answered is given up.
    mutating func repeatExchange(_ services: inout Services) {
        guard exchange.phase == .offered || exchange.phase == .asking else {
            // The handshake thread had no time for it, or nothing is under way.
            exchange.rest()
            return considerAgain(&services)
        }
        guard exchange.sent < KeyExchange.repeats.count else { return giveUpExchange(&services) }
        switch exchange.phase {
        case .offered:
            // It hangs on the session that it began in.
            guard let session = session(of: exchange.index, services) else {
                exchange.rest()
                return considerAgain(&services)
            }
            send(exchange.record, on: session, &services)
        default:
            guard let session = keypairs.current, let newest = exchange.newest else { return exchange.rest() }
            send(KeyRecord(form: .question, number: newest), on: session, &services)
            // Nothing passes here: the other end may not have this session any more.
            if exchange.sent == 2, requiresAgreed, !services.sessions[session].presharedKey.isAgreed {
                startHandshake(&services)
            }
        }
        arm(.keyExchange, at: services.now.instant + KeyExchange.repeats[exchange.sent], &services.schedule)
        exchange.sent += 1
    }

    private mutating func considerAgain(_ services: inout Services) {
        guard let session = keypairs.current else { return }
        // A session that was to be made with the new key waits for the pause between two handshakes.
        guard !exchange.wantsSession else { return makeSession(&services) }
        if let newest = exchange.newest, services.sessions[session].hello.records.contains(.keys),
            services.sessions[session].presharedKey != .agreed(newest)
        {
            return ask(&services)
        }
        if services.sessions[session].isInitiator { return considerExchange(on: session, &services) }
        // The other end does nothing on this session, or does not reach us: perhaps it does on one that we make.
        if requiresAgreed, !services.sessions[session].presharedKey.isAgreed { startHandshake(&services) }
    }

    /// Packets wait for a key: sees to it that something is done for that.
    mutating func noteWaitingForKey(_ services: inout Services) {
        guard requiresAgreed, !timers.isArmed(.keyExchange) else { return }
        arm(.keyExchange, at: services.now.instant + Limits.rekeyTimeout, &services.schedule)
    }

    private mutating func giveUpExchange(_ services: inout Services) {
        exchange.rest()
        exchange.unanswered &+= 1
        guard exchange.policy == .require else { return }
        // Nothing passes until it is done.
        arm(.keyExchange, at: services.now.instant + Limits.helloInterval, &services.schedule)
    }

    /// The session of an index, if it is one that still stands.
    private func session(of index: ReceiverIndex?, _ services: borrowing Services) -> SessionSlot? {
        for session in [keypairs.current, keypairs.previous, keypairs.next] {
            if let session, index != nil, services.sessions[session].wireGuard.localIndex == index { return session }
        }
        return nil
    }

    /// Asks for a session that is made with the newest key. After an exchange it need not wait.
    private mutating func makeSession(_ services: inout Services) {
        let now = services.now.instant
        exchange.wantsSession = true
        if exchange.hurried > 0 {
            // On a short path all of it takes less than the peer wants between two initiations: more often is a flood.
            let earliest = handshaking.lastInitiation + Limits.initiationInterval * 2
            guard earliest <= now else { return arm(.keyExchange, at: earliest, &services.schedule) }
            exchange.hurried -= 1
            handshaking.allowAtOnce()
        } else if !handshaking.mayInitiate(at: now) {
            return arm(.keyExchange, at: handshaking.lastInitiation + Limits.rekeyTimeout, &services.schedule)
        }
        startHandshake(&services)
    }

    // MARK: Results of the handshake thread

    mutating func handle(_ result: KeyResult, _ services: inout Services) {
        guard exchange.policy != .off else { return }
        switch result {
        case .offer(let body, let number):
            guard exchange.phase == .making, exchange.exchange == number else { return }
            exchange.phase = .offered
            exchange.record = KeyRecord.record(.encapsulationKey, body)
            repeatExchange(&services)
        case .reply(let body, let number, let index):
            exchange.answersUntil = .distantPast
            let record = KeyRecord.record(.ciphertext, body)
            exchange.answered = (number, record, services.now.instant)
            exchange.inVain &+= 1
            if let session = session(of: index, services) { send(record, on: session, &services) }
        case .agreed(let number):
            guard exchange.phase == .opening else { return }
            exchange.newest = number
            exchange.agreedAt = services.now.instant
            exchange.agreements += 1
            exchange.hurried = KeyExchange.handshakesAtOnce
            ask(&services)
        case .failed:
            drops.count(.record)
            exchange.answersUntil = .distantPast
            if exchange.phase == .opening { exchange.rest() }
        case .known(let number, let isHeld):
            exchange.noteAnswered()
            if isHeld, exchange.newest != number {
                exchange.newest = number
                exchange.agreedAt = services.now.instant
                exchange.agreements += 1
            }
            guard let session = keypairs.current else { return }
            send(KeyRecord(form: .answer, number: isHeld ? number : 0), on: session, &services)
        case .newest(let number):
            exchange.newest = number
            exchange.rest()
            if let session = keypairs.current { considerExchange(on: session, &services) }
        }
    }

    // MARK: Records of the peer

    /// Takes a record of the peer's, the body of which is with the opener.
    mutating func receive(_ record: KeyRecord, on session: SessionSlot, _ services: inout Services) {
        guard exchange.policy != .off else { return drops.count(.record) }
        let now = services.now.instant
        switch record.form {
        case .encapsulationKey:
            receiveOffer(UInt32(truncatingIfNeeded: record.number), on: session, &services)
        case .ciphertext:
            guard exchange.phase == .offered, exchange.exchange == UInt32(truncatingIfNeeded: record.number),
                self.session(of: exchange.index, services) == session
            else { return drops.count(.record) }
            exchange.phase = .opening
            exchange.noteAnswered()
            arm(.keyExchange, at: now + Limits.helloInterval, &services.schedule)
            let transcript = services.sessions[session].transcript
            services.jobs.append(.key(id, .open(services.ingress.opener.keyBody, transcript: transcript)))
        case .question:
            guard exchange.questions.admit(at: now) else { return drops.count(.budget) }
            services.jobs.append(.key(id, .question(record.number)))
        case .answer:
            guard exchange.phase == .asking, let newest = exchange.newest,
                record.number == 0 || record.number == newest
            else { return drops.count(.record) }
            exchange.rest()
            exchange.noteAnswered()
            timers.disarm(.keyExchange)
            services.jobs.append(.key(id, .answer(newest, isHeld: record.number == newest)))
            guard record.number == newest, let current = keypairs.current,
                services.sessions[current].presharedKey != .agreed(newest)
            else { return }
            makeSession(&services)
        }
    }

    /// Takes the peer's encapsulation key, on a session that it made. Where both began, the end with the larger public key goes on.
    private mutating func receiveOffer(_ number: UInt32, on session: SessionSlot, _ services: inout Services) {
        guard !services.sessions[session].isInitiator, services.sessions[session].hasTranscript else {
            return drops.count(.record)
        }
        let now = services.now.instant
        if exchange.phase == .making || exchange.phase == .offered || exchange.phase == .opening {
            guard let ours = services.publicKey, ours.isBelow(publicKey) else { return }
            exchange.rest()
            timers.disarm(.keyExchange)
        }
        if let answered = exchange.answered, answered.exchange == number {
            guard now - answered.at >= .milliseconds(200) else { return drops.count(.budget) }
            exchange.answered?.at = now
            return send(answered.record, on: session, &services)
        }
        guard now >= exchange.answersUntil, exchange.answers.admit(at: now) else { return drops.count(.budget) }
        guard let index = services.sessions[session].wireGuard.localIndex else { return }
        exchange.answersUntil = now + Limits.helloInterval
        let transcript = services.sessions[session].transcript
        services.jobs.append(
            .key(id, .reply(to: services.ingress.opener.keyBody, transcript: transcript, index: index)))
    }

    // MARK: Out

    private mutating func send(_ record: KeyRecord, on session: SessionSlot, _ services: inout Services) {
        guard path != nil, services.sessions[session].hello.records.contains(.keys),
            services.sessions[session].canSend(at: services.now.instant)
        else { return }
        exchange.bytes &+= UInt64(transmit(.control(.keys(record)), on: session, &services))
    }

    /// Sends a whole record, in pieces if the path takes no more.
    private mutating func send(_ record: [UInt8], on session: SessionSlot, _ services: inout Services) {
        guard path != nil, services.sessions[session].hello.records.contains(.keys),
            services.sessions[session].canSend(at: services.now.instant)
        else { return }
        let bytes = unsafe record.span.bytes
        exchange.bytes &+= UInt64(transmit(.keys(bytes), on: session, &services))
    }

    // MARK: Sessions

    /// A session was made, with an agreed key or without one, and data goes on it: tells what is new about that.
    mutating func noteSession(_ name: KeyName, _ services: inout Services) {
        guard exchange.policy != .off else { return }
        exchange.classicSince = name.isAgreed ? nil : exchange.classicSince ?? services.now.instant
        if case .agreed(let number) = name {
            exchange.noteAnswered()
            exchange.isRefusalTold = false
            if number == exchange.newest {
                exchange.hurried = KeyExchange.handshakesAtOnce
                exchange.wantsSession = false
                // An answer to what was asked before may be without it, and come late.
                forgetHandshake(&services)
                if exchange.phase == .asking {
                    exchange.rest()
                    timers.disarm(.keyExchange)
                }
            }
        }
        guard exchange.isInUse != name.isAgreed else { return }
        exchange.isInUse = name.isAgreed
        services.note(.keyExchange(publicKey, isAgreed: name.isAgreed))
    }

    /// Tells once that a peer takes no part in what is demanded.
    mutating func noteKeysRefused(_ services: inout Services) {
        guard requiresAgreed, !exchange.isRefusalTold else { return }
        exchange.isRefusalTold = true
        services.note(.keyExchangeRefused(publicKey))
    }
}

extension PublicKey {
    /// Whether its bytes, read as one number from the first on, are less.
    func isBelow(_ other: PublicKey) -> Bool {
        for index in 0..<32 where bytes[index] != other.bytes[index] { return bytes[index] < other.bytes[index] }
        return false
    }
}
