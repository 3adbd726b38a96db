// Units that may refer to a dictionary (docs/protocol.md §3.16): decoded as they come.

extension Opener {
    /// What a decoded byte takes, nearly.
    private static let recalling = Interval(nanoseconds: 5)

    /// Decodes a unit.
    mutating func take(
        recall record: Record, _ body: RawSpan, _ delivery: Delivery, charging budget: inout IngressBudget,
        into inbox: inout Inbox
    ) -> Inbound {
        let (arrival, context) = (delivery.arrival, delivery.context)
        guard let unit = RecallRecord(parameter: record.parameter, body: body), cargo.takes(unit.layout) else {
            return .dropped(.record)
        }
        word = unit.word
        guard budget.admit(wire: arrival.wire, at: context.arrivedAt, idleAt: context.idleAt) else {
            return .dropped(.budget)
        }
        let place: Int?
        switch dictionaries.place(of: unit, of: context.peer, at: context.arrivedAt) {
        case .none: place = nil
        case .at(let found): place = found
        case .gone: return .dropped(.incomplete)
        }
        let first = inbox.decodedCount
        let coded = body.extracting(unit.coded(of: body.byteCount))
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(members[0..<unit.decoded + 1], copying: ())
        guard let length = dictionaries.decode(unit, coded, in: place, into: &space, at: context.arrivedAt) else {
            budget.payDecoding(of: unit.decoded, each: Self.recalling)
            dictionaries.fail(unit, in: place, of: context.peer, at: context.arrivedAt)
            return .dropped(.record)
        }
        budget.payDecoding(of: length, each: Self.recalling)
        if let place {
            let plain = unsafe _overrideLifetime(members.bytes(0..<length), copying: ())
            dictionaries.learn(unit, plain, in: place, at: context.arrivedAt)
        }
        if unit.isDeflated, cargo == .packets {
            var whole = unsafe _overrideLifetime(members[0..<length], copying: ())
            Members.completeFirst(&whole)
        }
        let isWhole = cargo.read(members.bytes(0..<length), into: &inbox)
        return .packets(
            DecodedPackets(
                packets: first..<inbox.decodedCount, codec: .zstd, isBundle: false, isMarked: arrival.isMarked,
                isCutOff: !isWhole, wire: arrival.wire, isRecalled: true))
    }
}
