/// The inbound half of the transform chain, for every transport message that comes.
///
///     outbound:   compress ─▶ encrypt ─▶ frame          `Sealer`
///     inbound:    decompress ◂─ decrypt ◂─ unframe      this file
///
/// The datagram is opened where it was received. A plain packet stays there; what was coded is decoded into the inbox's memory.
struct Opener: ~Copyable {
    private let inPlace = InPlace()
    let cargo: Cargo
    private let decoders = Decoders()
    /// The decoded members of a unit.
    var members = Arena(capacity: Limits.unit + 1)
    private var fragments = Reassembly()
    /// What lost datagrams are had back from.
    var parity = ParityWindow()
    /// Messages of peers that have had their share of a turn, where there are others to have theirs.
    var waiting = WaitingMessages()
    var isShared = false
    /// Decoders of units that refer to others, what waits for those, and the record of one that has waited.
    var streams = InboundStreams()
    var units = HeldUnits()
    var unit = Arena(capacity: Limits.unit + 1)
    /// Peers that have to be told that there is no decoder for a stream.
    var untold = ContiguousArray<Untold>()
    /// What units of peers may refer to.
    var dictionaries = InboundDictionaries()
    /// What the RECALL that came last said of a dictionary of ours, until the peer takes it.
    var word: LearnedRecord?
    /// The body of the KEYS that came last. The peer takes it at once; few come, and none that is not authentic.
    private(set) var keyBody: [UInt8] = []

    init(_ cargo: Cargo) { self.cargo = cargo }

    /// Units of which too few fragments came.
    var abandonedUnits: UInt64 { fragments.abandoned }

    /// The context of a message: what is known besides its bytes.
    struct Context {
        let peer: PeerSlot
        /// The content of our HELLO; `nil`: there was none, the peer was not even told that we know records.
        let announced: Announcement?
        /// It met congestion.
        let isMarked: Bool
        /// It did not come: it was had back from parity.
        var isRebuilt = false
        let arrivedAt: Instant
        /// When the thread last had nothing to do.
        let idleAt: Instant
    }

    /// The way that a record came, besides its bytes.
    struct Delivery {
        let announced: Announcement
        let arrival: Arrival
        let context: Context
        /// What completed it.
        let source: Reassembly.Source
    }

    /// Opens a transport message in place and says what was in it, or keeps it until others have had their part of the turn.
    @inline(__always)
    mutating func open(
        _ datagram: inout MutableRawSpan, on lane: inout Lane, _ context: Context,
        charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        let counter = unframe(datagram.bytes)
        guard decrypt(&datagram, counter: counter, on: &lane) else { return .dropped(.authentication) }
        guard lane.window.accept(counter) else { return .dropped(.replay) }
        if !context.isRebuilt { lane.arrivals.note(datagram.byteCount) }
        if budget.hasHadShare, let kept = keep(datagram.bytes, context, charging: &budget) { return kept }
        return read(datagram.bytes, context, charging: &budget, into: &inbox)
    }

