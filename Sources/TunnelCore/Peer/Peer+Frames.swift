import Addresses
import BasicContainers

// Ethernet frames to a peer. It is sent nothing before it has said what it takes.

extension Peer {
    /// Takes a frame from a place.
    mutating func take(
        _ frame: RawSpan, with header: EthernetFrame, from ingress: MACTable.Place, _ services: inout Services
    ) {
        guard !waits(services) else {
            return enqueue(frame, with: header, from: ingress, &services)
        }
        send(frame, with: header, from: ingress, &services)
    }

    /// Sends a frame that came from a place, or from one that is not known any more, or stages it until there is a session and the
    /// peer has said what it takes.
    mutating func send(
        _ frame: RawSpan, with header: EthernetFrame, from ingress: MACTable.Place?, _ services: inout Services
    ) {
        guard let session = sessionForFrames(services) else { return sendEarly(frame, &services) }
        guard path != nil else { return drops.count(.noEndpoint) }
        guard takesFrames(on: session, services) else { return refuseFrame(on: session, services) }
        guard compression.codes else {
            // Nothing is gathered but a pack, which all that follows joins.
            let flow = services.egress.flows.find(ethernet: frame)
            return sendAlone(frame, of: flow, on: session, &services)
        }
        let stations = services.egress.flows.stations(frame, header, from: ingress?.number ?? .min)
        gather(frame, with: header, between: stations, on: session, &services)
    }

    /// The session on which the peer has said what it takes.
    func sessionForFrames(_ services: borrowing Services) -> SessionSlot? {
        guard let session = keypairs.current, services.sessions[session].hello.hasArrived,
            services.sessions[session].canSend(at: services.now.instant),
            !requiresAgreed || services.sessions[session].presharedKey.isAgreed || refusesDemands(on: session, services)
        else { return nil }
        return session
    }

    /// Whether the peer has said on a session that it takes frames, sealed as the operator demands.
    func takesFrames(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        services.sessions[session].hello.records.contains(.ethernet)
            && (!hasDemands || meetsDemands(on: session, services))
    }

    private mutating func refuseFrame(on session: SessionSlot, _ services: borrowing Services) {
        drops.count(services.sessions[session].hello.records.contains(.ethernet) ? .staged : .noEthernet)
    }

    /// Sends a frame, before the peer has said anything on the newest session, on the one before, or stages it.
    @inline(never)
    private mutating func sendEarly(_ frame: RawSpan, _ services: inout Services) {
        guard path != nil else { return drops.count(.noEndpoint) }
        if staged.isEmpty, let previous = keypairs.previous,
            services.sessions[previous].canSend(at: services.now.instant), takesFrames(on: previous, services)
        {
            let flow = services.egress.flows.find(ethernet: frame)
            return sendAlone(frame, of: flow, on: previous, &services)
        }
        stage(frame)
        guard let session = keypairs.current, services.sessions[session].canSend(at: services.now.instant) else {
            return startHandshake(&services)
        }
        noteStaged(on: session, &services)
    }

    private mutating func gather(
        _ frame: RawSpan, with header: EthernetFrame, between stations: UInt64, on session: SessionSlot,
        _ services: inout Services
    ) {
        let shape = MemberShape(layout: .none, segment: 0)
        let hello = services.sessions[session].hello
        guard hello.records.contains(.bundle), frame.byteCount + Frames.overhead <= hello.maximumUnit,
            let packet = header.packet(in: frame)
        else {
            // It can't be compressed, or nothing is known of it; it may still share a datagram.
            let flow = services.egress.flows.find(ethernet: frame)
            return leave(GatheredPacket(frame, shape, trafficClass: 0, of: flow), on: session, &services)
        }
        guard !packet.hidesPorts else {
            sendBesidePack(&services)
            sendAlone(frame, of: services.egress.flows.find(ethernet: frame), on: session, &services)
            return noteAnyFlowInPack(&services)
        }
        let inner = frame.extracting(header.payload..<header.payload + packet.length)
        let flow = services.egress.flows.find(inner, packet, between: stations, to: id.slot)
        let gathered = GatheredPacket(frame, shape, trafficClass: packet.congestion.rawValue, of: flow)
        if compression.scope == .flow, addToUnit(gathered, &services) { return }
        let content = GatheredPacket(
            inner, MemberShape(layout: PacketLayout(inner, packet), segment: 0),
            trafficClass: packet.congestion.rawValue, of: flow)
        let ends = dictionaryStations(frame, header, services)
        guard let codec = codec(for: content, packet, between: ends, &services) else {
            return leave(gathered, on: session, &services)
        }
        if compression.scope == .peer, addToUnit(gathered, &services) { return }
        openUnit(codec, with: gathered, &services)
    }

    /// Sends a frame that is not compressed, in a bundle if it is small.
    mutating func leave(_ frame: GatheredPacket, on session: SessionSlot, _ services: inout Services) {
        guard frame.bytes.byteCount > GatherPolicy.bundledPacket else { return addToBundle(frame, &services) }
        letPass(frame.flow, &services)
        guard !isLarge(Record.headerSize + frame.bytes.byteCount, services) || !takesPacks(on: session, services) else {
            return addToPack(frame, &services)
        }
        sendAlone(frame.bytes, of: frame.flow, on: session, &services)
    }

    /// Sends a frame that was gathered, when it is not known whether the newest session takes it.
    mutating func sendAlone(_ frame: RawSpan, of flow: FlowTable.Flow, _ services: inout Services) {
        guard let session = sessionForFrames(services) else { return sendEarly(frame, &services) }
        guard takesFrames(on: session, services) else { return refuseFrame(on: session, services) }
        sendAlone(frame, of: flow, on: session, &services)
    }

    /// Sends a frame as a record of its own, in fragments if it must be.
    private mutating func sendAlone(
        _ frame: RawSpan, of flow: FlowTable.Flow, on session: SessionSlot, _ services: inout Services
    ) {
        guard path != nil else { return }
        // A batch leaves on the newest session.
        if session == keypairs.current, isLarge(Record.headerSize + frame.byteCount, services),
            takesPacks(on: session, services)
        {
            let packet = EthernetFrame(frame)?.packet(in: frame)
            return addToPack(
                GatheredPacket(
                    frame, MemberShape(layout: .none, segment: 0), trafficClass: packet?.congestion.rawValue ?? 0,
                    of: flow), &services)
        }
        let limits = services.egress.limits(services.sessions[session].hello, pathMTU.limit)
        guard limits.pieces(of: Record.headerSize + frame.byteCount) > 0 else { return drops.count(.frame) }
        let packet = EthernetFrame(frame)?.packet(in: frame)
        _ = transmit(.frame(frame, trafficClass: packet?.congestion.rawValue ?? 0), on: session, &services)
    }
}
