// Units that refer to those before them, of one TCP flow each (docs/protocol.md §3.14): in front of thin links, where what is lost is sent again.
// Whether we take part in that, and in dictionaries.

extension Peer {
    /// Whether we take part in it.
    @inline(__always)
    var takesHistory: Bool { history.isWanted && repair.isWanted && compression.mode != .off }

    /// Sets whether units refer to others; what was announced is unsaid by a new session.
    mutating func setHistory(_ wanted: Bool, _ scope: HistoryScope, _ services: inout Services) {
        if scope != history.scope {
            history.scope = scope
            services.egress.dictionaries.removeAll(to: id.slot)
        }
        guard wanted != history.isWanted else { return }
        let before = announcement(services.cargo)
        history.isWanted = wanted
        if !wanted { endHistory(&services) }
        if announcement(services.cargo) != before { beginAnew(&services) }
    }

    /// Forgets all streams.
    mutating func endHistory(_ services: inout Services) {
        services.egress.streams.removeAll(to: id.slot)
        drops.count(.incomplete, services.ingress.opener.closeAll(of: id.slot))
        services.egress.dictionaries.removeAll(to: id.slot)
        services.ingress.opener.dictionaries.removeAll(of: id.slot)
    }

    // MARK: Out

    /// From so many bytes on that were coded of it a flow gets a stream, if coding leaves less than that part.
    private static let bulk = 32 << 10
    private static let mostLeft = 0.9

    /// The stream that a unit of a flow goes in; `nil`: it goes by itself. The peer may be asked for a decoder.
    mutating func stream(
        for index: Int, of flow: FlowTable.Flow, on session: SessionSlot, _ services: inout Services
    ) -> Int? {
        guard takesHistory, compression.scope == .flow,
            services.sessions[session].hello.records.isSuperset(of: .history), repairs(on: session, services),
            services.egress.sent.keeps(id.slot), compression.mode == .auto || compression.mode == .codec(.zstd)
        else { return nil }
        let now = services.now.instant
        guard let place = services.egress.streams.find(flow.hash, to: id.slot) else {
            beginStream(for: index, of: flow, on: session, &services)
            return nil
        }
        let (open, question) = services.egress.streams.prepare(place, roundTrip: quality.roundTrip, at: now)
        if let question { _ = transmit(.control(.history(question)), on: session, &services) }
        return open
    }

    /// Drops the first packet of a batch that becomes a unit of a stream of which a queue has lost something; true if nothing is left. What can
    /// carry a mark is marked where it was lost.
    mutating func dropForCongestion(_ index: Int, in stream: Int, _ services: inout Services) -> Bool {
        guard let batch = services.egress.gathering[index],
            !CongestionBits(rawValue: batch.trafficClass).isCapable, services.egress.streams.takeDrop(of: stream)
        else { return false }
        if services.trace.isOn {
            let first = unsafe services.egress.gathering.packet(0, of: index)
            traceDropped(first.bytes.extracting(innerStart(of: first.bytes, services)...), .queueDelay, &services)
        }
        drops.count(.queueDelay, services.egress.gathering.dropFirst(of: index))
        return services.egress.gathering[index]?.count == 0
    }

    /// Looks what the unit of a stream that was sent last would have become by itself.
    @inline(never)
    func compare(_ index: Int, with codec: Codec, of flow: FlowTable.Flow, in stream: Int, _ services: inout Services) {
        guard let batch = services.egress.gathering[index] else { return }
        let fraction = services.egress.flows.fraction(flow)
        let form = policy(services).form(codec, size: batch.bytes, fraction: fraction)
        services.egress.compare(batch: index, as: form, in: stream)
    }

    /// Where the IP packet begins in a packet or frame that was gathered, which is one or holds one.
    private func innerStart(of packet: RawSpan, _ services: borrowing Services) -> Int {
        guard services.cargo == .frames, let header = EthernetFrame(packet) else { return 0 }
        return header.payload
    }

    private func isTCP(_ index: Int, _ services: borrowing Services) -> Bool {
        let first = services.egress.gathering.bytes(0, of: index)
        let inner = first.extracting(innerStart(of: first, services)...)
        guard let header = InternetPacket(inner) else { return false }
        return PacketLayout(inner, header).transport == .tcp
    }

    private mutating func beginStream(
        for index: Int, of flow: FlowTable.Flow, on session: SessionSlot, _ services: inout Services
    ) {
        let fraction = services.egress.flows.fraction(flow)
        guard services.egress.flows.volume(flow) >= Self.bulk, fraction < Self.mostLeft,
            isTCP(index, services),
            let rate = services.egress.queue.rate(of: id.slot) ?? services.egress.queue.shaper?.rate,
            let level = OutboundStreams.level(at: rate)
        else { return }
        let question = services.egress.streams.begin(
            flow.hash, to: id.slot, level: level, at: services.now.instant)
        if let question { _ = transmit(.control(.history(question)), on: session, &services) }
    }

    /// Takes what the peer says of a stream, ours or its own.
    mutating func receive(_ word: HistoryRecord, on session: SessionSlot, _ services: inout Services) {
        guard takesHistory else { return }
        let now = services.now.instant
        switch word.word {
        case .open:
            var answer = word
            answer.word = services.ingress.opener.open(word, of: id.slot, at: now) ? .opened : .closed
            guard services.sessions[session].canSend(at: now), path != nil else { return }
            _ = transmit(.control(.history(answer)), on: session, &services)
        case .opened, .closed:
            if services.egress.streams.take(word, from: id.slot, at: now) { history.broken &+= 1 }
        }
    }

    // MARK: In

    /// The next unit that has waited and whose turn has come.
    mutating func nextUnit(_ services: inout Services) -> Opener.Turn? {
        var lost = 0
        let turn = services.ingress.opener.nextTurn(
            of: id.slot, on: repair.gaps.index, missing: repair.gaps.lowest, at: services.now.instant, lost: &lost)
        history.lost &+= UInt64(lost)
        drops.count(.incomplete, lost)
        return turn
    }

    /// Decodes it.
    mutating func receive(_ turn: Opener.Turn, _ services: inout Services) -> Received {
        let context = context(turn.unit.isMarked ? .congested : .path, services)
        let content = services.ingress.opener.read(
            turn, context, charging: &budget, into: &services.ingress.inbox)
        switch content {
        case .packets(let packets): return .packets(packets)
        case .dropped(.budget): dropBeyondBudget(&services)
        case .dropped(let reason): drops.count(reason)
        default: break
        }
        return .handled
    }

    /// Tells the peer which of its streams have no decoder.
    mutating func sendClosings(_ services: inout Services) {
        guard let session = keypairs.current, path != nil,
            services.sessions[session].canSend(at: services.now.instant)
        else { return }
        while services.egress.outbox.hasRoom, let news = services.ingress.opener.pollUntold(of: id.slot) {
            if news.isWrong { history.wrong &+= 1 }
            _ = transmit(.control(.history(news.record)), on: session, &services)
        }
    }
}
