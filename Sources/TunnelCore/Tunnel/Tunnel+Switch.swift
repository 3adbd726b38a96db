import Addresses
import BasicContainers

// Ethernet frames instead of packets: with one peer a wire, with more a switch that learns which address is at which
// peer. What came from a peer goes to another only through a hub.

extension Tunnel {
    /// Two VLAN tags on top of the header.
    private static let mostAroundPayload = 22
    /// The largest frame that is taken: by the MTU, and so that with a record's head it is no more than a unit.
    var largestFrame: Int { min(mtu + Self.mostAroundPayload, Limits.unit - Record.headerSize) }

    // MARK: From the device

    /// Takes one frame of the device.
    @inline(never)
    mutating func handleEthernet(_ frame: inout MutableRawSpan, at now: Now) {
        guard let header = EthernetFrame(frame.bytes), frame.byteCount <= largestFrame else {
            return services.drops.count(.frame)
        }
        clampSegment(of: &frame, header)
        route(frame.bytes, header, at: now)
    }

    /// Lowers the largest segment in the SYN that a frame holds to what fits into the tunnel.
    private func clampSegment(of frame: inout MutableRawSpan, _ header: EthernetFrame) {
        guard segmentClamp != .off, let inner = header.packet(in: frame.bytes) else { return }
        var packet = frame.part(header.payload...)
        guard MaximumSegment.isOffered(in: packet.bytes, inner) else { return }
        var most: Int?
        if case .at(let number) = segmentClamp { most = number }
        MaximumSegment.clamp(&packet, inner, mtu: mtu, most: most)
    }

    private mutating func route(_ frame: RawSpan, _ header: EthernetFrame, at now: Now) {
        services.now = now
        // Without it, what goes from the other sites to this one would go to all of them.
        if mode.isHub, !header.source.isGroup { _ = addresses.learn(header, at: .here, now: now.instant) }
        if heed(frame, header, from: .here) { return }
        switch addresses.place(for: header, at: now.instant) {
        case .here: break
        case .peer(let slot): send(frame, header, to: slot, from: .here)
        case nil:
            guard flooding.admit(at: now.instant) else { return services.drops.count(.storm) }
            flood(frame, header, from: .here)
        }
    }

    mutating func send(
        _ frame: RawSpan, _ header: EthernetFrame, to slot: PeerSlot, from ingress: MACTable.Place
    ) {
        peers[slot].take(frame, with: header, from: ingress, &services)
        makeRoomToGather()
    }

    /// Sends a frame to all peers but the one that it came from; to those for which the outbox has no room, when it was sent.
    private mutating func flood(_ frame: RawSpan, _ header: EthernetFrame, from ingress: MACTable.Place) {
        let next = isFlooding ? 0 : spread(frame, header, from: ingress, to: 0)
        guard next < peers.slotCount else { return }
        if !floods.append(frame, from: ingress, next: next) { services.drops.count(.overflow) }
        isFlooding = !floods.isEmpty
    }

    /// Sends a frame to the peers from a number on, as long as the outbox has room; the number of the first that it was not sent to.
    private mutating func spread(
        _ frame: RawSpan, _ header: EthernetFrame, from ingress: MACTable.Place, to first: Int
    ) -> Int {
        for number in first..<max(peers.slotCount, first) {
            guard services.egress.outbox.hasRoom else { return number }
            let other = PeerSlot(number)
            if peers[other].isAlive, ingress != .peer(other) { send(frame, header, to: other, from: ingress) }
        }
        return peers.slotCount
    }

    /// Whether nothing has to be sent before the next input.
    @inlinable
    public var hasRoomToSend: Bool {
        @inline(__always) get { services.egress.outbox.hasRoom && !isFlooding }
    }

    /// Goes on with what is for all peers, with room in the outbox; false if there is nothing.
    public mutating func goOnFlooding() -> Bool {
        guard isFlooding, let flood = floods.current else { return false }
        defer { isFlooding = !floods.isEmpty }
        // It stays where it is until others are added.
        let frame = unsafe _overrideLifetime(floods.bytes(of: flood), copying: ())
        guard let header = EthernetFrame(frame) else {
            floods.removeFirst()
            return true
        }
        let next = spread(frame, header, from: flood.ingress, to: flood.next)
        if next < peers.slotCount { floods.move(to: next) } else { floods.removeFirst() }
        return true
    }

    // MARK: From a peer

    /// Gives frames that were decoded to the device, and as a hub to the peers that they are for.
    mutating func deliverFrames(_ frames: DecodedPackets, counter: UInt64, from slot: PeerSlot) {
        var count = 0
        var handled = 0
        var plain = 0
        let writesBefore = services.ingress.inbox.count
        for index in frames.packets {
            let decoded = services.ingress.inbox.decodedPacket(index)
            guard let header = admitFrame(decoded, from: slot, isMarked: frames.isMarked) else { continue }
            let packets = decoded.shape.packets(of: decoded.place.count)
            count += packets
            plain += decoded.shape.plainBytes(of: decoded.place.count)
            handled += deliver(decoded, header, counter: counter, from: slot) ? packets : 1
        }
        let writes = services.ingress.inbox.count - writesBefore
        peers[slot].noteReceived(frames, count: count, handled: handled, plain: plain, writes: writes)
        if services.trace.isOn { traceDelivered(frames, count: count, plain: plain, from: slot) }
    }

