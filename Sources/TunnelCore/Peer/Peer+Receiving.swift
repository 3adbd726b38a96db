import BasicContainers

// Datagrams of a peer, from the wire.

extension Peer {
    /// The content of a datagram that is for the device.
    enum Received {
        /// Nothing of the peer's: it was not authentic, or came before.
        case refused
        /// Nothing for the device.
        case handled
        /// An IP packet that stands in the datagram, behind its header.
        case packet
        case packets(DecodedPackets)
    }

    /// The way that a datagram came.
    enum Origin: Equatable {
        case path
        /// It met congestion there.
        case congested
        /// It did not come: it was had back.
        case parity
    }

    /// Opens a transport message on one of the peer's sessions, and takes what is for the peer itself. `finishReceiving` must
    /// follow when the packets have been taken, unless it is refused.
    @inline(__always)
    mutating func receive(
        _ datagram: inout MutableRawSpan, on lane: LaneSlot, from path: Path, _ origin: Origin,
        _ services: inout Services
    ) -> Received {
        let session = lane.session
        guard services.sessions[session].canReceive(at: services.now.instant) else {
            drops.count(.expired)
            return .refused
        }
        let size = datagram.byteCount
        let isCovered = origin != .parity && services.ingress.opener.parity.follows(id.slot)
        if isCovered {
            services.ingress.opener.parity.stash(datagram.bytes, of: id.slot)
        }
        let content = services.ingress.open(
            &datagram, on: &services.sessions[session][lane.suite], context(origin, services), charging: &budget)
        switch content {
        case .dropped(let reason) where reason == .authentication || reason == .replay:
            drops.count(reason)
            return .refused
        default: break
        }

        // From here on the datagram is the peer's.
        received &+= UInt64(size)
        noteAuthenticReceived(on: session, from: path, &services)
        if origin == .parity {
            noteRebuilt(datagram.bytes, &services)
        } else {
            noteArrival(of: datagram.bytes, isBeside: content.isBeside, on: lane, &services)
            if isCovered { keepForParity(datagram.bytes, &services) }
        }
        if content.isData { noteDataReceived(&services) }
        return take(content, of: datagram.bytes, on: session, &services)
    }

    /// Takes a message that waited, opened; `finishReceiving` must follow when the packets have been taken.
    mutating func receiveKept(
        _ datagram: RawSpan, on session: SessionSlot, isMarked: Bool, _ services: inout Services
    ) -> Received {
        let content = services.ingress.opener.read(
            datagram, context(isMarked ? .congested : .path, services), charging: &budget, into: &services.ingress.inbox
        )
        return take(content, of: datagram, on: session, &services)
    }

    @inline(__always)
    func context(_ origin: Origin, _ services: borrowing Services) -> Opener.Context {
        Opener.Context(
            peer: id.slot, announced: announcement(services.cargo), isMarked: origin == .congested,
            isRebuilt: origin == .parity, arrivedAt: services.now.instant, idleAt: services.ingress.idleAt)
    }

    /// Takes what is for the peer itself.
    @inline(__always)
    private mutating func take(
        _ content: Inbound, of datagram: RawSpan, on session: SessionSlot, _ services: inout Services
    ) -> Received {
        switch content {
        case .packet where requiresAgreed && !services.sessions[session].presharedKey.isAgreed,
            .packets where requiresAgreed && !services.sessions[session].presharedKey.isAgreed:
            dropUnagreed(content)
        case .packet where services.cargo == .frames:
            drops.count(.content)
        case .packet:
            receiveConfirmation(in: datagram, on: session, &services)
            return .packet
        case .packets(let packets):
            services.sessions[session].hello.receiveRecord()
            if packets.isRecalled { takeWord(&services) }
            return .packets(packets)
        case .fragment:
            services.sessions[session].hello.receiveRecord()
        case .control(let record):
            receive(record, on: session, &services)
        case .parity(let age):
            receiveParity(age: age, on: session, &services)
        case .dropped(.budget):
            services.sessions[session].hello.receiveRecord()
            dropBeyondBudget(&services)
        case .dropped(let reason):
            takeWord(&services)
            drops.count(reason)
        case .keepalive:
            receiveKeepalive(on: session, &services)
        case .kept:
            break
        case .askedInVain(let downRate):
            take(downRate: downRate, &services)
        }
        return .handled
    }

    /// Sends what is due after a datagram: a report, and on a session that may have just been confirmed our first HELLO before any
    /// data, then the packets that waited.
    @inline(__always)
    mutating func finishReceiving(on lane: LaneSlot, _ services: inout Services) {
        reportIfDue(on: lane.session, lane.suite, &services)
        guard keypairs.current == lane.session else { return uncross(from: lane.session, &services) }
        if services.sessions[lane.session].hello.isUnsaid { sendHello(on: lane.session, &services) }
        sendStaged(&services)
    }

    /// Counts a packet that was let through as it came.
    @inline(__always)
    mutating func noteReceived(plain: Int, wire: Int) { traffic.noteReceived(plain: plain, wire: wire) }

    /// Counts what was let through of a unit, a bundle or a frame, and what it costs: `writes` are those to the device. What went on to
    /// another peer as it was is one packet of `handled`, whatever it stands for; `nil`: nothing did.
    mutating func noteReceived(_ packets: DecodedPackets, count: Int, handled: Int? = nil, plain: Int, writes: Int) {
        if packets.isCutOff { drops.count(.record) }
        if packets.codec != nil || packets.isBundle {
            budget.payDelivery(
                members: packets.packets.count, packets: handled ?? count, bytes: plain, writes: writes)
        }
        guard plain > 0 else { return }
        traffic.noteReceived(plain: plain, wire: packets.wire)
        if let codec = packets.codec {
            traffic.note(codec, plain: plain, wire: packets.wire)
            if packets.isOfStream {
                history.received.add(plain: plain, wire: packets.wire)
                history.unitsReceived &+= 1
            }
            if packets.isRecalled {
                history.recallsReceived.add(plain: plain, wire: packets.wire)
                history.recalledReceived &+= 1
            }
        } else if packets.isBundle {
            traffic.noteBundle(packets: count, plain: plain, wire: packets.wire)
        }
    }

    /// Notes that data came in: a keepalive is due unless we send.
    @inline(__always)
    private mutating func noteDataReceived(_ services: inout Services) {
        if timers.isArmed(.keepalive) {
            needsAnotherKeepalive = true
        } else {
            arm(.keepalive, at: services.now.instant + Limits.keepaliveTimeout, &services.schedule)
        }
    }

    /// Notes that an authentic message came: the path, the session that it confirms, the timers.
    @inline(__always)
    private mutating func noteAuthenticReceived(
        on session: SessionSlot, from path: Path, _ services: inout Services
    ) {
        if self.path != path { roam(to: path, &services) }
        pathMTU.noteHeard(at: services.now.instant)
        timers.disarm(.newHandshake)
        noteAuthenticatedTraversal(&services)
        if keypairs.next == session { confirmNext(&services) }
        let age = services.now.instant - services.sessions[session].createdAt
        let isOld = services.sessions[session].isInitiator && age > Limits.rekeyOnReceiveAfter
        if isOld, !handshaking.askedBeforeEnd, keypairs.current == session {
            handshaking.noteAskedBeforeEnd()
            startHandshake(&services)
        }
    }
}
