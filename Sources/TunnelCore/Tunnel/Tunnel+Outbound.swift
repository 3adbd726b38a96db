import Addresses
import BasicContainers

// From the device to the wire.

extension Tunnel {
    /// Takes one frame from the device: a virtio header and a packet, or a super-segment that stands for several. The
    /// frame's bytes are changed on the way.
    @inline(__always)
    public mutating func handleFrame(_ frame: inout MutableRawSpan, at now: Now) {
        guard let virtio = VirtioHeader(frame.bytes) else { return drops.count(.notIP) }
        var packet = frame.part(VirtioHeader.size...)
        if carriesFrames {
            if virtio.needsChecksum, !virtio.completeChecksum(of: &packet) { return drops.count(.frame) }
            return handleEthernet(packet.bytes, at: now)
        }
        guard virtio.kind != .none else {
            if virtio.needsChecksum, !virtio.completeChecksum(of: &packet) { return drops.count(.notIP) }
            return handlePacket(packet.bytes, at: now)
        }
        guard let header = InternetPacket(packet.bytes), let split = Split(packet.bytes, header, virtio) else {
            return drops.count(.notIP)
        }
        let slot = allowedIPs.lookup(header.destination)
        guard slot >= 0 else { return refuse(packet.bytes, header, at: now) }
        guard !isOurs(packet.bytes, header, to: slot) else { return dropLoop(slot, at: now) }
        if gathers(for: slot) {
            guard !virtio.isPlain(header) else {
                var content = packet.part(0..<header.length)
                return gather(&content, header, segment: Int(virtio.segment), virtio, for: slot, at: now)
            }
            sendBatches(of: slot, at: now)
        }
        send(split, of: &packet, header, to: slot, at: now)
    }

    /// Sends the packets that a super-segment stands for.
    @inline(__always)
    mutating func send(
        _ split: Split, of packet: inout MutableRawSpan, _ header: InternetPacket, to slot: Int32, at now: Now
    ) {
        var split = split
        while let range = split.nextPacket(in: &packet) {
            send(packet.bytes.extracting(range), header.resized(to: range.count), to: slot, at: now)
        }
    }

    /// Takes one IP packet.
    @inline(__always)
    public mutating func handlePacket(_ packet: RawSpan, at now: Now) {
        guard let header = InternetPacket(packet) else { return drops.count(.notIP) }
        let slot = allowedIPs.lookup(header.destination)
        guard slot >= 0 else { return refuse(packet, header, at: now) }
        guard !isOurs(packet, header, to: slot) else { return dropLoop(slot, at: now) }
        let content = packet.extracting(0..<header.length)
        guard !gathers(for: slot) else { return gather(content, header, for: slot, at: now) }
        send(content, header, to: slot, at: now)
    }

    /// Nobody's AllowedIPs hold the packet's destination.
    @inline(never)
    private mutating func refuse(_ packet: RawSpan, _ header: InternetPacket, at now: Now) {
        // The system itself says much to groups: that nobody has those is no fault.
        drops.count(header.destination.isGroup ? .multicast : .noPeer)
        noteRefused(packet, header, at: now)
    }

    /// The packet's peer has not said yet where it is. Linux answers so; wireguard-go keeps the packet and says nothing.
    @inline(never)
    private mutating func refuse(_ packet: RawSpan, _ header: InternetPacket, withoutEndpoint slot: Int32, at now: Now)
    {
        peers[Int(slot)].drops.count(.noEndpoint)
        noteRefused(packet, header, at: now)
    }

    /// Sends a packet to a peer, or keeps it until there is a session.
    @inline(__always)
    mutating func send(_ packet: RawSpan, _ header: InternetPacket, to slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        guard session >= 0, sessions[session].canSend(at: now.instant) else {
            return stage(packet, header, for: slot, at: now)
        }
        guard let path = peers[Int(slot)].path else {
            return refuse(packet, header, withoutEndpoint: slot, at: now)
        }
        if peers[Int(slot)].cipher == .aes256gcm, !sessions[session].aes.isOpen {
            return sendEarly(packet, header, to: slot, path, at: now)
        }
        send(packet, header, to: slot, path, on: session, at: now)
    }

    /// Sends a packet on one of the peer's sessions.
    @inline(__always)
    private mutating func send(
        _ packet: RawSpan, _ header: InternetPacket, to slot: Int32, _ path: Path, on session: Int32, at now: Now
    ) {
        let sent = chain.outbound(
            packet, header, mtu: mtu, on: &sessions[session].forData, to: Destination(path: path, peer: slot),
            into: &outbox)
        guard sent > 0 else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(sent)
        peers[Int(slot)].traffic.noteSent(packet.byteCount, sent)
        noteDataSent(slot, peers[Int(slot)].current, at: now)
    }

