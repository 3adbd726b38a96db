import BasicContainers

// From the wire to the device.

extension Tunnel {
    /// Takes one datagram, which is opened where it is: what the inbox gets from it stays there until `inbox.clear()`.
    /// `path` is where it came from and which address of ours it came to; `trafficClass` is the outer header's.
    @inline(__always)
    public mutating func handleDatagram(
        _ datagram: inout MutableRawSpan, from path: Path, trafficClass: UInt8, at now: Now
    ) {
        guard isUp else { return }
        switch Message(datagram.bytes) {
        case .transport(let receiver):
            handleTransport(&datagram, receiver, from: path, CongestionBits(rawValue: trafficClass & 3), at: now)
        case .initiation: handleInitiation(datagram.bytes.array(at: 0), from: path, at: now)
        case .response: handleResponse(datagram.bytes.array(at: 0), from: path, at: now)
        case .cookieReply: handleCookieReply(datagram.bytes.array(at: 0), at: now)
        case nil: drops.count(.malformed)
        }
    }

    @inline(__always)
    private mutating func handleTransport(
        _ datagram: inout MutableRawSpan, _ receiver: SessionIndex, from path: Path, _ congestion: CongestionBits,
        at now: Now
    ) {
        let session: Int32
        let suite: CipherSuite
        switch indices[receiver] {
        case .session(let slot): (session, suite) = (slot, .chacha20poly1305)
        case .aes(let slot): (session, suite) = (slot, .aes256gcm)
        case .handshake, .reserved, nil: return drops.count(.unknownIndex)
        }
        let slot = sessions[session].peer
        guard sessions[session].canReceive(at: now.instant) else { return peers[Int(slot)].drops.count(.expired) }

        let size = datagram.byteCount
        let announced = peers[Int(slot)].announced
        let content = chain.inbound(
            &datagram, on: &sessions[session][suite], from: slot, announced: announced,
            isMarked: congestion == .experienced, into: &inbox, at: now.instant)
        switch content {
        case .dropped(.authentication): return peers[Int(slot)].drops.count(.authentication)
        case .dropped(.replay): return peers[Int(slot)].drops.count(.replay)
        default: break
        }

        // From here on the datagram is the peer's.
        peers[Int(slot)].received &+= UInt64(size)
        noteAuthenticReceived(slot, session, from: path, at: now)
        if content.isData { noteDataReceived(slot, at: now) }
        switch content {
        case .packet where carriesFrames: peers[Int(slot)].drops.count(.content)
        case .packet:
            let end = size - Transport.tagSize
            receivePlain(&datagram, Transport.headerSize..<end, size, slot, congestion, at: now)
        case .packets(let packets):
            sessions[session].hello.receiveRecord()
            if carriesFrames {
                receiveFrames(packets, slot, at: now)
            } else {
                receive(packets, slot, at: now)
            }
        case .fragment:
            sessions[session].hello.receiveRecord()
        case .report(let report):
            sessions[session].hello.receiveRecord()
            receive(report, slot, session, at: now)
        case .ping(let ping):
            sessions[session].hello.receiveRecord()
            receive(ping, slot, session, at: now)
        case .hello(let hello):
            receive(hello, slot, session, at: now)
        case .dropped(let reason):
            peers[Int(slot)].drops.count(reason)
        case .keepalive, .askedInVain:
            break
        }
        reportIfDue(slot, session, suite, at: now)
        sendPending(slot, session, at: now)
    }

    /// A packet as it is, in the datagram that it came in.
    @inline(__always)
    private mutating func receivePlain(
        _ datagram: inout MutableRawSpan, _ range: Range<Int>, _ size: Int, _ slot: Int32, _ congestion: CongestionBits,
        at now: Now
    ) {
        var packet = datagram.part(range)
        let header = InternetPacket(packet.bytes)
        let isMarked = congestion != .experienced || header != nil && CongestionBits.markExperienced(&packet)
        guard let header = admit(header, isMarked: isMarked, slot, at: now) else { return }
        peers[Int(slot)].traffic.noteReceived(header.length, size)
        var content = packet.part(0..<header.length)
        if !inbox.append(&content, header) { drops.count(.overflow) }
    }

