import BasicContainers

// Packets for a gateway that takes more than plain ones: gathered while the device has more, then sent as units and
// bundles. The order within a flow is never changed.

extension Tunnel {
    /// Packets up to this size travel in bundles: of larger ones hardly two fit into a datagram.
    private static let bundledPacket = 512
    /// Up to this size deflate, whose codes need no table, leaves less than zstd.
    private static let smallUnit = 700

    /// Sends one batch of what was gathered; false if nothing is left. To be called when the device has nothing more for now,
    /// with room in the outbox each time.
    public mutating func sendGathered(at now: Now) -> Bool {
        guard let index = gathering.oldest else { return false }
        sendBatch(index, at: now)
        return true
    }

    /// Whether packets to a peer go through the gathering: it takes more than plain packets, and the operator wants that.
    @inline(__always)
    func gathers(for slot: Int32) -> Bool {
        let session = peers[Int(slot)].current
        return session >= 0 && sessions[session].hello.takesGathered && peers[Int(slot)].compression.codes
    }

    /// Takes one packet.
    @inline(__always)
    mutating func gather(_ packet: RawSpan, _ header: InternetPacket, for slot: Int32, at now: Now) {
        guard !header.hidesPorts else { return sendUngathered(packet, header, to: slot, at: now) }
        let flow = chain.flows.find(packet, header, to: slot)
        // The common case of a flow that is left alone, and nothing that it might overtake.
        if gathering.count == 0, packet.byteCount > Self.bundledPacket,
            let reason = chain.flows.reasonToLeave(flow, size: packet.byteCount)
        {
            peers[Int(slot)].traffic.skipped[reason.rawValue] &+= 1
            return send(packet, header, to: slot, at: now)
        }
        gatherSlowly(packet, header, flow, for: slot, at: now)
    }

    /// Sends a packet of which nobody can say to which flow it belongs: a fragment, for one. Nothing is overtaken.
    @inline(never)
    private mutating func sendUngathered(_ packet: RawSpan, _ header: InternetPacket, to slot: Int32, at now: Now) {
        sendBatches(of: slot, at: now)
        peers[Int(slot)].traffic.skipped[CompressionSkip.exposed.rawValue] &+= 1
        send(packet, header, to: slot, at: now)
    }

    /// Sends all that is gathered for a peer.
    @inline(never)
    mutating func sendBatches(of slot: Int32, at now: Now) {
        for index in 0..<Gathering.capacity where gathering[index]?.peer == slot { sendBatch(index, at: now) }
    }

    @inline(never)
    private mutating func gatherSlowly(
        _ packet: RawSpan, _ header: InternetPacket, _ flow: FlowTable.Flow, for slot: Int32, at now: Now
    ) {
        let shape = MemberShape(layout: PacketLayout(packet, header), segment: 0)
        let trafficClass = header.congestion.rawValue
        let isShared = peers[Int(slot)].compression.scope == .peer
        if !isShared, isGathered(packet, shape, trafficClass, flow.hash, for: slot, at: now) { return }
        switch attempt(packet, shape, header, flow, for: slot) {
        case .code(let codec):
            if isShared, isGathered(packet, shape, trafficClass, flow.hash, among: nil, for: slot, at: now) { return }
            openUnit(codec, flow, packet, shape, trafficClass, for: slot, at: now)
        case .leave:
            if packet.byteCount <= Self.bundledPacket, takes(.bundle, slot) {
                return bundle(packet, shape, trafficClass, flow.hash, for: slot, at: now)
            }
            letPass(flow.hash, for: slot, at: now)
            send(packet, header, to: slot, at: now)
        }
    }

