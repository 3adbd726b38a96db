import Addresses
import BasicContainers

// Sending: packets from the device to the wire, and everything else that leaves on a session.

extension Peer {
    // MARK: The one way out

    /// Sends a message on a session and notes what follows from that. The bytes on the wire; 0 if nothing left.
    ///
    /// Every message of a session leaves here, or as a packet below, which has no need to become a message: most are packets.
    mutating func transmit(_ message: OutboundMessage, on session: SessionSlot, _ services: inout Services) -> Int {
        guard let path else { return 0 }
        let departure = beginDeparture(isPadded: message.isPadded, on: session, services)
        let size = services.egress.send(message, on: &services.sessions[session], to: destination(on: path))
        if services.trace.isOn, size > 0, !services.trace.passesOver() {
            traceSent(message, wire: size, datagrams: departure.datagrams(services), on: session, &services)
        }
        end(departure, size, isData: message.isData, of: message.stream, on: session, &services)
        switch message {
        case .confirming(let packet, _, _):
            noteSent(plain: packet.byteCount, size, &services)
        case .frame(let frame, _): noteSent(plain: frame.byteCount, size, &services)
        case .segmented(let frame, let shape, _):
            let plain = shape.plainBytes(of: frame.byteCount)
            if size > 0 {
                traffic.noteBundle(packets: shape.packets(of: frame.byteCount), plain: plain, wire: size)
                if services.shares.isDue(plain) {
                    services.shares.note(TraceFlow(frame: frame), plain: plain, wire: size, to: id.slot)
                }
            }
            noteSent(plain: plain, size, &services)
        case .batch(let index, let form):
            // Nothing left: it would not have been smaller, and goes otherwise.
            guard size > 0, let batch = services.egress.gathering[index] else { return 0 }
            switch form {
            case .unit(let codec, _): traffic.note(codec, plain: batch.plain, wire: size)
            case .stream:
                traffic.note(.zstd, plain: batch.plain, wire: size)
                history.sent.add(plain: batch.plain, wire: size)
                history.unitsSent &+= 1
            case .recall(let recall):
                history.saved += recall.without - size - Transport.outerHeaders
                traffic.note(.zstd, plain: batch.plain, wire: size)
                history.recallsSent.add(plain: batch.plain, wire: size)
                history.recalledSent &+= 1
            case .bundle, .pack: traffic.noteBundle(packets: batch.packets, plain: batch.plain, wire: size)
            }
            if services.shares.isDue(batch.plain) { noteShare(of: index, plain: batch.plain, wire: size, &services) }
            noteSent(plain: batch.plain, size, &services)
        case .control, .keepalive, .parity, .keys:
            guard size > 0 else {
                services.drops.count(.overflow)
                return 0
            }
            sent &+= UInt64(size)
            noteAuthenticatedSent(&services)
        }
        return size
    }

    /// Sends a packet as it is.
    @inline(__always)
    mutating func transmit(
        _ packet: RawSpan, with header: InternetPacket, on session: SessionSlot, _ services: inout Services
    ) {
        guard let path else { return }
        let departure = beginDeparture(isPadded: false, on: session, services)
        let size = services.egress.send(
            packet, with: header, on: &services.sessions[session], to: destination(on: path))
        if services.trace.isOn, size > 0, !services.trace.passesOver() {
            traceSent(packet, with: header, wire: size, on: session, &services)
        }
        end(departure, size, isData: true, on: session, &services)
        if compression.mode != .off, services.shares.isDue(packet.byteCount) {
            services.shares.note(TraceFlow(packet, header), plain: packet.byteCount, wire: size, to: id.slot)
        }
        noteSent(plain: packet.byteCount, size, &services)
    }

    /// The flow of the first packet of a batch.
    private func firstFlow(of index: Int, _ services: borrowing Services) -> TraceFlow {
        let first = services.egress.gathering.bytes(0, of: index)
        return services.cargo == .frames ? TraceFlow(frame: first) : TraceFlow(start: first)
    }

    /// Notes of which service a batch is.
    @inline(never)
    private func noteShare(of index: Int, plain: Int, wire: Int, _ services: inout Services) {
        let flow = firstFlow(of: index, services)
        services.shares.note(flow, plain: plain, wire: wire, to: id.slot)
    }

    private func destination(on path: Path) -> Destination {
        Destination(path: path, peer: id.slot, limit: pathMTU.limit)
    }

    /// What is to be known of the moment before something leaves.
    private struct Departure {
        /// Datagrams in the outbox, and where what is kept will begin there; `nil`: nothing is kept.
        let before: UInt64
        let mark: Outbox.Mark?
        let counter: UInt64

        /// The datagrams that have come to it since.
        @inline(__always)
        func datagrams(_ services: borrowing Services) -> Int {
            Int(services.egress.outbox.appended.datagrams &- before)
        }
    }

