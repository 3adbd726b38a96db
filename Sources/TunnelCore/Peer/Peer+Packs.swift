import BasicContainers

// PACK (docs/protocol.md §3.12): packets that are larger than a datagram travel with those behind them, in pieces that are full; and
// what becomes of them where the peer takes none.

extension Peer {
    /// Whether a packet of so many bytes does not go alone: it has no room in a datagram, or follows one that had none.
    @inline(__always)
    func isLarge(_ size: Int, _ services: borrowing Services) -> Bool {
        size > pathMTU.limit.payload || services.egress.gathering.pack(for: id.slot) != nil
    }

    /// Whether the peer joins what came in pieces.
    func takesPacks(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        services.sessions[session].hello.records.isSuperset(of: .pieces)
    }

    /// How many packets of `size` bytes go into one pack: such that its last piece is as full as may be, and more rather than fewer where
    /// that costs `slack` thousandths at most. More share a datagram's fate where fewer get lost. `head` is what stands before all of them.
    func packCount(of size: Int, behind head: Int = 0, slack: Int = 0, _ services: borrowing Services) -> Int {
        let policy = policy(services)
        let pieces = policy.loss >= 0.005 ? 2 : policy.loss >= 0.001 ? 4 : 24
        let piece = policy.limits.piece
        let most = min(pieces * piece, Limits.unit - Record.headerSize)
        var chosen = 1
        var least = Int.max - slack
        for count in 1...max(min((most - head) / size, Limits.recordPackets), 1) {
            let bytes = head + count * size
            // Of a thousand bytes.
            let waste = ((bytes + piece - 1) / piece * piece - bytes) * 1000 / bytes
            if waste <= least + slack { chosen = count }
            least = min(least, waste)
        }
        return chosen
    }

    /// Bytes in one pack that begins with a packet of `size` bytes.
    private func packLimit(for size: Int, _ services: borrowing Services) -> Int {
        let size = size + Members.overhead
        return packCount(of: size, services) * size
    }

    /// Adds a packet to the peer's pack.
    @inline(never)
    mutating func pack(
        _ packet: RawSpan, with header: InternetPacket, on session: SessionSlot, _ services: inout Services
    ) {
        let limits = services.egress.limits(services.sessions[session].hello, pathMTU.limit)
        guard limits.pieces(of: packet.byteCount + Members.overhead + Record.headerSize) > 0,
            packet.byteCount + Members.overhead + Record.headerSize < Limits.unit
        else {
            if let index = services.egress.gathering.pack(for: id.slot) { sendBatch(index, &services) }
            transmit(packet, with: header, on: session, &services)
            return
        }
        let flow = services.egress.flows.find(packet, header, to: id.slot)
        let shape = MemberShape(layout: PacketLayout(packet, header), segment: 0)
        addToPack(GatheredPacket(packet, shape, trafficClass: header.congestion.rawValue, of: flow), &services)
        if header.hidesPorts { noteAnyFlowInPack(&services) }
    }

    /// Of the packet that was added last nobody can say to which flow it belongs.
    func noteAnyFlowInPack(_ services: inout Services) {
        guard let index = services.egress.gathering.pack(for: id.slot) else { return }
        services.egress.gathering.noteAnyFlow(in: index)
    }

    mutating func addToPack(_ packet: GatheredPacket, _ services: inout Services) {
        if let index = services.egress.gathering.pack(for: id.slot) {
            if services.egress.gathering.takes(packet, in: index) { return append(packet, to: index, &services) }
            sendBatch(index, &services)
        }
        guard !services.egress.gathering.hasNoPlace else { return services.drops.count(.overflow) }
        let index = services.egress.gathering.open(
            .pack, of: nil, for: id.slot, trafficClass: packet.trafficClass,
            limit: packLimit(for: packet.bytes.byteCount, services))
        append(packet, to: index, &services)
    }

    /// Adds a super-segment to the peer's packs, in smaller ones; false if it must be cut into packets.
    @inline(never)
    mutating func packSegments(
        of packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) -> Bool {
        guard let session = keypairs.current, services.sessions[session].canSend(at: services.now.instant), path != nil,
            takesPacks(on: session, services), !hasDemands || meetsDemands(on: session, services),
            virtio.isPlain(header)
        else { return false }
        let segment = Int(virtio.segment)
        let layout = PacketLayout(packet.bytes, header)
        guard layout.maySegment(packet.bytes, header, segment: segment) else { return false }
        let trafficClass = header.congestion.rawValue
        let flow = services.egress.flows.find(packet.bytes, header, to: id.slot)
        // One header stands for all of them.
        var larger = virtio
        larger.segment = UInt16(packCount(of: segment, services) * segment)
        guard header.length - layout.header > Int(larger.segment) else {
            addToPack(
                GatheredPacket(
                    packet.bytes.extracting(0..<header.length), MemberShape(layout: layout, segment: segment),
                    trafficClass: trafficClass, of: flow), &services)
            return true
        }
        guard var split = Split(packet.bytes, header, virtio: larger) else { return false }
        split.identifierStep = UInt16(Int(larger.segment) / segment)
        while let range = split.nextPacket(in: &packet) {
            let isOne = range.count - layout.header <= segment
            addToPack(
                GatheredPacket(
                    packet.bytes.extracting(range), MemberShape(layout: layout, segment: isOne ? 0 : segment),
                    trafficClass: trafficClass, of: flow), &services)
        }
        return true
    }

    // MARK: To a peer that takes none

    /// Whether a packet can't be carried, and its sender can do something about it. What may be divided, or is no larger than IPv6
    /// demands, goes in fragments of IP outside.
    func isTooBig(
        _ packet: RawSpan, _ header: InternetPacket, on session: SessionSlot, _ services: borrowing Services
    ) -> Bool {
        guard packet.byteCount > pathMTU.limit.payload, services.cargo == .packets else { return false }
        // It may say yet that it takes them.
        let hello = services.sessions[session].hello
        guard
            hello.hasArrived || announcement(services.cargo) == nil || silentSessions > 0
                || hello.sent >= Limits.helloRepeats.count
        else { return false }
        guard header.isV4 else { return packet.byteCount > PathSizes.base }
        return packet.big16(at: IPv4Header.fragmentOffset) & 0x4000 != 0
    }

    /// Tells the sender what fits.
    @inline(never)
    mutating func refuseTooBig(_ packet: RawSpan, _ header: InternetPacket, _ services: inout Services) {
        drops.count(.tooBig)
        let fitting = pathMTU.limit.payload
        services.ingress.refusals.append(
            packet, header, at: services.now.instant, fitting: header.isV4 ? fitting : max(fitting, PathSizes.base))
    }
}
