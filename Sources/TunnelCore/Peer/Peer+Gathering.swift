import BasicContainers

// Gathering: packets for a gateway that takes more than plain ones are gathered while the device has more, then sent as units and
// bundles. The order within a flow is never changed.

extension Peer {
    /// Whether packets go through the gathering: the peer takes more than plain packets, and the operator wants that.
    @inline(__always)
    func gathers(_ services: borrowing Services) -> Bool {
        guard let session = keypairs.current else { return false }
        return services.sessions[session].hello.takesGathered && compression.codes
    }

    // MARK: Packets

    /// Takes one packet.
    @inline(__always)
    mutating func gather(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        guard !header.hidesPorts else { return sendUngathered(packet, with: header, &services) }
        let flow = services.egress.flows.find(packet, header, to: id.slot)
        // The common case of a flow that is left alone, and nothing that it might overtake.
        if services.egress.gathering.count == 0, packet.byteCount > GatherPolicy.bundledPacket,
            let reason = services.egress.flows.passUntried(flow, size: packet.byteCount)
        {
            noteSkipped(reason, 1, &services)
            return send(packet, with: header, &services)
        }
        gatherSlowly(packet, with: header, of: flow, &services)
    }

    /// Sends a packet of which nobody can say to which flow it belongs: a fragment, for one. It overtakes nothing, and joins a pack.
    @inline(never)
    private mutating func sendUngathered(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        sendBesidePack(&services)
        noteSkipped(.exposed, 1, &services)
        send(packet, with: header, &services)
    }

    /// Counts packets that are not compressed.
    @inline(__always)
    mutating func noteSkipped(_ reason: CompressionSkip, _ packets: Int, _ services: inout Services) {
        traffic.skipped[reason.rawValue] &+= UInt64(packets)
        if services.trace.isOn { services.trace.skip = reason }
    }

    @inline(never)
    private mutating func gatherSlowly(
        _ packet: RawSpan, with header: InternetPacket, of flow: FlowTable.Flow, _ services: inout Services
    ) {
        let shape = MemberShape(layout: PacketLayout(packet, header), segment: 0)
        let gathered = GatheredPacket(packet, shape, trafficClass: header.congestion.rawValue, of: flow)
        if !sharesUnits, addToUnit(gathered, &services) { return }
        if let codec = codec(for: gathered, header, &services) {
            if sharesUnits, addToUnit(gathered, &services) { return }
            return openUnit(codec, with: gathered, &services)
        }
        guard packet.byteCount > GatherPolicy.bundledPacket || !takes(.bundle, services) else {
            return addToBundle(gathered, &services)
        }
        letPass(flow, &services)
        send(packet, with: header, &services)
    }

    /// Takes a super-segment.
    mutating func gather(
        _ packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) {
        let segment = Int(virtio.segment)
        let shape = MemberShape(layout: PacketLayout(packet.bytes, header), segment: segment)
        guard shape.layout.maySegment(packet.bytes, header, segment: segment) else {
            // No member may be like that, but the packets that it stands for may.
            guard var split = Split(packet.bytes, header, virtio: virtio) else { return services.drops.count(.notIP) }
            while let range = split.nextPacket(in: &packet) {
                gather(packet.bytes.extracting(range), with: header.resized(to: range.count), &services)
            }
            return
        }
        let trafficClass = header.congestion.rawValue
        let flow = services.egress.flows.find(packet.bytes, header, to: id.slot)
        let outcome = gatherWhole(
            GatheredPacket(packet.bytes, shape, trafficClass: trafficClass, of: flow), with: header, &services)
        let codec: Codec
        switch outcome {
        case .gathered: return
        case .leave:
            letPass(flow, &services)
            return sendSegments(of: &packet, with: header, virtio: virtio, &services)
        case .open(let chosen): codec = chosen
        }
        // What is too large for one unit goes in several, each a smaller super-segment.
        let room = policy(services).unitLimit(fraction: services.egress.flows.fraction(flow))
        let packets = min(max((room - shape.layout.header - Members.overhead) / segment, 1), Limits.recordPackets)
        guard packet.byteCount - shape.layout.header > packets * segment else {
            let whole = GatheredPacket(packet.bytes, shape, trafficClass: trafficClass, of: flow)
            return openUnit(codec, with: whole, &services)
        }
        var larger = virtio
        larger.segment = UInt16(packets * segment)
        guard var split = Split(packet.bytes, header, virtio: larger) else { return services.drops.count(.notIP) }
        split.identifierStep = UInt16(packets)
        while let range = split.nextPacket(in: &packet) {
            let isOne = range.count - shape.layout.header <= segment
            let part = GatheredPacket(
                packet.bytes.extracting(range), MemberShape(layout: shape.layout, segment: isOne ? 0 : segment),
                trafficClass: trafficClass, of: flow)
            if !addToUnit(part, &services) { openUnit(codec, with: part, &services) }
        }
    }