    /// Takes a super-segment whose packets have `segment` bytes of payload each.
    mutating func gather(
        _ packet: inout MutableRawSpan, _ header: InternetPacket, segment: Int, _ virtio: VirtioHeader, for slot: Int32,
        at now: Now
    ) {
        let shape = MemberShape(layout: PacketLayout(packet.bytes, header), segment: segment)
        guard shape.layout.maySegment(packet.bytes, header, segment: segment) else {
            // No member may be like that, but the packets that it stands for may.
            guard var split = Split(packet.bytes, header, virtio) else { return drops.count(.notIP) }
            while let range = split.nextPacket(in: &packet) {
                gather(packet.bytes.extracting(range), header.resized(to: range.count), for: slot, at: now)
            }
            return
        }
        let trafficClass = header.congestion.rawValue
        let flow = chain.flows.find(packet.bytes, header, to: slot)
        let isShared = peers[Int(slot)].compression.scope == .peer
        if !isShared, isGathered(packet.bytes, shape, trafficClass, flow.hash, for: slot, at: now) { return }
        guard takes(.bundle, slot),
            case .code(let codec) = attempt(packet.bytes, shape, header, flow, for: slot)
        else {
            letPass(flow.hash, for: slot, at: now)
            guard let split = Split(packet.bytes, header, virtio) else { return drops.count(.notIP) }
            return send(split, of: &packet, header, to: slot, at: now)
        }
        if isShared, isGathered(packet.bytes, shape, trafficClass, flow.hash, among: nil, for: slot, at: now) { return }
        // What is too large for one unit goes in several, each a smaller super-segment.
        let room = unitLimit(codec, flow, slot) - shape.layout.header - Members.overhead
        let packets = min(max(room / segment, 1), Limits.recordPackets)
        guard packet.byteCount - shape.layout.header > packets * segment else {
            return openUnit(codec, flow, packet.bytes, shape, trafficClass, for: slot, at: now)
        }
        var larger = virtio
        larger.segment = UInt16(packets * segment)
        guard var split = Split(packet.bytes, header, larger) else { return drops.count(.notIP) }
        split.identifierStep = UInt16(packets)
        while let range = split.nextPacket(in: &packet) {
            let part = packet.bytes.extracting(range)
            let isOne = range.count - shape.layout.header <= segment
            let shape = MemberShape(layout: shape.layout, segment: isOne ? 0 : segment)
            let group = isShared ? nil : flow.hash
            if isGathered(part, shape, trafficClass, flow.hash, among: group, for: slot, at: now) { continue }
            openUnit(codec, flow, part, shape, trafficClass, for: slot, at: now)
        }
    }

    // MARK: Into a batch

    /// What to do with a packet of a flow that has no batch.
    enum Treatment {
        case code(Codec)
        case leave
    }

    @inline(__always)
    mutating func attempt(
        _ packet: RawSpan, _ shape: MemberShape, _ header: InternetPacket, _ flow: FlowTable.Flow, for slot: Int32
    ) -> Treatment {
        let hello = sessions[peers[Int(slot)].current].hello
        // A super-segment is cut where a unit is full, down to one packet.
        let least = shape.segment > 0 ? shape.layout.header + shape.segment : packet.byteCount
        guard least <= hello.maximumUnit else { return .leave }
        if chain.flows.isPending(flow, hasPayload: packet.byteCount > shape.layout.header) {
            peers[Int(slot)].compression.judge(packet, shape.layout, of: Traffic(packet, header), flow, &chain.flows)
        }
        let attempt = CompressionAttempt(
            peers[Int(slot)].compression.mode, packet, shape.layout, of: flow, peer: hello.codecs, &chain.flows,
            link: peers[Int(slot)].link.nanosecondsPerByte, hasTime: chain.governor.allowsCoding)
        switch attempt {
        case .plain: return .leave
        case .skipped(let reason):
            peers[Int(slot)].traffic.skipped[reason.rawValue] &+= UInt64(shape.packets(of: packet.byteCount))
            return .leave
        case .code(let codec): return .code(codec)
        }
    }

    /// Adds a packet to the unit of its flow if there is one and it fits; sends that unit if it doesn't.
    @inline(__always)
    private mutating func isGathered(
        _ packet: RawSpan, _ shape: MemberShape, _ trafficClass: UInt8, _ flow: UInt64, for slot: Int32, at now: Now
    ) -> Bool {
        isGathered(packet, shape, trafficClass, flow, among: flow, for: slot, at: now)
    }

    /// The same for the unit of `group`; `nil` is that of all flows to the peer.
    @inline(__always)
    mutating func isGathered(
        _ packet: RawSpan, _ shape: MemberShape, _ trafficClass: UInt8, _ flow: UInt64, among group: UInt64?,
        for slot: Int32, at now: Now
    ) -> Bool {
        guard let index = gathering.unit(of: group, for: slot) else { return false }
        guard gathering.takes(index, packet.byteCount, shape, trafficClass: trafficClass) else {
            sendBatch(index, at: now)
            return false
        }
        if group == nil { letBundlePass(flow, for: slot, at: now) }
        gathering.append(packet, shape, of: flow, wire: wireSize(packet.byteCount, shape), to: index)
        return true
    }

