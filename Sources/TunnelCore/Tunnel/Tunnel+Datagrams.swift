import Addresses
import BasicContainers

// From the wire to a peer, and from a peer to the device.

extension Tunnel {
    /// Takes one datagram, which is opened where it is: what the inbox gets from it stays there until `inbox.clear()`.
    /// `path` is where it came from and which address of ours it came to; `trafficClass` is the outer header's.
    @inline(__always)
    public mutating func handleDatagram(
        _ datagram: inout MutableRawSpan, from path: Path, trafficClass: UInt8, at now: Now
    ) {
        guard services.isUp else { return }
        services.now = now
        guard !services.trace.isOn else {
            return traceDatagram(&datagram, from: path, trafficClass: trafficClass, at: now)
        }
        handleMessage(&datagram, from: path, trafficClass: trafficClass)
    }

    @inline(__always)
    mutating func handleMessage(_ datagram: inout MutableRawSpan, from path: Path, trafficClass: UInt8) {
        switch Message(datagram.bytes) {
        case .transport(let receiver):
            handleTransport(&datagram, to: receiver, from: path, CongestionBits(rawValue: trafficClass & 3))
        case .initiation: handleInitiation(datagram.bytes.array(at: 0), from: path)
        case .response: handleResponse(datagram.bytes.array(at: 0), from: path)
        case .cookieReply: handleCookieReply(datagram.bytes.array(at: 0))
        case nil: services.drops.count(.malformed)
        }
    }

    @inline(__always)
    private mutating func handleTransport(
        _ datagram: inout MutableRawSpan, to receiver: ReceiverIndex, from path: Path, _ congestion: CongestionBits
    ) {
        guard case .lane(let lane) = services.indices[receiver] else { return services.drops.count(.unknownIndex) }
        let slot = services.sessions[lane.session].peer
        guard receive(&datagram, on: lane, from: path, congestion == .experienced ? .congested : .path) else { return }
        if services.ingress.opener.parity.hasRebuilt(of: slot) { receiveRebuilt(of: slot, from: path) }
        releaseUnits(of: slot)
        releaseHeld(of: slot)
        deliverReady()
        peers[slot].finishReceiving(on: lane, &services)
        makeRoomToGather()
    }

    /// Opens a transport message, and gives the device what is for it; false if it was refused.
    @inline(__always)
    private mutating func receive(
        _ datagram: inout MutableRawSpan, on lane: LaneSlot, from path: Path, _ origin: Peer.Origin
    ) -> Bool {
        let slot = services.sessions[lane.session].peer
        switch peers[slot].receive(&datagram, on: lane, from: path, origin, &services) {
        case .refused: return false
        case .handled: break
        case .packet: deliverPlain(&datagram, from: slot, isMarked: origin == .congested)
        case .packets(let packets): deliver(packets, of: datagram.bytes, from: slot)
        }
        return true
    }

    /// Takes datagrams that were lost and had back from parity, as far as the inbox has room for them.
    @inline(never)
    private mutating func receiveRebuilt(of slot: PeerSlot, from path: Path) {
        while services.ingress.inbox.hasRoom, let rebuilt = services.ingress.opener.parity.popRebuilt(of: slot) {
            guard case .lane(let lane) = services.indices[rebuilt.lane], services.sessions[lane.session].peer == slot,
                let place = services.ingress.place(rebuilt, of: slot)
            else { continue }
            // The inbox keeps it where it is until it is cleared.
            var datagram = unsafe _overrideLifetime(services.ingress.inbox[decoded: place], copying: ())
            _ = receive(&datagram, on: lane, from: path, .parity)
        }
    }

    // MARK: Packets that wait for what was lost

    /// Makes ready what waits for nothing any more.
    @inline(__always)
    mutating func releaseHeld(of slot: PeerSlot) {
        guard services.ingress.reorder.nextExpiry != nil else { return }
        services.ingress.reorder.release(slot, below: peers[slot].repair.gaps.lowest)
    }

    /// Gives the device what is ready.
    @inline(__always)
    mutating func deliverReady() {
        guard services.ingress.reorder.hasReady else { return }
        deliverPaced()
    }