    /// The outcome of gathering a super-segment.
    private enum Outcome {
        case gathered
        case leave
        /// It begins one or more units.
        case open(Codec)
    }

    private mutating func gatherWhole(
        _ packet: GatheredPacket, with header: InternetPacket, _ services: inout Services
    ) -> Outcome {
        if !sharesUnits, addToUnit(packet, &services) { return .gathered }
        guard takes(.bundle, services), let codec = codec(for: packet, header, &services) else { return .leave }
        return sharesUnits && addToUnit(packet, &services) ? .gathered : .open(codec)
    }

    // MARK: Into a batch

    /// Packets of all flows to the peer share units.
    private var sharesUnits: Bool { compression.scope == .peer }

    private func takes(_ kind: Record.Kind, _ services: borrowing Services) -> Bool {
        guard let session = keypairs.current else { return false }
        return services.sessions[session].hello.records.contains(kind)
    }

    /// What a byte takes on the link: as its rate says, if it has one, else as the peer's reports do.
    private func nanosecondsPerByte(_ services: borrowing Services) -> Double {
        guard services.egress.queue.isUsed,
            let rate = services.egress.queue.rate(of: id.slot) ?? services.egress.queue.shaper?.rate
        else { return quality.nanosecondsPerByte }
        return 8e9 / Double(rate)
    }

    func policy(_ services: borrowing Services) -> GatherPolicy {
        var hello = HelloExchange()
        if let session = keypairs.current { hello = services.sessions[session].hello }
        return GatherPolicy(
            mode: compression.mode, hello: hello, limits: services.egress.limits(hello, pathMTU.limit),
            link: nanosecondsPerByte(services), waits: services.egress.queue.holds(id.slot),
            loss: services.egress.sent.keeps(id.slot) ? 0 : quality.linkLoss)
    }

    /// The codec for a packet of a flow that has no batch; `nil` leaves it, counted if there is a reason.
    @inline(__always)
    mutating func codec(
        for packet: GatheredPacket, _ header: InternetPacket, between stations: UInt64 = 0, _ services: inout Services
    ) -> Codec? {
        let hasPayload = packet.bytes.byteCount > packet.shape.layout.header
        if services.egress.flows.isPending(packet.flow, hasPayload: hasPayload) {
            compression.judge(
                packet.bytes, packet.shape.layout, of: Traffic(packet.bytes, header), flow: packet.flow,
                in: &services.egress.flows)
        }
        let hasTime = services.egress.governor.allowsCoding
        switch policy(services).treat(packet, &services.egress.flows, hasTime: hasTime) {
        case .code(let codec): return codec
        case .leave(let reason):
            if history.isWanted, reason != nil, recalls(packet, header, between: stations, &services) { return .zstd }
            if let reason {
                noteSkipped(reason, packet.shape.packets(of: packet.bytes.byteCount), &services)
            }
            return nil
        }
    }