    /// Says what is in a message that was opened.
    @inline(__always)
    mutating func read(
        _ datagram: RawSpan, _ context: Context, charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        let payload = payload(of: datagram)
        guard payload.byteCount > 0 else { return .keepalive }
        let version = payload.byte(at: 0) >> 4
        if version == 4 || version == 6 { return .packet }
        let lane = ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver))
        let source = Reassembly.Source(peer: context.peer, lane: lane, counter: unframe(datagram))
        return decompress(payload, from: source, context, charging: &budget, into: &inbox)
    }

    // MARK: Turns

    /// Keeps a message with packets or frames of a peer that has had its share of this turn; `nil` if it may go on.
    @inline(never)
    private mutating func keep(
        _ datagram: RawSpan, _ context: Context, charging budget: inout IngressBudget
    ) -> Inbound? {
        if !waiting.holds(context.peer) {
            budget.beginTurn(at: context.arrivedAt)
            guard budget.hasHadShare, isShared else { return nil }
        }
        let payload = payload(of: datagram)
        guard payload.byteCount > 0, Record.Kind(rawValue: payload.byte(at: 0))?.isControl != true else { return nil }
        let isKept = waiting.append(datagram, of: context.peer, isMarked: context.isMarked)
        return isKept ? .kept : .dropped(.backlog)
    }

    // MARK: Unframe

    /// The counter of a transport message.
    @inline(__always)
    private func unframe(_ datagram: RawSpan) -> UInt64 { datagram.little64(at: Transport.counter) }

    /// The payload of one, between its header and its tag.
    @inline(__always)
    @_lifetime(copy datagram)
    private func payload(of datagram: RawSpan) -> RawSpan {
        datagram.extracting(Transport.headerSize..<datagram.byteCount - Transport.tagSize)
    }

    // MARK: Decrypt

    /// Opens the datagram where it is; false if it is not authentic.
    @inline(__always)
    private func decrypt(_ datagram: inout MutableRawSpan, counter: UInt64, on lane: inout Lane) -> Bool {
        var sealed = datagram.part(Transport.headerSize...)
        return lane.receiving.open(&sealed, counter: counter)
    }

    // MARK: Decompress

    /// Says what a record is, and decodes one that holds packets.
    private mutating func decompress(
        _ payload: RawSpan, from source: Reassembly.Source, _ context: Context,
        charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        guard let record = Record(payload) else { return .dropped(.record) }
        // It asks whether we take records, and silence is the answer.
        guard let announced = context.announced else {
            guard record.kind == .hello else { return .dropped(.unannounced) }
            let hello = Hello(version: record.parameter, body: payload.extracting(record.body))
            return .askedInVain(downRate: hello?.downRate)
        }
        guard record.kind == .hello || record.kind == .unit || announced.records.contains(record.kind) else {
            return .dropped(.record)
        }
        let arrival = Arrival(isMarked: context.isMarked, wire: payload.byteCount + Transport.overhead)
        let body = payload.extracting(record.body)
        switch record.kind {
        case .hello, .report, .ping, .confirm, .receipt, .gone, .rotate, .history, .learned:
            guard let control = ControlRecord(record, body: body) else { return .dropped(.record) }
            return .control(control)
        case .keys: return takeKeys(record, body)
        case .parity:
            return take(record, body, from: source, context, charging: &budget)
        case .unit, .bundle, .ethernet, .pack:
            let delivery = Delivery(announced: announced, arrival: arrival, context: context, source: source)
            return decode(record, in: payload, delivery, charging: &budget, into: &inbox)
        case .stream:
            let delivery = Delivery(announced: announced, arrival: arrival, context: context, source: source)
            return take(stream: record, in: payload, delivery, charging: &budget, into: &inbox)
        case .recall:
            let delivery = Delivery(announced: announced, arrival: arrival, context: context, source: source)
            return take(recall: record, body, delivery, charging: &budget, into: &inbox)
        case .fragment:
            guard record.parameter == 0, let fragment = FragmentRecord(body) else { return .dropped(.record) }
            let piece = body.extracting(FragmentRecord.fieldsSize...)
            switch fragments.append(piece, of: fragment, from: source, arrival, at: context.arrivedAt) {
            case .incomplete: return .fragment
            case .refused: return .dropped(.record)
            case .noRoom: return .dropped(.incomplete)
            case .whole(let whole) where Record(fragments.bytes(whole.record))?.kind == .parity:
                return takeParity(whole, from: source, context, charging: &budget)
            case .whole(let whole) where Record(fragments.bytes(whole.record))?.kind == .keys:
                return takeKeys(whole, announced)
            case .whole(let whole):
                let delivery = Delivery(
                    announced: announced, arrival: whole.arrival, context: context, source: source)
                return decode(whole, delivery, charging: &budget, into: &inbox)
            }
        }
    }

    /// Takes KEYS, whose bytes wait for the peer.
    @inline(never)
    private mutating func takeKeys(_ record: Record, _ body: RawSpan) -> Inbound {
        guard let control = ControlRecord(record, body: body) else { return .dropped(.record) }
        keyBody = (0..<body.byteCount).map { body.byte(at: $0) }
        return .control(control)
    }

    /// Takes KEYS that came in fragments.
    private mutating func takeKeys(_ whole: Reassembly.Whole, _ announced: Announcement) -> Inbound {
        // It stays where it is until the next fragment is added.
        let bytes = unsafe _overrideLifetime(fragments.bytes(whole.record), copying: ())
        guard announced.records.contains(.keys), let record = Record(bytes) else { return .dropped(.record) }
        return takeKeys(record, bytes.extracting(record.body))
    }

    /// Takes a row of parity that came in fragments.
    private mutating func takeParity(
        _ whole: Reassembly.Whole, from source: Reassembly.Source, _ context: Context,
        charging budget: inout IngressBudget
    ) -> Inbound {
        // It stays where it is until the next fragment is added.
        let bytes = unsafe _overrideLifetime(fragments.bytes(whole.record), copying: ())
        guard let record = Record(bytes), context.announced?.records.contains(.parity) == true else {
            return .dropped(.record)
        }
        return take(record, bytes.extracting(record.body), from: source, context, charging: &budget)
    }

    /// Takes a row of parity.
    private mutating func take(
        _ record: Record, _ body: RawSpan, from source: Reassembly.Source, _ context: Context,
        charging budget: inout IngressBudget
    ) -> Inbound {
        guard let row = ParityRecord(parameter: record.parameter, body: body), let lane = source.lane else {
            return .dropped(.record)
        }
        budget.payDecoding(of: body.byteCount, each: Self.parityCost)
        let age = parity.take(
            row, body.extracting(ParityRecord.fieldsSize...), on: lane, of: source.peer, at: context.arrivedAt)
        return .parity(age: age)
    }

    /// What a byte of parity costs, where it is used: the sums of a block of 40.
    private static let parityCost = Interval(nanoseconds: 8)

    /// Decodes what came in fragments.
    private mutating func decode(
        _ whole: Reassembly.Whole, _ delivery: Delivery, charging budget: inout IngressBudget, into inbox: inout Inbox
    ) -> Inbound {
        // It stays where it is until the next fragment is added.
        let bytes = unsafe _overrideLifetime(fragments.bytes(whole.record), copying: ())
        guard let record = Record(bytes), RecordSet.fragmented.contains(record.kind),
            record.kind == .unit || delivery.announced.records.contains(record.kind)
        else { return .dropped(.record) }
        if record.kind == .stream {
            return take(stream: record, in: bytes, delivery, charging: &budget, into: &inbox)
        }
        return decode(record, in: bytes, delivery, charging: &budget, into: &inbox)
    }

    /// Decodes a record that holds packets or frames, if its peer's budget allows.
    private mutating func decode(
        _ record: Record, in payload: RawSpan, _ delivery: Delivery, charging budget: inout IngressBudget,
        into inbox: inout Inbox
    ) -> Inbound {
        let (announced, arrival, context) = (delivery.announced, delivery.arrival, delivery.context)
        let body = payload.extracting(record.body)
        let first = inbox.decodedCount
        var codec: Codec?
        var isWhole = true
        switch record.kind {
        case .unit:
            guard let unit = UnitRecord(parameter: record.parameter, body: body), announced.codecs.contains(unit.codec),
                cargo.takes(unit.layout), unit.layout == .packet || announced.records.contains(.bundle)
            else { return .dropped(.record) }
            guard budget.admit(wire: arrival.wire, at: context.arrivedAt, idleAt: context.idleAt) else {
                return .dropped(.budget)
            }
            budget.payDecoding(of: unit.decoded, each: unit.codec.traits.decoding)
            codec = unit.codec
            if let reason = decode(unit, body.extracting(UnitRecord.sizeField...), into: &inbox, isWhole: &isWhole) {
                return .dropped(reason)
            }
        case .bundle, .pack:
            guard record.parameter == cargo.bundleParameter else { return .dropped(.record) }
            guard budget.admit(wire: arrival.wire, at: context.arrivedAt, idleAt: context.idleAt) else {
                return .dropped(.budget)
            }
            budget.payDecoding(of: body.byteCount, each: Interval(nanoseconds: 0))
            isWhole = cargo.read(body, into: &inbox)
        case .ethernet:
            guard record.parameter == 0, Cargo.readFrame(body, into: &inbox) else { return .dropped(.record) }
        case .hello, .fragment, .report, .ping, .confirm, .receipt, .gone, .parity, .rotate, .stream,
            .history, .keys, .recall, .learned:
            return .dropped(.record)
        }
        return .packets(
            DecodedPackets(
                packets: first..<inbox.decodedCount, codec: codec,
                isBundle: record.kind == .bundle || record.kind == .pack,
                isMarked: arrival.isMarked, isCutOff: !isWhole, wire: arrival.wire))
    }

    /// Decodes a unit; why it is dropped, if it is. `isWhole` becomes false if only the first of its members could be read.
    private mutating func decode(
        _ unit: UnitRecord, _ coded: RawSpan, into inbox: inout Inbox, isWhole: inout Bool
    ) -> DropReason? {
        guard unit.layout != .packet else {
            let place = inbox.decode(unit.decoded) { space in
                let length = decoders.decode(coded, with: unit.codec, into: &space)
                return length == unit.decoded ? length : nil
            }
            guard let place else { return .record }
            return Cargo.readPacket(at: place, of: &inbox) ? nil : .content
        }
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(members[0..<unit.decoded], copying: ())
        guard decoders.decode(coded, with: unit.codec, into: &space) == unit.decoded else { return .record }
        isWhole = cargo.read(members.bytes(0..<unit.decoded), into: &inbox)
        return nil
    }
}

