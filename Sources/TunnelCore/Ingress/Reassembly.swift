import BasicContainers

/// Units that arrive in fragments (docs/protocol.md §3.5), in a fixed number of places of which no peer has more than its share:
/// what stays incomplete makes room for what comes later.
struct Reassembly: ~Copyable {
    private struct Place {
        var peer: PeerSlot?
        /// Our index of the lane that the pieces come on.
        var lane: ReceiverIndex?
        /// The counter of the first piece.
        var first: UInt64 = 0
        var number: UInt16 = 0
        var size = 0
        var count = 0
        /// The pieces that are there, a bit for each; 0: nothing is.
        var pieces: UInt64 = 0
        /// When the last of them came.
        var touchedAt = Instant.distantPast
        var arrival = Arrival(isMarked: false, wire: 0)

        func isOf(_ fragment: FragmentRecord, _ source: Source) -> Bool {
            lane == source.lane && first == fragment.first(of: source.counter) && number == fragment.number
        }
    }

    /// The message that brought a piece. Its counter is authentic, and the sender gives the pieces of a unit consecutive ones; the
    /// number alone comes again after 65,536 units, well within the life of a place.
    struct Source {
        let peer: PeerSlot
        /// Our index of the lane, which names the session too.
        let lane: ReceiverIndex?
        let counter: UInt64
    }

    /// A unit that is complete: where its record is, good until the next fragment.
    struct Whole {
        let record: Range<Int>
        let arrival: Arrival
    }

    /// The outcome of adding a piece.
    enum Outcome {
        case incomplete
        case whole(Whole)
        /// It was there already, or contradicts the others.
        case refused
        /// Other peers' units have all places.
        case noRoom
    }

    private static let capacity = 256
    /// How many of the places one peer may have: units wait for pieces that are sent again.
    private static let mostOfPeer = 16
    private static let slotSize = 65_536
    /// A unit of which no piece came for so long is forgotten.
    private static let lifetime = Interval.seconds(2)

    private var arena = Arena(capacity: capacity * slotSize)
    private var places = ContiguousArray(repeating: Place(), count: capacity)
    /// The place of the last piece.
    private var recent = 0
    /// Units that were forgotten before they were complete.
    private(set) var abandoned: UInt64 = 0

    init() {}

    /// The bytes of a complete unit.
    @_lifetime(borrow self)
    func bytes(_ record: Range<Int>) -> RawSpan { arena.bytes(record) }

    /// Adds a piece of a unit; the unit if that completes it.
    mutating func append(
        _ piece: RawSpan, of fragment: FragmentRecord, from source: Source, _ arrival: Arrival, at now: Instant
    ) -> Outcome {
        guard source.counter >= UInt64(fragment.index) else { return .refused }
        guard let index = place(of: fragment, from: source, at: now) else { return .noRoom }
        let bit: UInt64 = 1 << UInt64(fragment.index)
        guard places[index].size == fragment.size, places[index].count == fragment.count,
            places[index].pieces & bit == 0
        else { return .refused }
        let start = index * Self.slotSize
        var space = arena[start..<start + fragment.size]
        space.copy(piece, to: fragment.range.lowerBound)
        places[index].pieces |= bit
        places[index].touchedAt = now
        places[index].arrival.isMarked = places[index].arrival.isMarked || arrival.isMarked
        places[index].arrival.wire += arrival.wire
        recent = index
        guard places[index].pieces.nonzeroBitCount == fragment.count else { return .incomplete }
        places[index].pieces = 0
        return .whole(Whole(record: start..<start + fragment.size, arrival: places[index].arrival))
    }

    /// The place of a unit: its own, one that is free, or the one of this peer that has waited longest if it has its share.
    private mutating func place(of fragment: FragmentRecord, from source: Source, at now: Instant) -> Int? {
        if isTaken(recent, at: now), places[recent].isOf(fragment, source) { return recent }
        var own = 0
        var oldestOwn = 0
        var free: Int?
        for index in places.indices {
            guard isTaken(index, at: now) else {
                free = index
                continue
            }
            guard places[index].peer == source.peer else { continue }
            if places[index].isOf(fragment, source) { return index }
            if own == 0 || places[index].touchedAt < places[oldestOwn].touchedAt { oldestOwn = index }
            own += 1
        }
        guard let index = own >= Self.mostOfPeer ? oldestOwn : free else { return nil }
        if places[index].pieces != 0 { abandoned &+= 1 }
        places[index] = Place(
            peer: source.peer, lane: source.lane, first: fragment.first(of: source.counter), number: fragment.number,
            size: fragment.size,
            count: fragment.count, touchedAt: now)
        return index
    }

    private func isTaken(_ index: Int, at now: Instant) -> Bool {
        places[index].pieces != 0 && now - places[index].touchedAt <= Self.lifetime
    }
}

extension FragmentRecord {
    /// The counter of the first piece of its unit, if its own message has this one.
    fileprivate func first(of counter: UInt64) -> UInt64 { counter &- UInt64(index) }
}