    mutating func openUnit(
        _ codec: Codec, _ flow: FlowTable.Flow, _ packet: RawSpan, _ shape: MemberShape, _ trafficClass: UInt8,
        for slot: Int32, at now: Now
    ) {
        letBundlePass(flow.hash, for: slot, at: now)
        // Without members it is one packet a unit.
        let limit = takes(.bundle, slot) ? unitLimit(codec, flow, slot) : 0
        let group = peers[Int(slot)].compression.scope == .peer ? nil : flow.hash
        let index = open(.unit(codec, flow), of: group, trafficClass, for: slot, limit: limit, at: now)
        gathering.append(packet, shape, of: flow.hash, wire: wireSize(packet.byteCount, shape), to: index)
    }

    mutating func bundle(
        _ packet: RawSpan, _ shape: MemberShape, _ trafficClass: UInt8, _ flow: UInt64, for slot: Int32, at now: Now
    ) {
        letUnitPass(flow, for: slot, at: now)
        let index: Int
        if let open = gathering.bundle(for: slot) {
            if gathering.takes(open, packet.byteCount, shape, trafficClass: trafficClass) {
                index = open
            } else {
                sendBatch(open, at: now)
                index = self.open(.bundle, of: nil, trafficClass, for: slot, limit: bundleLimit, at: now)
            }
        } else {
            index = open(.bundle, of: nil, trafficClass, for: slot, limit: bundleLimit, at: now)
        }
        gathering.append(packet, shape, of: flow, wire: wireSize(packet.byteCount, shape), to: index)
    }

    private mutating func open(
        _ purpose: Gathering.Purpose, of flow: UInt64?, _ trafficClass: UInt8, for slot: Int32, limit: Int,
        at now: Now
    ) -> Int {
        if gathering.count == Gathering.capacity, let oldest = gathering.oldest { sendBatch(oldest, at: now) }
        return gathering.open(purpose, of: flow, for: slot, trafficClass: trafficClass, limit: limit)
    }

    /// Sends what must not be overtaken by a packet of this flow.
    @inline(__always)
    mutating func letPass(_ flow: UInt64, for slot: Int32, at now: Now) {
        letUnitPass(flow, for: slot, at: now)
        letBundlePass(flow, for: slot, at: now)
    }

    @inline(__always)
    private mutating func letUnitPass(_ flow: UInt64, for slot: Int32, at now: Now) {
        if let index = gathering.unit(of: nil, for: slot), gathering.mayHold(flow, in: index) {
            sendBatch(index, at: now)
        }
    }

    @inline(__always)
    private mutating func letBundlePass(_ flow: UInt64, for slot: Int32, at now: Now) {
        if let index = gathering.bundle(for: slot), gathering.mayHold(flow, in: index) { sendBatch(index, at: now) }
    }

    // MARK: Limits

    private func takes(_ kind: Record.Kind, _ slot: Int32) -> Bool {
        sessions[peers[Int(slot)].current].hello.records.contains(kind)
    }

    func recordLimits(_ session: Int32) -> RecordLimits {
        RecordLimits(mtu: payloadSize, fragments: sessions[session].hello.records.contains(.fragment))
    }

    /// What WireGuard would need for a packet, or for all that it stands for.
    private func wireSize(_ length: Int, _ shape: MemberShape) -> Int {
        if carriesFrames { return Chain.wireSize(Chain.paddedSize(Record.headerSize + length, mtu: payloadSize)) }
        let packets = shape.packets(of: length)
        guard packets > 1 else { return Chain.wireSize(Chain.paddedSize(length, mtu: mtu)) }
        let full = Chain.wireSize(Chain.paddedSize(shape.layout.header + shape.segment, mtu: mtu))
        let last = length - (packets - 1) * shape.segment
        return (packets - 1) * full + Chain.wireSize(Chain.paddedSize(last, mtu: mtu))
    }

    private var bundleLimit: Int { RecordLimits(mtu: payloadSize, fragments: false).payload - Record.headerSize }

    /// How many bytes of a flow go into one unit: as many as fit into the datagrams that may share its fate, if it
    /// compresses as it did lately.
    private func unitLimit(_ codec: Codec, _ flow: FlowTable.Flow, _ slot: Int32) -> Int {
        let hello = sessions[peers[Int(slot)].current].hello
        let limits = recordLimits(peers[Int(slot)].current)
        let loss = peers[Int(slot)].link.loss
        let pieces = !limits.fragments || loss >= 0.005 ? 1 : loss >= 0.001 ? 4 : FragmentRecord.mostPieces
        let coded = pieces == 1 ? limits.payload - UnitRecord.headerSize : pieces * limits.piece
        let plain = Double(coded) / max(chain.flows.fraction(flow), 0.01)
        return min(Int(plain), hello.maximumUnit, FragmentRecord.mostPieces * limits.piece)
    }

