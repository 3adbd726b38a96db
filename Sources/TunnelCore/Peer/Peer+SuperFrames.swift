import BasicContainers

// Ethernet frames that stand for several: whole to a peer that takes such, so that neither end cuts or sums; else cut here.

extension Peer {
    /// Takes one from a place. Its bytes are changed on the way. `virtio` is about the packet in it.
    mutating func take(
        _ frame: inout MutableRawSpan, _ ethernet: EthernetFrame, _ packet: InternetPacket, virtio: VirtioHeader,
        from ingress: MACTable.Place, _ services: inout Services
    ) {
        let length = ethernet.payload + packet.length
        guard !waits(services), virtio.isPlain(packet), let session = sessionForSuperFrames(services),
            let whole = superFrame(
                frame.bytes.extracting(0..<length), ethernet, packet, virtio, from: ingress, &services)
        else { return cut(&frame, ethernet, packet, virtio: virtio, from: ingress, &services) }
        var part = frame.part(0..<length)
        guard compression.codes else { return sendWhole(&part, whole, on: session, &services) }
        gather(&part, whole, on: session, &services)
    }

    private func superFrame(
        _ frame: RawSpan, _ ethernet: EthernetFrame, _ packet: InternetPacket, _ virtio: VirtioHeader,
        from ingress: MACTable.Place, _ services: inout Services
    ) -> SuperFrame? {
        guard let shape = Frames.shape(of: frame, segment: Int(virtio.segment)) else { return nil }
        let stations = services.egress.flows.stations(frame, ethernet, from: ingress.number)
        let inner = frame.extracting(ethernet.payload...)
        let flow = services.egress.flows.find(inner, packet, between: stations, to: id.slot)
        return SuperFrame(ethernet, packet, virtio, shape, flow)
    }

    /// What is known of one besides its bytes.
    private struct SuperFrame {
        let ethernet: EthernetFrame
        let packet: InternetPacket
        let virtio: VirtioHeader
        let shape: MemberShape
        let flow: FlowTable.Flow

        init(
            _ ethernet: EthernetFrame, _ packet: InternetPacket, _ virtio: VirtioHeader, _ shape: MemberShape,
            _ flow: FlowTable.Flow
        ) {
            self.ethernet = ethernet
            self.packet = packet
            self.virtio = virtio
            self.shape = shape
            self.flow = flow
        }

        var trafficClass: UInt8 { packet.congestion.rawValue }

        /// It, a part of it, or what is inside, for a batch.
        @_lifetime(copy bytes)
        func gathered(_ bytes: RawSpan, _ shape: MemberShape) -> GatheredPacket {
            GatheredPacket(bytes, shape, trafficClass: trafficClass, of: flow)
        }

        /// Cuts it into smaller ones that stand for `packets` each, the last for the rest.
        func split(_ frame: RawSpan, into packets: Int) -> FrameSplit? {
            var larger = virtio
            larger.segment = UInt16(packets * shape.segment)
            guard var split = FrameSplit(frame, ethernet, packet, virtio: larger) else { return nil }
            split.identifierStep = UInt16(packets)
            return split
        }

        /// The shape of a part of so many bytes.
        func shape(ofPart length: Int) -> MemberShape {
            let isOne = length - shape.header <= shape.segment
            return isOne ? MemberShape(layout: .none, segment: 0) : shape
        }
    }

    /// The session on which the peer has said that it takes such.
    private func sessionForSuperFrames(_ services: borrowing Services) -> SessionSlot? {
        guard path != nil, let session = sessionForFrames(services), takesFrames(on: session, services),
            services.sessions[session].hello.records.isSuperset(of: .segmentedFrames),
            takesPacks(on: session, services)
        else { return nil }
        return session
    }

    /// Takes the frames that one stands for.
    private mutating func cut(
        _ frame: inout MutableRawSpan, _ ethernet: EthernetFrame, _ packet: InternetPacket, virtio: VirtioHeader,
        from ingress: MACTable.Place, _ services: inout Services
    ) {
        guard var split = FrameSplit(frame.bytes, ethernet, packet, virtio: virtio) else {
            return services.drops.count(.frame)
        }
        while let range = split.nextFrame(in: &frame) {
            take(frame.bytes.extracting(range), with: ethernet, from: ingress, &services)
        }
    }