    @inline(never)
    private mutating func deliverPaced() {
        let now = services.now.instant
        services.ingress.readyAt = now
        while services.ingress.inbox.hasRoom, let ready = services.ingress.reorder.nextReady() {
            if let later = peers[ready.peer].repair.pace.take(ready.length, at: now) {
                services.ingress.readyAt = later
                return
            }
            if !services.ingress.deliver(ready, at: now) { services.drops.count(.overflow) }
        }
    }

    /// Keeps a packet that must wait for what was lost before it; true if it did.
    @inline(__always)
    private mutating func holds(
        _ packet: RawSpan, _ header: InternetPacket, shape: MemberShape?, counter: UInt64, from slot: PeerSlot
    ) -> Bool {
        guard header.transport == IPProtocol.tcp, peers[slot].ordersPackets(at: services.now.instant) else {
            return false
        }
        peers[slot].repair.pace.note(packet.byteCount, at: services.now.instant)
        let arrival = ReorderBuffer.Arrival(
            peer: slot, header: header, shape: shape ?? MemberShape(layout: PacketLayout(packet, header), segment: 0),
            counter: counter, missing: peers[slot].repair.gaps.lowest)
        return services.ingress.reorder.take(packet, arrival, at: services.now.instant) == .held
    }

    /// The same for a frame.
    mutating func holds(
        _ frame: RawSpan, _ ethernet: EthernetFrame, _ shape: MemberShape, counter: UInt64, from slot: PeerSlot
    ) -> Bool {
        guard peers[slot].ordersPackets(at: services.now.instant), let header = ethernet.packet(in: frame),
            header.transport == IPProtocol.tcp
        else { return false }
        peers[slot].repair.pace.note(frame.byteCount, at: services.now.instant)
        let packet = frame.extracting(ethernet.payload..<frame.byteCount)
        let arrival = ReorderBuffer.Arrival(
            peer: slot, header: header,
            shape: shape.segment > 0 ? shape : MemberShape(layout: PacketLayout(packet, header), segment: 0),
            counter: counter, missing: peers[slot].repair.gaps.lowest, start: ethernet.payload,
            vlans: ethernet.vlans(frame))
        return services.ingress.reorder.take(frame, arrival, at: services.now.instant) == .held
    }

    // MARK: Turns

    /// Whether messages wait because their peers have had their share of a turn.
    public var hasKept: Bool { !services.ingress.opener.waiting.isEmpty }

    /// Takes one of them, with room in the inbox and the outbox. False if the peer whose turn it was has had its share again, or
    /// has nothing left: the next call is about another one, and there should be a turn in between.
    public mutating func handleKept(at now: Now) -> Bool {
        guard services.isUp, let message = services.ingress.opener.waiting.take() else { return false }
        services.now = now
        let slot = message.peer
        peers[slot].budget.beginTurn(at: now.instant)
        handle(message)
        peers[slot].budget.payWaiting()
        guard services.ingress.opener.waiting.holds(slot), !peers[slot].budget.hasHadShare else {
            services.ingress.opener.waiting.passOn(from: slot)
            return false
        }
        return true
    }

    private mutating func handle(_ message: WaitingMessages.Message) {
        let slot = message.peer
        // It stays where it is until the next one is taken.
        let datagram = unsafe _overrideLifetime(services.ingress.opener.waiting.bytes(of: message), copying: ())
        guard case .transport(let receiver) = Message(datagram), case .lane(let lane) = services.indices[receiver],
            services.sessions[lane.session].peer == slot
        else { return peers[slot].drops.count(.expired) }
        switch peers[slot].receiveKept(datagram, on: lane.session, isMarked: message.isMarked, &services) {
        case .refused, .handled: break
        case .packet:
            // The device gets it from where it stays until then.
            let place = services.ingress.inbox.decode(datagram.byteCount) { space in
                space.copy(datagram, to: 0)
                return datagram.byteCount
            }
            guard let place else { return services.drops.count(.overflow) }
            var copy = unsafe _overrideLifetime(services.ingress.inbox[decoded: place], copying: ())
            deliverPlain(&copy, from: slot, isMarked: message.isMarked)
        case .packets(let packets): deliver(packets, of: datagram, from: slot)
        }
        releaseUnits(of: slot)
        releaseHeld(of: slot)
        deliverReady()
        peers[slot].finishReceiving(on: lane, &services)
        makeRoomToGather()
    }