    /// Adds a packet to the unit of its flow, or of all flows, if there is one and it fits; sends that unit if it doesn't.
    @inline(__always)
    mutating func addToUnit(_ packet: GatheredPacket, _ services: inout Services) -> Bool {
        let group = sharesUnits ? nil : packet.flow.hash
        guard let index = services.egress.gathering.unit(of: group, for: id.slot) else { return false }
        guard services.egress.gathering.takes(packet, in: index) else {
            sendBatch(index, &services)
            return false
        }
        if sharesUnits {
            letBundlePass(packet.flow, &services)
            letPackPass(packet.flow, &services)
            // What passed may have been this unit.
            guard services.egress.gathering.unit(of: group, for: id.slot) == index else { return false }
        }
        append(packet, to: index, &services)
        return true
    }

    /// Opens a unit with a packet.
    mutating func openUnit(_ codec: Codec, with packet: GatheredPacket, _ services: inout Services) {
        letBundlePass(packet.flow, &services)
        letPackPass(packet.flow, &services)
        let limit = policy(services).unitLimit(fraction: services.egress.flows.fraction(packet.flow))
        let group = sharesUnits ? nil : packet.flow.hash
        let index = open(
            .unit(codec, packet.flow), of: group, trafficClass: packet.trafficClass, limit: limit, &services)
        append(packet, to: index, &services)
    }

    /// Adds a packet to the peer's bundle.
    mutating func addToBundle(_ packet: GatheredPacket, _ services: inout Services) {
        letUnitPass(packet.flow, &services)
        if let index = services.egress.gathering.bundle(for: id.slot),
            !services.egress.gathering.takes(packet, in: index)
        {
            sendBatch(index, &services)
        }
        // What goes alone joins the pack: so it may hold the flow only now.
        if let index = services.egress.gathering.pack(for: id.slot),
            services.egress.gathering.mayHold(packet.flow.hash, in: index)
        {
            return addToPack(packet, &services)
        }
        if let index = services.egress.gathering.bundle(for: id.slot) { return append(packet, to: index, &services) }
        let limit = policy(services).limits.body
        let index = open(.bundle, of: nil, trafficClass: packet.trafficClass, limit: limit, &services)
        append(packet, to: index, &services)
    }

    private mutating func open(
        _ purpose: Gathering.Purpose, of flow: UInt64?, trafficClass: UInt8, limit: Int, _ services: inout Services
    ) -> Int {
        // The places that are for more than one packet may bring are used up by this one's: it opened the oldest of them.
        if services.egress.gathering.isFull, let own = services.egress.gathering.oldest(of: id.slot) {
            sendBatch(own, &services)
        }
        return services.egress.gathering.open(purpose, of: flow, for: id.slot, trafficClass: trafficClass, limit: limit)
    }

    func append(_ packet: GatheredPacket, to index: Int, _ services: inout Services) {
        let wire = services.cargo.wireSize(packet.bytes.byteCount, packet.shape, within: services.egress.sizes)
        services.egress.gathering.append(packet, wire: wire, to: index)
    }

    /// Sends what must not be overtaken by a packet of this flow.
    @inline(__always)
    mutating func letPass(_ flow: FlowTable.Flow, _ services: inout Services) {
        letUnitPass(flow, &services)
        letBundlePass(flow, &services)
    }

    @inline(__always)
    private mutating func letUnitPass(_ flow: FlowTable.Flow, _ services: inout Services) {
        guard let index = services.egress.gathering.unit(of: nil, for: id.slot),
            services.egress.gathering.mayHold(flow.hash, in: index)
        else { return }
        sendBatch(index, &services)
    }

    @inline(__always)
    private mutating func letBundlePass(_ flow: FlowTable.Flow, _ services: inout Services) {
        guard let index = services.egress.gathering.bundle(for: id.slot),
            services.egress.gathering.mayHold(flow.hash, in: index)
        else { return }
        sendBatch(index, &services)
    }

    @inline(__always)
    private mutating func letPackPass(_ flow: FlowTable.Flow, _ services: inout Services) {
        guard let index = services.egress.gathering.pack(for: id.slot),
            services.egress.gathering.mayHold(flow.hash, in: index)
        else { return }
        sendBatch(index, &services)
    }
}
