import BasicContainers

// HELLO, REPORT and PING (docs/protocol.md §3.1, §3.6, §3.7): what two gateways tell each other. To every timer they are like
// keepalives: they arm none, ask for no answer in kind, and prolong no session.

extension Peer {
    /// Sends a HELLO, if the configuration asks for more than WireGuard; whether it did.
    @discardableResult
    mutating func sendHello(on session: SessionSlot, _ services: inout Services) -> Bool {
        guard let announcement = announcement(services.cargo), path != nil,
            services.sessions[session].canSend(at: services.now.instant)
        else { return false }
        let aesIndex = services.sessions[session].aes.localIndex
        let hello = services.sessions[session].hello.announcement(announcement, aesIndex: aesIndex)
        acquaintance.note(hello, told: announcement)
        guard transmit(.control(.hello(hello)), on: session, &services) > 0 else { return false }
        let isSilent = silentSessions >= Limits.helloSilentSessions
        let arrived = services.sessions[session].arrived
        let wait = services.sessions[session].hello.noteSent(peerIsSilent: isSilent, arrived: arrived)
        guard session == keypairs.current else { return true }
        // What waits for the answer is missed like data that was sent.
        if !services.sessions[session].hello.isConfirmed, !staged.isEmpty { awaitAnswer(&services) }
        if let wait {
            arm(.hello, at: services.now.instant + wait, &services.schedule)
        } else {
            timers.disarm(.hello)
        }
        return true
    }

    /// Sends a HELLO again that was not confirmed in time.
    mutating func repeatHello(_ services: inout Services) {
        guard let session = keypairs.current else { return }
        if services.sessions[session].hello.confirmation.isOwed {
            confirmAlone(on: session, &services)
            return
        }
        guard services.sessions[session].hello.isWaiting else { return }
        let hello = services.sessions[session].hello
        // Silence for so long is WireGuard's way to say that it doesn't know what a HELLO is.
        if hello.sent == Limits.helloRepeats.count, !hello.hasArrived {
            if services.cargo == .frames {
                services.note(.ethernetRefused(publicKey))
            } else if requiresAgreed {
                noteKeysRefused(&services)
            } else if cipher == .aes256gcm, isLate(on: session, services) {
                services.note(.cipherUnknown(publicKey))
            }
        }
        // The first repeats go out whatever happens; after them an idle link is left in peace.
        if hello.sent <= Limits.helloRepeats.count || hello.hasTraffic { sendHello(on: session, &services) }
    }

    /// Data waits for the peer's HELLO: ours is repeated, and if nothing at all has come since it was sent, a new session is
    /// due, as if the data had been sent. A peer that says something, but no HELLO, is there and knows none.
    mutating func noteStaged(on session: SessionSlot, _ services: inout Services) {
        noteTraffic(on: session, &services)
        noteWaitingForKey(&services)
        let arrived = services.sessions[session].arrived
        if services.sessions[session].hello.isUnanswered(arrived: arrived) { awaitAnswer(&services) }
    }

    /// Whether the peer has had the time to say on a session what it does, and did not. One that said it on the session before
    /// is there no more, or comes back.
    func isLate(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        let hello = services.sessions[session].hello
        guard !hello.hasArrived, hello.sent >= Limits.helloRepeats.count else { return false }
        guard let previous = keypairs.previous else { return true }
        return !services.sessions[previous].hello.hasArrived
    }

    /// Whether it will not say it: it has said something else, as WireGuard does after ten seconds, or was silent on many
    /// sessions. What waits for it waits in vain.
    func isSilent(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        let hello = services.sessions[session].hello
        if silentSessions >= Limits.helloSilentSessions { return !hello.hasArrived }
        return isLate(on: session, services) && !hello.isUnanswered(arrived: services.sessions[session].arrived)
    }

    /// Data was sent: a HELLO that fell silent with the link is repeated again.
    @inline(__always)
    mutating func noteTraffic(on session: SessionSlot, _ services: inout Services) {
        guard services.sessions[session].hello.isWaiting else { return }
        services.sessions[session].hello.hasTraffic = true
        if !timers.isArmed(.hello), silentSessions < Limits.helloSilentSessions {
            arm(.hello, at: services.now.instant + Limits.helloInterval, &services.schedule)
        }
    }

    /// Tells the peer what has arrived on a lane, if it wants to know and that is due.
    @inline(__always)
    mutating func reportIfDue(on session: SessionSlot, _ suite: CipherSuite, _ services: inout Services) {
        let isDense = isLossy(services) || services.sessions[session].hello.wantsReports
        guard services.sessions[session].isReportDue(on: suite, at: services.now.instant, isDense: isDense) else {
            return
        }
        report(on: session, suite, &services)
    }

    @inline(never)
    private mutating func report(on session: SessionSlot, _ suite: CipherSuite, _ services: inout Services) {
        guard !repairs(on: session, services) else {
            return sendReceipt(nil, on: LaneSlot(session: session, suite: suite), &services)
        }
        let report = services.sessions[session].report(
            on: suite, at: services.now.instant, offset: services.clockOffsets.report)
        send(.report(report), on: session, &services)
    }

    private mutating func send(_ record: ControlRecord, on session: SessionSlot, _ services: inout Services) {
        guard path != nil, services.sessions[session].canSend(at: services.now.instant) else { return }
        _ = transmit(.control(record), on: session, &services)
    }

    // MARK: Records of the peer

