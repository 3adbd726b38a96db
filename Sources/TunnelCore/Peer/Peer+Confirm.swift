import BasicContainers

// CONFIRM (docs/protocol.md §3.9): two ends that know each other say on a new session by a few bytes that they are who they were, with
// messages that they send anyway.

extension Peer {
    // MARK: Out

    /// Begins to confirm on a new session; false if a HELLO must be sent.
    mutating func offerConfirmation(on session: SessionSlot, _ services: inout Services) -> Bool {
        // Data that waits for the peer's word waits for a HELLO.
        guard services.cargo == .packets, cipher != .aes256gcm, silentSessions == 0,
            confirmation(on: session, services) != nil
        else { return false }
        // What is to be agreed on does not wait for data.
        let isAgreed = services.sessions[session].presharedKey.isAgreed
        if exchange.policy != .off, !isAgreed, acquaintance.heard?.records.contains(.keys) == true { return false }
        services.sessions[session].hello.confirmation.offer()
        return true
    }

    /// A keepalive came, which says nothing of who sent it: what confirms us can wait for data, if this is the first message.
    mutating func receiveKeepalive(on session: SessionSlot, _ services: inout Services) {
        guard services.sessions[session].hello.isUnsaid else { return }
        _ = offerConfirmation(on: session, &services)
    }

    /// Sends a packet and what confirms us behind it; if it has no room for that, before it.
    @inline(never)
    mutating func sendConfirming(
        _ packet: RawSpan, with header: InternetPacket, on session: SessionSlot, _ services: inout Services
    ) {
        let hello = services.sessions[session].hello
        guard !hello.confirmation.isInVain, let confirm = confirmation(on: session, services),
            packet.byteCount + confirm.size <= services.egress.sizes.mtu
        else {
            if hello.confirmation.isOwed {
                confirmAlone(on: session, &services)
            } else {
                sendHello(on: session, &services)
            }
            transmit(packet, with: header, on: session, &services)
            return
        }
        guard transmit(.confirming(packet, header, confirm), on: session, &services) > 0 else { return }
        noteConfirmed(on: session, &services)
    }

    /// Sends what confirms us in a message of its own, which is a keepalive to every timer; a HELLO if it must be. The bytes on the wire.
    @discardableResult
    mutating func confirmAlone(on session: SessionSlot, _ services: inout Services) -> Int {
        guard !services.sessions[session].hello.confirmation.isInVain,
            let confirm = confirmation(on: session, services)
        else { return sendHello(on: session, &services) ? 1 : 0 }
        let size = transmit(.control(.confirm(confirm)), on: session, &services)
        if size > 0 { noteConfirmed(on: session, &services) }
        return size
    }

    private mutating func noteConfirmed(on session: SessionSlot, _ services: inout Services) {
        let wasOwed = services.sessions[session].hello.confirmation.isOwed
        services.sessions[session].hello.confirmation.noteSent()
        if wasOwed, session == keypairs.current { timers.disarm(.hello) }
    }

    private func confirmation(on session: SessionSlot, _ services: borrowing Services) -> ConfirmRecord? {
        guard let announcement = announcement(services.cargo), let digest = acquaintance.digest(of: announcement) else {
            return nil
        }
        return ConfirmRecord(
            seen: services.sessions[session].hello.hasArrived, digest: digest,
            aesIndex: services.sessions[session].aes.localIndex)
    }

    // MARK: In

    /// Takes what stands behind a plain packet.
    @inline(__always)
    mutating func receiveConfirmation(
        in datagram: RawSpan, on session: SessionSlot, _ services: inout Services
    ) {
        let payload = datagram.extracting(Transport.headerSize..<datagram.byteCount - Transport.tagSize)
        if let confirm = ConfirmRecord(behindPacketIn: payload) {
            receive(confirm, withData: true, on: session, &services)
        }
        services.sessions[session].hello.receiveData()
    }

    /// Takes the peer's word that it is as it was; not if we have never heard how that is, in which case it is not answered like one
    /// that says nothing.
    @inline(never)
    mutating func receive(
        _ confirm: ConfirmRecord, withData hasData: Bool, on session: SessionSlot, _ services: inout Services
    ) {
        guard announcement(services.cargo)?.records.contains(.confirm) == true,
            let hello = acquaintance.hello(for: confirm)
        else { return }
        take(hello, on: session, &services)
        guard !confirm.seen, !services.sessions[session].hello.isWaiting else { return }
        services.sessions[session].hello.confirmation.owe()
        // Nothing goes on another one than the newest by itself; and what we can't confirm is said in full.
        if keypairs.current != session || confirmation(on: session, services) == nil {
            confirmAlone(on: session, &services)
        } else if hasData, !timers.isArmed(.hello) {
            arm(.hello, at: services.now.instant + Limits.confirmationDelay, &services.schedule)
        }
    }
}