    /// Sends a packet, before the peer has said on the newest session that it does AES-256-GCM, on the one before if it did
    /// there, or keeps it; drops it if the peer has said that it doesn't, or nothing for so long that it won't.
    @inline(never)
    private mutating func sendEarly(
        _ packet: RawSpan, _ header: InternetPacket, to slot: Int32, _ path: Path, at now: Now
    ) {
        let (session, previous) = (peers[Int(slot)].current, peers[Int(slot)].previous)
        guard !sessions[session].hello.hasArrived else { return peers[Int(slot)].drops.count(.staged) }
        if peers[Int(slot)].staged.isEmpty, previous >= 0, sessions[previous].aes.isOpen,
            sessions[previous].canSend(at: now.instant)
        {
            return send(packet, header, to: slot, path, on: previous, at: now)
        }
        let dropped = isSilent(slot, session) ? 1 : peers[Int(slot)].staged.append(packet)
        peers[Int(slot)].drops.count(.staged, dropped)
        noteHeld(slot, session, at: now)
    }

    /// Whether the packet is one of our own datagrams: inside the next one it would come back again, and grow.
    @inline(__always)
    private func isOurs(_ packet: RawSpan, _ header: InternetPacket, to slot: Int32) -> Bool {
        guard let remote = peers[Int(slot)].path?.remote, remote.address == header.destination else { return false }
        let ports = header.headerLength
        return header.transport == 17 && packet.byteCount >= ports + 4 && packet.big16(at: ports) == port
            && packet.big16(at: ports + 2) == remote.port
    }

    private mutating func stage(_ packet: RawSpan, _ header: InternetPacket, for slot: Int32, at now: Now) {
        guard peers[Int(slot)].path != nil else {
            return refuse(packet, header, withoutEndpoint: slot, at: now)
        }
        let dropped = peers[Int(slot)].staged.append(packet)
        peers[Int(slot)].drops.count(.staged, dropped)
        startHandshake(slot, at: now)
    }

    /// Sends what waited for a session.
    mutating func sendStaged(_ slot: Int32, at now: Now) {
        guard !peers[Int(slot)].staged.isEmpty else { return }
        // What waits for the peer's HELLO need not be looked at before.
        let session = peers[Int(slot)].current
        let waitsForHello = carriesFrames || peers[Int(slot)].cipher == .aes256gcm
        if waitsForHello, session >= 0, !sessions[session].hello.hasArrived {
            if !carriesFrames, isSilent(slot, session) { dropStaged(slot) }
            return
        }
        for packet in peers[Int(slot)].staged.removeAll() {
            let bytes = unsafe packet.span.bytes
            if carriesFrames {
                sendKept(bytes, to: slot, at: now)
                continue
            }
            guard let header = InternetPacket(bytes) else { continue }
            send(bytes, header, to: slot, at: now)
        }
        // Frames have batches of their own, which those that come now must not overtake.
        if carriesFrames { sendBatches(of: slot, at: now) }
    }

    /// Sends a message with nothing inside, if there is a session.
    mutating func sendKeepalive(_ slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        guard session >= 0, sessions[session].canSend(at: now.instant), let path = peers[Int(slot)].path else {
            if session < 0 || !sessions[session].canSend(at: now.instant) { startHandshake(slot, at: now) }
            return
        }
        let size = chain.outboundKeepalive(
            on: &sessions[session].forData, to: Destination(path: path, peer: slot), into: &outbox)
        guard size > 0 else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(size)
        noteAuthenticatedSent(slot, at: now)
        renewIfOld(slot, session, at: now)
    }

    /// What follows from having sent data, be it on the session before; `session` is the newest.
    @inline(__always)
    mutating func noteDataSent(_ slot: Int32, _ session: Int32, at now: Now) {
        awaitAnswer(slot, at: now)
        noteAuthenticatedSent(slot, at: now)
        noteTraffic(slot, session, at: now)
        renewIfOld(slot, session, at: now)
    }

    /// If nothing comes back in time, a new session is made.
    @inline(__always)
    mutating func awaitAnswer(_ slot: Int32, at now: Now) {
        guard !peers[Int(slot)].timers.isArmed(.newHandshake) else { return }
        arm(.newHandshake, slot, at: now.instant + Limits.newHandshakeTimeout + randomJitter())
    }

    /// What follows from having sent anything on a session.
    @inline(__always)
    mutating func noteAuthenticatedSent(_ slot: Int32, at now: Now) {
        peers[Int(slot)].timers.disarm(.keepalive)
        noteAuthenticatedTraversal(slot, at: now)
    }

    /// Asks for a new session if this one is at its age, whitepaper §6.2.
    @inline(__always)
    private mutating func renewIfOld(_ slot: Int32, _ session: Int32, at now: Now) {
        let isOld =
            sessions[session].isInitiator && now.instant - sessions[session].createdAt > Limits.rekeyAfterTime
        if sessions[session].isUsedUp || isOld { startHandshake(slot, at: now) }
    }
}
