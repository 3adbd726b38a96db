// Units that refer to those before them of their stream (docs/protocol.md §3.14): decoded in their order, which what was lost and sent again
// takes its place in.

extension Opener {
    /// A stream of which a peer is to be told that there is no decoder.
    struct Untold {
        let peer: PeerSlot
        let number: UInt8
        let epoch: UInt16
        /// A unit was not what it said it was.
        var isWrong = false
        var isTold = false
        var at: Instant
    }

    /// A unit whose turn has come.
    struct Turn {
        let stream: Int
        let unit: HeldUnits.Unit
    }

    /// Peers that are to be told at once, and how often about the same stream.
    private static let mostUntold = 32
    private static let tellingInterval = Interval.milliseconds(50)
    /// The longest that a unit waits.
    private static let longest = Interval.seconds(2)
    /// What a decoded byte takes, nearly.
    private static let decoding = Interval(nanoseconds: 3)

    /// Takes a unit: decodes it, or keeps it until those before it have come.
    mutating func take(
        stream record: Record, in payload: RawSpan, _ delivery: Delivery, charging budget: inout IngressBudget,
        into inbox: inout Inbox
    ) -> Inbound {
        let (source, context) = (delivery.source, delivery.context)
        let body = payload.extracting(record.body)
        guard let unit = StreamRecord(parameter: record.parameter, body: body), cargo.takes(unit.layout) else {
            return .dropped(.record)
        }
        switch streams.place(of: unit, of: source.peer) {
        case .behind: return .dropped(.record)
        case .unknown:
            tell(unit.stream, unit.epoch, to: source.peer, at: context.arrivedAt)
            return .dropped(.incomplete)
        case .next(let place):
            return decode(unit, body, in: place, delivery, charging: &budget, into: &inbox)
        case .ahead(let place):
            let whole = payload.extracting(0..<record.body.upperBound)
            let held = HeldUnits.Unit(
                number: unit.number, counter: source.counter, lane: source.lane, isMarked: delivery.arrival.isMarked,
                wire: delivery.arrival.wire, heldAt: context.arrivedAt, length: whole.byteCount)
            guard units.insert(whole, held, of: place, next: streams[place]?.next ?? 0) else {
                _ = close(place, at: context.arrivedAt)
                return .dropped(.incomplete)
            }
            return .kept
        }
    }

    /// The unit of a peer's whose turn has come; `nil` if there is none. A stream of which one does not come any more is closed: `missing` is
    /// the lowest counter that is waited for on `lane`. `lost` is how many units that cost.
    mutating func nextTurn(
        of peer: PeerSlot, on lane: ReceiverIndex?, missing: UInt64?, at now: Instant, lost: inout Int
    ) -> Turn? {
        for place in 0..<InboundStreams.capacity {
            guard let first = units.first(of: place), let stream = streams[place], stream.peer == peer else { continue }
            if first.number == stream.next { return Turn(stream: place, unit: first) }
            let isOver = first.lane == lane && (missing.map { $0 > first.counter } ?? true)
            if isOver || now - first.heldAt >= Self.longest { lost += close(place, at: now) }
        }
        return nil
    }

    /// Whether units of a peer wait for those before them.
    func holdsUnits(of peer: PeerSlot) -> Bool {
        guard units.count > 0 else { return false }
        for place in 0..<InboundStreams.capacity where !units.isEmpty(place) && streams[place]?.peer == peer {
            return true
        }
        return false
    }

    /// Decodes a unit whose turn has come.
    mutating func read(
        _ turn: Turn, _ context: Context, charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        var space = unsafe _overrideLifetime(unit[0..<turn.unit.length], copying: ())
        units.popFirst(of: turn.stream, into: &space)
        // It stays where it is until the next one is read.
        let payload = unsafe _overrideLifetime(unit.bytes(0..<turn.unit.length), copying: ())
        guard let announced = context.announced, let record = Record(payload) else { return .dropped(.record) }
        let body = payload.extracting(record.body)
        guard let unit = StreamRecord(parameter: record.parameter, body: body) else { return .dropped(.record) }
        let source = Reassembly.Source(peer: context.peer, lane: turn.unit.lane, counter: turn.unit.counter)
        let arrival = Arrival(isMarked: turn.unit.isMarked, wire: turn.unit.wire)
        let delivery = Delivery(announced: announced, arrival: arrival, context: context, source: source)
        return decode(unit, body, in: turn.stream, delivery, charging: &budget, into: &inbox)
    }