    @inline(__always)
    private func beginDeparture(isPadded: Bool, on session: SessionSlot, _ services: borrowing Services) -> Departure {
        Departure(
            before: services.egress.outbox.appended.datagrams,
            // What asks whether it gets there is not sent again.
            mark: !isPadded && keepsSent(on: session, services) ? services.egress.outbox.mark : nil,
            counter: rates.isFound ? services.sessions[session].nextCounter : 0)
    }

    /// Keeps what left if it may be sent again, and charges the link for it.
    @inline(__always)
    private mutating func end(
        _ departure: Departure, _ size: Int, isData: Bool, of stream: Int? = nil, on session: SessionSlot,
        _ services: inout Services
    ) {
        if let mark = departure.mark { keepSent(since: mark, isData: isData, of: stream, on: session, &services) }
        guard services.egress.queue.isUsed else { return }
        let datagrams = departure.datagrams(services)
        services.egress.queue.charge(size, datagrams: datagrams, to: id.slot, at: services.now.instant)
        if rates.isFound { noteDepartures(from: departure.counter, on: session, &services) }
    }

    /// Notes what follows from having sent data, be it on the session before, or that there was no room for it.
    @inline(__always)
    private mutating func noteSent(plain: Int, _ size: Int, _ services: inout Services) {
        guard size > 0 else { return services.drops.count(.overflow) }
        sent &+= UInt64(size)
        repair.leaving.note(size, at: services.now.instant)
        noteDataOnPath(size, &services)
        traffic.noteSent(plain: plain, wire: size)
        if services.egress.sent.keeps(id.slot) {
            services.egress.sent.earn(size, of: id.slot)
            armProbe(&services)
        }
        awaitAnswer(&services)
        noteAuthenticatedSent(&services)
        guard let newest = keypairs.current else { return }
        noteTraffic(on: newest, &services)
        renewIfOld(newest, &services)
    }

    /// If nothing comes back in time, a new session is made.
    @inline(__always)
    mutating func awaitAnswer(_ services: inout Services) {
        guard !timers.isArmed(.newHandshake) else { return }
        let deadline = services.now.instant + Limits.newHandshakeTimeout + services.randomJitter()
        arm(.newHandshake, at: deadline, &services.schedule)
    }

    /// Notes that anything was sent on a session: no keepalive is due any more.
    @inline(__always)
    mutating func noteAuthenticatedSent(_ services: inout Services) {
        timers.disarm(.keepalive)
        noteAuthenticatedTraversal(&services)
    }

    /// Asks for a new session if this one is at its age, whitepaper §6.2.
    @inline(__always)
    private mutating func renewIfOld(_ session: SessionSlot, _ services: inout Services) {
        let age = services.now.instant - services.sessions[session].createdAt
        let isOld = services.sessions[session].isInitiator && age > Limits.rekeyAfterTime
        if services.sessions[session].isUsedUp || isOld { startHandshake(&services) }
    }

    // MARK: Packets

    /// Whether what goes to the peer waits for a link with a rate.
    @inline(__always)
    func waits(_ services: borrowing Services) -> Bool {
        services.egress.queue.isUsed && services.egress.queue.holds(id.slot)
    }

    /// Takes a packet of the device.
    @inline(__always)
    mutating func take(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        guard !isOurs(packet, header, port: services.port) else { return dropLoop(&services) }
        let content = packet.extracting(0..<header.length)
        guard !waits(services) else { return enqueue(content, with: header, &services) }
        sendNow(content, with: header, &services)
    }

    /// Sends a packet, which need not wait for the link any more.
    @inline(__always)
    mutating func sendNow(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        guard !gathers(services) else { return gather(packet, with: header, &services) }
        if services.samples.isDue(packet.byteCount) { services.samples.note(packet, to: id.slot) }
        send(packet, with: header, &services)
    }

    /// Takes a super-segment of the device, which stands for several packets. Its bytes are changed on the way.
    @inline(__always)
    mutating func take(
        _ packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) {
        guard !isOurs(packet.bytes, header, port: services.port) else { return dropLoop(&services) }
        guard !waits(services) else {
            return enqueueSegments(of: &packet, with: header, virtio: virtio, &services)
        }
        sendNow(&packet, with: header, virtio: virtio, &services)
    }

    /// Sends a super-segment, which need not wait for the link any more.
    @inline(__always)
    mutating func sendNow(
        _ packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) {
        if gathers(services) {
            guard !virtio.isPlain(header) else {
                var content = packet.part(0..<header.length)
                return gather(&content, with: header, virtio: virtio, &services)
            }
            sendBatches(&services)
        } else if services.samples.isDue(packet.byteCount) {
            services.samples.note(packet.bytes, to: id.slot)
        }
        sendSegments(of: &packet, with: header, virtio: virtio, &services)
    }