    /// Packets that were decoded into the inbox.
    private mutating func receive(_ packets: Packets, _ slot: Int32, at now: Now) {
        var count = 0
        var plain = 0
        for index in 0..<chain.found.count {
            let member = chain.found[index]
            guard let header = admit(member.place, isMarked: packets.isMarked, slot, at: now) else { continue }
            count += member.shape.packets(of: member.place.count)
            plain += member.shape.plainBytes(of: member.place.count)
            if !inbox.append(decoded: member.place, header, member.shape) { drops.count(.overflow) }
        }
        if packets.isCutOff { peers[Int(slot)].drops.count(.record) }
        guard plain > 0 else { return }
        peers[Int(slot)].traffic.noteReceived(plain, packets.wire)
        if let codec = packets.codec {
            peers[Int(slot)].traffic.note(codec, plain, packets.wire)
        } else {
            peers[Int(slot)].traffic.noteBundle(count, plain, packets.wire)
        }
    }

    private mutating func admit(
        _ place: Range<Int>, isMarked: Bool, _ slot: Int32, at now: Now
    ) -> InternetPacket? {
        var packet = inbox[decoded: place]
        let header = InternetPacket(packet.bytes)
        let isMarked = !isMarked || header != nil && CongestionBits.markExperienced(&packet)
        return admit(header, isMarked: isMarked, slot, at: now)
    }

    /// Checks a packet that came out of the chain, after it was marked if it met congestion; `nil` if it is
    /// dropped.
    @inline(__always)
    private mutating func admit(
        _ header: InternetPacket?, isMarked: Bool, _ slot: Int32, at now: Now
    ) -> InternetPacket? {
        let reason: DropReason
        if let header {
            if allowedIPs.lookup(header.source) != slot {
                reason = .allowedIPs
                noteSource(header.source, slot, at: now)
            } else if !isMarked {
                reason = .congestion
            } else {
                return header
            }
        } else {
            reason = .content
        }
        peers[Int(slot)].drops.count(reason)
        return nil
    }

    /// What follows from data that came in, let through or not: WireGuard asks only whether the message is empty.
    @inline(__always)
    private mutating func noteDataReceived(_ slot: Int32, at now: Now) {
        if peers[Int(slot)].timers.isArmed(.keepalive) {
            peers[Int(slot)].needsAnotherKeepalive = true
        } else {
            arm(.keepalive, slot, at: now.instant + Limits.keepaliveTimeout)
        }
    }

    /// What follows from any authentic message: the path, the session that it confirms, the timers.
    @inline(__always)
    private mutating func noteAuthenticReceived(_ slot: Int32, _ session: Int32, from path: Path, at now: Now) {
        if peers[Int(slot)].path != path { roam(slot, to: path) }
        peers[Int(slot)].timers.disarm(.newHandshake)
        noteAuthenticatedTraversal(slot, at: now)
        if peers[Int(slot)].next == session { confirm(slot, session, at: now) }
        let age = now.instant - sessions[session].createdAt
        let isOld = sessions[session].isInitiator && age > Limits.rekeyOnReceiveAfter
        if isOld, !peers[Int(slot)].askedBeforeEnd, peers[Int(slot)].current == session {
            peers[Int(slot)].askedBeforeEnd = true
            startHandshake(slot, at: now)
        }
    }

    /// Follows a peer that talks from somewhere else.
    mutating func roam(_ slot: Int32, to path: Path) {
        if peers[Int(slot)].path?.remote != path.remote, peers[Int(slot)].path != nil {
            note(.roamed(peers[Int(slot)].publicKey, path))
        }
        peers[Int(slot)].path = path
    }
}