    // MARK: Out of a batch

    /// Sends a batch as what it is meant to be or, where that brings nothing, as what it could be, or packet by packet.
    mutating func sendBatch(_ index: Int, at now: Now) {
        guard let batch = gathering[index] else { return }
        defer { gathering.close(index) }
        let slot = batch.peer
        let session = peers[Int(slot)].current
        guard outbox.takes(batch.wire) else { return drops.count(.overflow, batch.packets) }
        // A session that began since the batch did has still to hear what the peer takes.
        guard session >= 0, sessions[session].hello.hasArrived, sessions[session].canSend(at: now.instant),
            let path = peers[Int(slot)].path,
            peers[Int(slot)].cipher != .aes256gcm || sessions[session].aes.isOpen
        else { return sendAlone(index, to: slot, at: now) }
        let destination = Destination(path: path, peer: slot)
        if case .unit(let codec, let flow) = batch.purpose {
            let sent = sendUnit(index, batch, codec, flow, slot, session, destination)
            if sent > 0 { return noteSent(batch, sent, slot, session, at: now) }
        }
        if batch.count > 1, batch.bytes <= bundleLimit, takes(.bundle, slot) {
            let sent = chain.outbound(
                bundle: index, of: gathering, recordLimits(session), on: &sessions[session].forData, to: destination,
                into: &outbox)
            if sent > 0 {
                peers[Int(slot)].traffic.noteBundle(batch.packets, batch.plain, sent)
                return noteSent(batch, sent, slot, session, at: now)
            }
        }
        sendAlone(index, to: slot, at: now)
    }

    private mutating func sendUnit(
        _ index: Int, _ batch: Gathering.Batch, _ codec: Codec, _ flow: FlowTable.Flow, _ slot: Int32, _ session: Int32,
        _ destination: Destination
    ) -> Int {
        let link = peers[Int(slot)].link.nanosecondsPerByte
        let fraction = chain.flows.fraction(flow)
        var codec = codec
        var best = Effort.best(codec, size: batch.bytes, fraction: fraction, link: link)
        if batch.bytes < Self.smallUnit, peers[Int(slot)].compression.mode == .auto,
            sessions[session].hello.codecs.contains(.deflate),
            let deflate = Effort.best(.deflate, size: batch.bytes, fraction: fraction, link: link)
        {
            (codec, best) = (.deflate, deflate)
        }
        var number = sessions[session].nextUnit
        let sent = chain.outbound(
            unit: index, of: gathering, with: codec, best ?? .least(codec), recordLimits(session),
            number: &number, on: &sessions[session].forData, to: destination, into: &outbox)
        sessions[session].nextUnit = number
        if sent > 0 {
            chain.flows.noteCoded(batch.plain, to: sent, on: flow)
            peers[Int(slot)].traffic.note(codec, batch.plain, sent)
        } else {
            chain.flows.noteFailure(on: flow, size: batch.bytes)
            peers[Int(slot)].traffic.skipped[CompressionSkip.backoff.rawValue] &+= UInt64(batch.packets)
        }
        return sent
    }

    private mutating func noteSent(
        _ batch: Gathering.Batch, _ sent: Int, _ slot: Int32, _ session: Int32, at now: Now
    ) {
        peers[Int(slot)].sent &+= UInt64(sent)
        peers[Int(slot)].traffic.noteSent(batch.plain, sent)
        noteDataSent(slot, session, at: now)
    }

    /// Sends the packets of a batch one by one, as if they had not been gathered.
    private mutating func sendAlone(_ index: Int, to slot: Int32, at now: Now) {
        guard let batch = gathering[index] else { return }
        for number in 0..<batch.count {
            if carriesFrames {
                let frame = unsafe _overrideLifetime(gathering.bytes(number, of: index), copying: ())
                sendAlone(gathered: frame, to: slot, at: now)
                continue
            }
            var packet = unsafe gathering.packet(number, of: index)
            let shape = gathering.shape(number, of: index)
            guard let header = InternetPacket(packet.bytes) else { continue }
            if shape.segment == 0 {
                send(packet.bytes, header, to: slot, at: now)
            } else if let split = Split(packet.bytes, header, shape.layout.virtio(segment: shape.segment)) {
                send(split, of: &packet, header, to: slot, at: now)
            }
        }
    }
}

extension VirtioHeader {
    /// Whether the transport header follows the IP header directly, as in a member of a record.
    func isPlain(_ header: InternetPacket) -> Bool {
        header.transport == (kind == .udp ? 17 : 6) && !header.isFragment
    }
}