    private mutating func gather(
        _ frame: inout MutableRawSpan, _ whole: SuperFrame, on session: SessionSlot, _ services: inout Services
    ) {
        let codec: Codec
        switch gatherWhole(frame.bytes, whole, on: session, &services) {
        case .gathered: return
        case .leave:
            letPass(whole.flow, &services)
            return sendWhole(&frame, whole, on: session, &services)
        case .open(let chosen): codec = chosen
        }
        // What is too large for one unit goes in several, each a smaller one of its kind.
        let room = policy(services).unitLimit(fraction: services.egress.flows.fraction(whole.flow))
        let (segment, head) = (whole.shape.segment, whole.shape.header)
        let packets = min(max((room - head - whole.shape.overhead) / segment, 1), Limits.recordPackets)
        guard frame.byteCount - head > packets * segment else {
            return openUnit(codec, with: whole.gathered(frame.bytes, whole.shape), &services)
        }
        guard var split = whole.split(frame.bytes, into: packets) else { return services.drops.count(.frame) }
        while let range = split.nextFrame(in: &frame) {
            let part = whole.gathered(frame.bytes.extracting(range), whole.shape(ofPart: range.count))
            if !addToUnit(part, &services) { openUnit(codec, with: part, &services) }
        }
    }

    /// The outcome of gathering one.
    private enum Outcome {
        case gathered
        case leave
        /// It begins one or more units.
        case open(Codec)
    }

    private mutating func gatherWhole(
        _ frame: RawSpan, _ whole: SuperFrame, on session: SessionSlot, _ services: inout Services
    ) -> Outcome {
        let gathered = whole.gathered(frame, whole.shape)
        if compression.scope == .flow, addToUnit(gathered, &services) { return .gathered }
        let inner = MemberShape(layout: whole.shape.layout, segment: whole.shape.segment)
        let content = whole.gathered(frame.extracting(whole.ethernet.payload...), inner)
        guard services.sessions[session].hello.records.contains(.bundle),
            let codec = codec(
                for: content, whole.packet, between: dictionaryStations(frame, whole.ethernet, services), &services)
        else { return .leave }
        return compression.scope == .peer && addToUnit(gathered, &services) ? .gathered : .open(codec)
    }

    /// Sends one that is not compressed, in as many packs of the same size as it needs, from where it stands.
    private mutating func sendWhole(
        _ frame: inout MutableRawSpan, _ whole: SuperFrame, on session: SessionSlot, _ services: inout Services
    ) {
        let (segment, head) = (whole.shape.segment, whole.shape.header)
        let most = packCount(
            of: segment, behind: Record.headerSize + whole.shape.overhead + head, slack: 10, services)
        let count = whole.shape.packets(of: frame.byteCount)
        guard count > most else {
            return sendPart(frame.bytes, whole.shape, whole, on: session, &services)
        }
        let packs = (count + most - 1) / most
        guard var split = whole.split(frame.bytes, into: (count + packs - 1) / packs) else {
            return services.drops.count(.frame)
        }
        while let range = split.nextFrame(in: &frame) {
            sendPart(
                frame.bytes.extracting(range), whole.shape(ofPart: range.count), whole, on: session, &services)
        }
    }

    private mutating func sendPart(
        _ frame: RawSpan, _ shape: MemberShape, _ whole: SuperFrame, on session: SessionSlot,
        _ services: inout Services
    ) {
        guard shape.segment > 0 else { return leave(whole.gathered(frame, shape), on: session, &services) }
        // What stands in the pack came before.
        if let pack = services.egress.gathering.pack(for: id.slot) { sendBatch(pack, &services) }
        let limits = services.egress.limits(services.sessions[session].hello, pathMTU.limit)
        guard limits.pieces(of: Record.headerSize + shape.overhead + frame.byteCount) > 0 else {
            return drops.count(.frame)
        }
        _ = transmit(.segmented(frame, shape, trafficClass: whole.trafficClass), on: session, &services)
    }

    /// Sends a frame that was gathered, of whatever shape, when it is not known whether the newest session takes it.
    mutating func sendAlone(
        _ frame: inout MutableRawSpan, _ shape: MemberShape, of flow: FlowTable.Flow, _ services: inout Services
    ) {
        guard shape.segment > 0 else { return sendAlone(frame.bytes, of: flow, &services) }
        guard let ethernet = EthernetFrame(frame.bytes), let packet = ethernet.packet(in: frame.bytes) else { return }
        let virtio = shape.layout.virtio(segment: shape.segment)
        if let session = sessionForSuperFrames(services) {
            let whole = SuperFrame(ethernet, packet, virtio, shape, flow)
            return sendWhole(&frame, whole, on: session, &services)
        }
        guard var split = FrameSplit(frame.bytes, ethernet, packet, virtio: virtio) else { return }
        while let range = split.nextFrame(in: &frame) {
            sendAlone(frame.bytes.extracting(range), of: flow, &services)
        }
    }
}