    /// Takes a record of the peer's.
    mutating func receive(_ record: ControlRecord, on session: SessionSlot, _ services: inout Services) {
        switch record {
        case .hello(let hello):
            receive(hello, on: session, &services)
        case .report(let report):
            services.sessions[session].hello.receiveRecord()
            receive(report, on: session, &services)
        case .ping(let ping):
            services.sessions[session].hello.receiveRecord()
            receive(ping, on: session, &services)
        case .receipt(let receipt):
            services.sessions[session].hello.receiveRecord()
            receive(receipt, on: session, &services)
        case .gone(let gone):
            services.sessions[session].hello.receiveRecord()
            receive(gone, on: session, &services)
        case .learned(let word): receive(word, &services)
        case .history(let word):
            services.sessions[session].hello.receiveRecord()
            receive(word, on: session, &services)
        case .confirm(let confirm):
            receive(confirm, withData: false, on: session, &services)
        case .rotate(let rotate):
            services.sessions[session].hello.receiveRecord()
            receive(rotate, &services)
        case .keys(let keys):
            services.sessions[session].hello.receiveRecord()
            receive(keys, on: session, &services)
        }
    }

    /// Takes the peer's HELLO and answers it if it asks for that.
    private mutating func receive(_ hello: Hello, on session: SessionSlot, _ services: inout Services) {
        acquaintance.note(heard: hello)
        guard take(hello, on: session, &services) else { return }
        let both = announcement(services.cargo)?.records.intersection(hello.records)
        if both?.contains(.confirm) == true { services.sessions[session].hello.leaveAskingToPeer() }
        // On the session that it came on: after initiations that crossed, each end sends on the other's previous one.
        sendHello(on: session, &services)
    }

    /// Takes what the peer says that it takes, in whatever words; true if it is to be answered.
    @discardableResult
    mutating func take(_ hello: Hello, on session: SessionSlot, _ services: inout Services) -> Bool {
        let isFirst = !services.sessions[session].hello.hasArrived
        if isFirst, hello.aesIndex != nil, services.sessions[session].aes.localIndex != nil {
            services.sessions[session].aes.remoteIndex = hello.aesIndex
        }
        if isFirst {
            let suite = services.sessions[session].forData.suite
            services.note(.peerAnnounced(publicKey, hello.codecs, suite, version: hello.version))
            if cipher == .aes256gcm, suite != .aes256gcm { services.note(.cipherRefused(publicKey)) }
        }
        let carriesFrames = services.cargo == .frames
        let takesFrames = hello.records.contains(.ethernet)
        let tookFrames = services.sessions[session].hello.records.contains(.ethernet)
        if takesFrames != carriesFrames, isFirst || tookFrames == carriesFrames {
            services.note(carriesFrames ? .ethernetRefused(publicKey) : .packetsRefused(publicKey))
        }
        silentSessions = 0
        pathMTU.wake()
        take(downRate: hello.downRate, &services)
        let isAsked = services.sessions[session].hello.receive(hello)
        if keypairs.current == session, services.sessions[session].hello.isConfirmed { timers.disarm(.hello) }
        if exchange.policy != .off { takeKeysWord(hello, on: session, &services) }
        return isAsked
    }

    /// The peer has said whether it takes part in the exchange of keys.
    private mutating func takeKeysWord(_ hello: Hello, on session: SessionSlot, _ services: inout Services) {
        if !hello.records.contains(.keys) { return noteKeysRefused(&services) }
        considerExchange(on: session, &services)
    }

    /// Takes the peer's report, and asks how long the way is if that is due.
    private mutating func receive(_ report: ReportRecord, on session: SessionSlot, _ services: inout Services) {
        quality.take(report, on: services.sessions[session].wireGuard.localIndex)
        takeWord(report, age: Interval(nanoseconds: 0), on: session, &services)
        noteReported(&services)
        askIfDue(on: session, &services)
    }

    /// Asks how long the way is, if that is due.
    mutating func askIfDue(on session: SessionSlot, _ services: inout Services) {
        guard services.sessions[session].hello.records.contains(.ping),
            let token = quality.ask(sent: sent, at: services.now.instant, offset: services.clockOffsets.ping)
        else { return }
        send(.ping(PingRecord(isAnswer: false, token: token)), on: session, &services)
    }

    /// Asks since somebody wants to know; without a session a handshake begins.
    mutating func ping(_ services: inout Services) -> PingQuestion {
        guard let session = keypairs.current, path != nil, services.sessions[session].canSend(at: services.now.instant)
        else {
            startHandshake(&services)
            return .noSession
        }
        let hello = services.sessions[session].hello
        guard hello.records.contains(.ping) else { return .takesNone(saysNothing: !hello.hasArrived) }
        let token = quality.askNow(at: services.now.instant, offset: services.clockOffsets.ping)
        send(.ping(PingRecord(isAnswer: false, token: token)), on: session, &services)
        return .asked(token)
    }

    /// Answers a question, or takes the answer to ours.
    private mutating func receive(_ ping: PingRecord, on session: SessionSlot, _ services: inout Services) {
        guard !ping.isAnswer else {
            quality.take(answer: ping.token, at: services.now.instant)
            return receivePathAnswer(ping.token, &services)
        }
        guard services.sessions[session].hello.records.contains(.ping) else { return }
        send(.ping(PingRecord(isAnswer: true, token: ping.token)), on: session, &services)
    }
}