    /// Checks a frame that came out of the chain, and learns where its sender is; `nil` if it is dropped.
    private mutating func admitFrame(
        _ decoded: Inbox.Decoded, from slot: PeerSlot, isMarked: Bool
    ) -> EthernetFrame? {
        guard let header = EthernetFrame(services.ingress.inbox.bytes(decoded: decoded.place)),
            decoded.shape.largest(of: decoded.place.count) <= largestFrame
        else { return drop(.frame, of: slot) }
        let source = header.source
        guard !source.isGroup, peers[slot].allowedMACs.contains(source) else { return drop(.allowedMACs, of: slot) }
        guard addresses.learn(header, at: .peer(slot), now: services.now.instant) else {
            return drop(.learning, of: slot)
        }
        guard !isMarked || mark(decoded, header) else { return drop(.congestion, of: slot) }
        // The inbox keeps it where it is until it is cleared.
        var frame = unsafe _overrideLifetime(services.ingress.inbox[decoded: decoded.place], copying: ())
        clampSegment(of: &frame, header)
        return header
    }

    private mutating func drop(_ reason: DropReason, of slot: PeerSlot) -> EthernetFrame? {
        peers[slot].drops.count(reason)
        return nil
    }

    /// Marks the IP packet in a frame that met congestion; false if it can't be marked. Other frames have no such mark.
    private mutating func mark(_ decoded: Inbox.Decoded, _ header: EthernetFrame) -> Bool {
        guard header.packet(in: services.ingress.inbox.bytes(decoded: decoded.place)) != nil else { return true }
        let place = decoded.place
        var packet = services.ingress.inbox[decoded: place.lowerBound + header.payload..<place.upperBound]
        return CongestionBits.markExperienced(&packet)
    }

    /// Notes what goes on to another peer: at the pace of it goes what has waited for a repair.
    @inline(__always)
    mutating func notePassing(_ bytes: Int, from slot: PeerSlot) {
        guard peers[slot].ordersPackets(at: services.now.instant) else { return }
        peers[slot].repair.pace.note(bytes, at: services.now.instant)
    }

    /// Gives a peer's frame to the device, and as a hub to the peers that it is for; false if the device does not get it.
    private mutating func deliver(
        _ decoded: Inbox.Decoded, _ header: EthernetFrame, counter: UInt64, from slot: PeerSlot
    ) -> Bool {
        if neighbours.isUsed, decoded.shape.segment == 0, heed(decoded, header, from: slot) { return false }
        if mode.isHub {
            if decoded.shape.segment > 0 { return deliver(segmented: decoded, header, counter: counter, from: slot) }
            // The inbox keeps it where it is until it is cleared.
            let frame = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: decoded.place), copying: ())
            switch addresses.place(for: header, at: services.now.instant) {
            case .here: break
            case .peer(slot): return false
            case .peer(let other):
                notePassing(frame.byteCount, from: slot)
                peers[slot].budget.payCopy(of: frame.byteCount)
                send(frame, header, to: other, from: .peer(slot))
                return false
            case nil: guard flood(frame, header, from: slot) else { return false }
            }
        }
        deliverHere(decoded, header, counter: counter, from: slot)
        return true
    }

    private mutating func heed(_ decoded: Inbox.Decoded, _ header: EthernetFrame, from slot: PeerSlot) -> Bool {
        // The inbox keeps it where it is until it is cleared.
        let frame = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: decoded.place), copying: ())
        return heed(frame, header, from: .peer(slot))
    }

    /// Sends a peer's frame to all others, as far as it may do that; false if it goes no further.
    mutating func flood(_ frame: RawSpan, _ header: EthernetFrame, from slot: PeerSlot) -> Bool {
        guard peers[slot].flooding.admit(at: services.now.instant) else {
            peers[slot].drops.count(.storm)
            return false
        }
        // The bucket of floods knows nothing of how many peers there are.
        let (now, idleAt) = (services.now.instant, services.ingress.idleAt)
        guard peers[slot].budget.admitCopies(at: now, idleAt: idleAt) else {
            peers[slot].dropBeyondBudget(&services)
            return false
        }
        peers[slot].budget.payCopies(peers.count - 1, of: frame.byteCount)
        flood(frame, header, from: .peer(slot))
        return true
    }

    /// Gives a peer's frame to the device, or keeps it until what was lost before it has come.
    mutating func deliverHere(
        _ decoded: Inbox.Decoded, _ header: EthernetFrame, counter: UInt64, from slot: PeerSlot
    ) {
        // The inbox keeps it where it is until it is cleared.
        let frame = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: decoded.place), copying: ())
        if holds(frame, header, decoded.shape, counter: counter, from: slot) { return }
        if !services.ingress.inbox.append(frame: decoded) { services.drops.count(.overflow) }
    }
}