    /// Sends the packets that a super-segment stands for.
    @inline(__always)
    mutating func sendSegments(
        of packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) {
        if isLarge(header.headerLength + TCPHeader.size + Int(virtio.segment), services),
            packSegments(of: &packet, with: header, virtio: virtio, &services)
        {
            return
        }
        guard var split = Split(packet.bytes, header, virtio: virtio) else { return services.drops.count(.notIP) }
        while let range = split.nextPacket(in: &packet) {
            send(packet.bytes.extracting(range), with: header.resized(to: range.count), &services)
        }
    }

    /// Sends a packet, or stages it until there is a session.
    @inline(__always)
    mutating func send(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        guard let session = keypairs.current, services.sessions[session].canSend(at: services.now.instant) else {
            return stageForHandshake(packet, with: header, &services)
        }
        guard path != nil else { return refuse(packet, with: header, &services) }
        if hasDemands, !meetsDemands(on: session, services) {
            return sendEarly(packet, with: header, before: session, &services)
        }
        if isLarge(packet.byteCount, services) {
            if takesPacks(on: session, services) { return pack(packet, with: header, on: session, &services) }
            if isTooBig(packet, header, on: session, services) { return refuseTooBig(packet, header, &services) }
        }
        guard !services.sessions[session].hello.confirmation.isDue else {
            return sendConfirming(packet, with: header, on: session, &services)
        }
        transmit(packet, with: header, on: session, &services)
    }

    /// Sends a packet, while the newest session is not as the operator demands, on the one before if that is, or stages it; drops it
    /// if the peer has said that it does no such thing, or nothing for so long that it won't.
    @inline(never)
    private mutating func sendEarly(
        _ packet: RawSpan, with header: InternetPacket, before session: SessionSlot, _ services: inout Services
    ) {
        if services.sessions[session].hello.hasArrived, refusesDemands(on: session, services) {
            return drops.count(.staged)
        }
        if staged.isEmpty, let previous = keypairs.previous, meetsDemands(on: previous, services),
            services.sessions[previous].canSend(at: services.now.instant)
        {
            transmit(packet, with: header, on: previous, &services)
            return
        }
        if isSilent(on: session, services) {
            noteKeysRefused(&services)
            drops.count(.staged)
        } else {
            stage(packet)
        }
        noteStaged(on: session, &services)
    }

    /// Whether the packet is one of our own datagrams: inside the next one it would come back again, and grow.
    @inline(__always)
    private func isOurs(_ packet: RawSpan, _ header: InternetPacket, port: UInt16) -> Bool {
        guard let remote = path?.remote, remote.address == header.destination else { return false }
        let ports = header.headerLength
        return header.transport == IPProtocol.udp && packet.byteCount >= ports + 4 && packet.big16(at: ports) == port
            && packet.big16(at: ports + 2) == remote.port
    }

    /// The peer has not said yet where it is. Linux answers so; wireguard-go stages the packet and says nothing.
    @inline(never)
    private mutating func refuse(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        drops.count(.noEndpoint)
        services.ingress.refusals.append(packet, header, at: services.now.instant)
    }

    // MARK: Staged packets

    private mutating func stageForHandshake(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services)
    {
        guard path != nil else { return refuse(packet, with: header, &services) }
        stage(packet)
        startHandshake(&services)
    }

    /// Stages a copy of a packet or frame; the oldest go if there are too many.
    mutating func stage(_ packet: RawSpan) { drops.count(.staged, staged.append(packet)) }

    /// Sends what waited for a session, or for what the peer says on it.
    mutating func sendStaged(_ services: inout Services) {
        guard !staged.isEmpty else { return }
        let carriesFrames = services.cargo == .frames
        // What waits for the peer's HELLO need not be looked at before.
        let waitsForHello = carriesFrames || cipher == .aes256gcm
        if waitsForHello, let session = keypairs.current, !services.sessions[session].hello.hasArrived {
            if !carriesFrames, isSilent(on: session, services) { drops.count(.staged, staged.removeAll().count) }
            return
        }
        if requiresAgreed, let session = keypairs.current, !meetsDemands(on: session, services) {
            if refusesDemands(on: session, services) {
                noteKeysRefused(&services)
                drops.count(.staged, staged.removeAll().count)
            }
            return
        }
        for packet in staged.removeAll() {
            let bytes = unsafe packet.span.bytes
            if carriesFrames {
                guard let header = EthernetFrame(bytes) else { continue }
                send(bytes, with: header, from: nil, &services)
            } else {
                guard let header = InternetPacket(bytes) else { continue }
                send(bytes, with: header, &services)
            }
        }
        // Frames have batches of their own, which those that come now must not overtake.
        if carriesFrames { sendBatches(&services) }
    }

    /// Sends a message with nothing inside, if there is a session.
    mutating func sendKeepalive(_ services: inout Services) {
        guard let session = keypairs.current, services.sessions[session].canSend(at: services.now.instant) else {
            return startHandshake(&services)
        }
        let isConfirming = services.sessions[session].hello.confirmation.isOwed
        guard isConfirming ? confirmAlone(on: session, &services) > 0 : transmit(.keepalive, on: session, &services) > 0
        else { return }
        renewIfOld(session, &services)
    }
}
