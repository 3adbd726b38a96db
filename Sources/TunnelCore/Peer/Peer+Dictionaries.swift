// Units that refer to what the peer has said it has decoded (docs/protocol.md §3.16): small ones, in front of thin links. Nothing waits for
// that.

extension Peer {
    /// Whether we take part in it.
    @inline(__always)
    var takesRecalls: Bool { history.isWanted && compression.mode != .off }

    // MARK: Out

    /// The largest unit, in bytes of packets: in larger ones there is enough to refer to.
    private static let largest = DictionaryLog.largestEntry - Limits.padding
    /// From so many packets on that could be units a flow has a dictionary of its own.
    private static let someMessages = 3

    /// How hard units to the peer are to be coded; `nil`: none refers to a dictionary.
    private func recallLevel(on session: SessionSlot, _ services: borrowing Services) -> Int32? {
        guard takesRecalls, compression.scope == .flow, services.egress.queue.isUsed,
            services.sessions[session].hello.records.isSuperset(of: .recalls),
            compression.mode == .auto || compression.mode == .codec(.zstd), services.egress.governor.allowsCoding,
            let rate = services.egress.queue.rate(of: id.slot) ?? services.egress.queue.shaper?.rate
        else { return nil }
        return OutboundDictionaries.level(at: rate)
    }

    /// What dictionaries of hosts are told apart by besides addresses: a frame's stations and VLANs; 0 for packets.
    func dictionaryStations(
        _ frame: RawSpan, _ header: EthernetFrame, _ services: borrowing Services
    ) -> UInt64 {
        guard history.isWanted, history.scope == .hosts else { return 0 }
        return services.egress.flows.stations(frame, header, from: .min)
    }

    /// The name of the dictionary of a packet.
    private func dictionaryName(
        _ packet: RawSpan, _ header: InternetPacket, between stations: UInt64, of flow: FlowTable.Flow,
        _ services: borrowing Services
    ) -> UInt64 {
        switch history.scope {
        case .flow: flow.hash
        case .hosts: services.egress.flows.hosts(packet, header, between: stations, to: id.slot)
        case .peer: services.egress.flows.all(to: id.slot)
        }
    }

    /// Whether a packet that is not compressed by itself, for being small or since that brought nothing, is to be a unit all the same.
    @inline(never)
    mutating func recalls(
        _ packet: GatheredPacket, _ header: InternetPacket, between stations: UInt64, _ services: inout Services
    ) -> Bool {
        guard let session = keypairs.current, let level = recallLevel(on: session, services),
            packet.shape.segment == 0, packet.bytes.byteCount <= Self.largest,
            services.egress.flows[packet.flow] == .open
        else { return false }
        let now = services.now.instant
        let name = dictionaryName(packet.bytes, header, between: stations, of: packet.flow, services)
        guard packet.bytes.byteCount > packet.shape.layout.header else {
            // An acknowledgement of TCP is no reason to have a dictionary.
            guard level == OutboundDictionaries.level, let place = services.egress.dictionaries.find(name) else {
                return false
            }
            return services.egress.dictionaries.isUsable(place, at: now)
                && services.egress.dictionaries[place]?.log.count ?? 0 > 0
        }
        guard hasMessages(packet.flow, &services) else { return false }
        if let place = services.egress.dictionaries.find(name) {
            return services.egress.dictionaries.isUsable(place, at: now)
        }
        return !Recognition.looksRandom(packet.bytes.extracting(packet.shape.layout.header..<packet.bytes.byteCount))
    }

    /// Counts a packet that could be a unit; whether there were enough of its flow.
    private mutating func hasMessages(_ flow: FlowTable.Flow, _ services: inout Services) -> Bool {
        guard history.scope == .flow else { return true }
        return services.egress.flows.noteMessage(flow) >= Self.someMessages
    }

    /// The form of a batch as a unit that refers to a dictionary, and of which one of the peer's something may be said with it; `nil`: it has none.
    mutating func recall(
        for index: Int, of flow: FlowTable.Flow, on session: SessionSlot, _ services: inout Services
    ) -> (form: BatchForm, told: Int?)? {
        guard history.isWanted, let batch = services.egress.gathering[index],
            batch.bytes + batch.count * Members.overhead <= Self.largest,
            let level = recallLevel(on: session, services), hasMessages(flow, &services)
        else { return nil }
        let now = services.now.instant
        let first = services.egress.gathering.bytes(0, of: index)
        var start = 0
        var stations: UInt64 = 0
        if services.cargo == .frames {
            guard let frame = EthernetFrame(first) else { return nil }
            start = frame.payload
            stations = dictionaryStations(first, frame, services)
        }
        let inner = first.extracting(start...)
        guard let header = InternetPacket(inner) else { return nil }
        let name = dictionaryName(inner, header, between: stations, of: flow, services)
        guard
            let place = services.egress.dictionaries.find(name)
                ?? services.egress.dictionaries.begin(name, to: id.slot, at: now),
            services.egress.dictionaries.isUsable(place, at: now)
        else { return nil }
        let isBrief = services.sessions[session].hello.records.isSuperset(of: .briefRecalls)
        let news = isBrief ? services.ingress.opener.dictionaries.news(of: id.slot, at: now) : nil
        return (
            .recall(
                Recall(
                    dictionary: place, level: level, without: wireSize(of: batch, of: flow, services), isBrief: isBrief,
                    word: news?.word, isWordDue: news?.isDue ?? false, at: now)), news?.place
        )
    }

    /// The bytes that a batch would probably take on the wire otherwise.
    private func wireSize(
        of batch: Gathering.Batch, of flow: FlowTable.Flow, _ services: borrowing Services
    ) -> Int {
        let limits = policy(services).limits
        var size = batch.wire
        if batch.count > 1, batch.bytes <= limits.body {
            size = min(size, limits.wireSize(of: Record.headerSize + batch.bytes + batch.count))
        }
        guard !services.egress.flows.isDoubtful(flow) else { return size }
        let coded = Int(Double(batch.bytes) * services.egress.flows.fraction(flow))
        return min(size, limits.wireSize(of: UnitRecord.headerSize + coded))
    }

    /// Takes the peer's word of what has become part of a dictionary of ours.
    mutating func receive(_ word: LearnedRecord, isAlone: Bool = true, _ services: inout Services) {
        guard takesRecalls else { return }
        let now = services.now.instant
        let place = Int(word.dictionary)
        let before = services.egress.dictionaries[place]?.log.count ?? 0
        if services.egress.dictionaries.take(word, isAlone: isAlone, from: id.slot, at: now) { history.broken &+= 1 }
        let learned = (services.egress.dictionaries[place]?.log.count ?? 0) - before
        if learned > 0 { history.learned &+= UInt64(learned) }
    }

    /// Takes the word that came with a RECALL, whatever became of that.
    @inline(never)
    mutating func takeWord(_ services: inout Services) {
        guard let word = services.ingress.opener.word else { return }
        services.ingress.opener.word = nil
        receive(word, isAlone: false, &services)
    }

    // MARK: In

    /// Tells the peer what has become part of its dictionaries, and which there are not.
    mutating func sendLearned(_ services: inout Services) {
        guard let session = keypairs.current, path != nil,
            services.sessions[session].canSend(at: services.now.instant)
        else { return services.ingress.opener.dictionaries.forgetNews(of: id.slot) }
        while services.egress.outbox.hasRoom,
            let word = services.ingress.opener.dictionaries.poll(of: id.slot, at: services.now.instant)
        {
            _ = transmit(.control(.learned(word)), on: session, &services)
        }
    }
}