    // MARK: To the device

    /// Gives what was decoded to the device, or to other peers.
    private mutating func deliver(_ packets: DecodedPackets, of datagram: RawSpan, from slot: PeerSlot) {
        deliver(packets, counter: datagram.little64(at: Transport.counter), from: slot)
    }

    /// The same of what came in a datagram with that counter.
    mutating func deliver(_ packets: DecodedPackets, counter: UInt64, from slot: PeerSlot) {
        if mode == .packets {
            deliverPackets(packets, counter: counter, from: slot)
        } else {
            deliverFrames(packets, counter: counter, from: slot)
        }
    }

    /// Gives the packet in a datagram to the device.
    @inline(__always)
    private mutating func deliverPlain(_ datagram: inout MutableRawSpan, from slot: PeerSlot, isMarked: Bool) {
        let size = datagram.byteCount
        let counter = datagram.bytes.little64(at: Transport.counter)
        var packet = datagram.part(Transport.headerSize..<size - Transport.tagSize)
        guard let header = admit(&packet, from: slot, isMarked: isMarked) else { return }
        peers[slot].noteReceived(plain: header.length, wire: size)
        var content = packet.part(0..<header.length)
        if services.trace.isOn, !services.trace.passesOver() {
            traceDelivered(content.bytes, wire: size, from: slot)
        }
        guard !holds(content.bytes, header, shape: nil, counter: counter, from: slot) else { return }
        if !services.ingress.inbox.append(&content, header) { services.drops.count(.overflow) }
    }

    /// Gives packets that were decoded to the device.
    private mutating func deliverPackets(_ packets: DecodedPackets, counter: UInt64, from slot: PeerSlot) {
        var count = 0
        var plain = 0
        let writesBefore = services.ingress.inbox.count
        for index in packets.packets {
            let decoded = services.ingress.inbox.decodedPacket(index)
            guard let header = admit(decoded, from: slot, isMarked: packets.isMarked) else { continue }
            count += decoded.shape.packets(of: decoded.place.count)
            plain += decoded.shape.plainBytes(of: decoded.place.count)
            // The inbox keeps it where it is until it is cleared.
            let bytes = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: decoded.place), copying: ())
            if holds(bytes, header, shape: decoded.shape, counter: counter, from: slot) { continue }
            if !services.ingress.inbox.append(decoded: decoded, header) { services.drops.count(.overflow) }
        }
        let writes = services.ingress.inbox.count - writesBefore
        peers[slot].noteReceived(packets, count: count, plain: plain, writes: writes)
        if services.trace.isOn, !services.trace.passesOver() {
            traceDelivered(packets, count: count, plain: plain, from: slot)
        }
    }

    private mutating func admit(_ decoded: Inbox.Decoded, from slot: PeerSlot, isMarked: Bool) -> InternetPacket? {
        // The inbox keeps it where it is until it is cleared.
        var packet = unsafe _overrideLifetime(services.ingress.inbox[decoded: decoded.place], copying: ())
        return admit(&packet, from: slot, isMarked: isMarked)
    }

    /// Marks a packet if it met congestion, and checks that it is whole and comes from an address of its peer's; `nil` if it
    /// is dropped. This holds for every packet, however it came.
    @inline(__always)
    private mutating func admit(
        _ packet: inout MutableRawSpan, from slot: PeerSlot, isMarked: Bool
    ) -> InternetPacket? {
        guard let header = InternetPacket(packet.bytes) else {
            peers[slot].drops.count(.content)
            return nil
        }
        guard allowedIPs.lookup(header.source) == slot else {
            peers[slot].dropForeign(header.source, &services)
            return nil
        }
        guard !isMarked || CongestionBits.markExperienced(&packet) else {
            peers[slot].drops.count(.congestion)
            return nil
        }
        clampSegment(of: &packet, header, with: slot)
        return header
    }
}