/// The datagrams that brought a record.
struct Arrival {
    /// One of them met congestion.
    var isMarked: Bool
    /// Their bytes, as UDP payload.
    var wire: Int
}

/// The content of a transport message.
enum Inbound {
    case dropped(DropReason)
    case keepalive
    /// An IP packet, it says; it starts behind the header of the datagram.
    case packet
    /// A unit, a bundle or a frame, decoded.
    case packets(DecodedPackets)
    /// A piece of a unit that is not complete.
    case fragment
    /// Packets, which wait until others have had their part of the turn.
    case kept
    case control(ControlRecord)
    /// A row of parity, and how long ago the first datagram of its block came, if that is known.
    case parity(age: Interval?)
    /// A HELLO to an end that takes nothing but WireGuard: to that it is data that is none. It may say all the same how fast the
    /// sender can be sent to, in kbit/s.
    case askedInVain(downRate: UInt32?)

    /// It never waits where data may: what was sealed before it may come behind it.
    @inline(__always) var isBeside: Bool {
        if case .control = self { true } else { false }
    }

    /// Whether a message that is the peer's asks for an answer: all but a keepalive, and what is like one to every timer.
    @inline(__always) var isData: Bool {
        switch self {
        case .keepalive, .control, .parity: false
        case .packet, .packets, .fragment, .kept, .dropped, .askedInVain: true
        }
    }
}