    private mutating func decode(
        _ unit: StreamRecord, _ body: RawSpan, in place: Int, _ delivery: Delivery,
        charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        let (arrival, context) = (delivery.arrival, delivery.context)
        guard budget.admit(wire: arrival.wire, at: context.arrivedAt, idleAt: context.idleAt) else {
            _ = close(place, at: context.arrivedAt)
            return .dropped(.budget)
        }
        budget.payDecoding(of: unit.decoded, each: Self.decoding)
        let first = inbox.decodedCount
        let coded = body.extracting(StreamRecord.fieldsSize...)
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(members[0..<unit.decoded + 1], copying: ())
        guard streams.decode(unit, coded, in: place, into: &space, at: context.arrivedAt) else {
            _ = close(place, at: context.arrivedAt, isWrong: true)
            return .dropped(.record)
        }
        let isWhole = cargo.read(members.bytes(0..<unit.decoded), into: &inbox)
        return .packets(
            DecodedPackets(
                packets: first..<inbox.decodedCount, codec: .zstd, isBundle: false, isMarked: arrival.isMarked,
                isCutOff: !isWhole, wire: arrival.wire, isOfStream: true))
    }

    // MARK: Ends

    /// Gives up a stream; how many units waited for it. Its peer is to be told.
    mutating func close(_ place: Int, at now: Instant, isWrong: Bool = false) -> Int {
        guard let stream = streams[place] else { return 0 }
        let lost = units.removeAll(of: place)
        streams.remove(place)
        tell(stream.number, stream.epoch, to: stream.peer, at: now, isWrong: isWrong)
        return lost
    }

    /// Makes room for what a peer asks for: false if there is none.
    mutating func open(_ question: HistoryRecord, of peer: PeerSlot, at now: Instant) -> Bool {
        if let place = streams.find(question.stream, of: peer), streams[place]?.epoch != question.epoch {
            _ = units.removeAll(of: place)
        }
        return streams.open(question, of: peer, at: now)
    }

    /// Forgets the streams of a peer; how many units waited.
    mutating func closeAll(of peer: PeerSlot) -> Int {
        var lost = 0
        for place in 0..<InboundStreams.capacity where streams[place]?.peer == peer {
            lost += units.removeAll(of: place)
            streams.remove(place)
        }
        untold.removeAll { $0.peer == peer }
        return lost
    }

    /// Gives back the memory of streams that nothing comes through any more.
    mutating func expireStreams(at now: Instant) {
        while let place = streams.expired(at: now) {
            _ = units.removeAll(of: place)
            streams.remove(place)
        }
        units.trim()
    }

    /// Notes that a peer is to be told that there is no decoder for a stream, now and then.
    private mutating func tell(
        _ number: UInt8, _ epoch: UInt16, to peer: PeerSlot, at now: Instant, isWrong: Bool = false
    ) {
        for index in untold.indices where untold[index].peer == peer && untold[index].number == number {
            guard untold[index].epoch == epoch else { continue }
            if untold[index].isTold, now - untold[index].at >= Self.tellingInterval {
                untold[index].isTold = false
                untold[index].isWrong = isWrong
                untold[index].at = now
            }
            return
        }
        let news = Untold(peer: peer, number: number, epoch: epoch, isWrong: isWrong, at: now)
        guard untold.count >= Self.mostUntold else { return untold.append(news) }
        guard let told = untold.indices.first(where: { untold[$0].isTold }) else { return }
        untold[told] = news
    }

    /// What a peer is to be told next.
    mutating func pollUntold(of peer: PeerSlot) -> (record: HistoryRecord, isWrong: Bool)? {
        for index in untold.indices where !untold[index].isTold && untold[index].peer == peer {
            untold[index].isTold = true
            let record = HistoryRecord(
                word: .closed, stream: untold[index].number, epoch: untold[index].epoch,
                window: HistoryRecord.windows.lowerBound)
            return (record, untold[index].isWrong)
        }
        return nil
    }
}
