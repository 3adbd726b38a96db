import BasicContainers

/// Units that arrive in fragments (docs/protocol.md §3.5), in a fixed number of places: what never completes makes room for
/// what comes later.
struct Reassembly: ~Copyable {
    private struct Place {
        var session: SessionIndex = 0
        var number: UInt16 = 0
        var size = 0
        var count = 0
        /// Which pieces are there; 0: nothing is.
        var pieces: UInt64 = 0
        var startedAt = Instant.distantPast
        /// One of the pieces met congestion.
        var isMarked = false
        /// What the datagrams of the pieces had.
        var wire = 0
    }

    /// A unit that is complete: where its record is, good until the next fragment.
    struct Whole {
        let record: Range<Int>
        let isMarked: Bool
        let wire: Int
    }

    private static let capacity = 16
    /// Of which one session may have so many.
    private static let mostOfSession = 4
    private static let slotSize = 65_536
    /// An incomplete unit is forgotten after this time.
    private static let lifetime = Interval.seconds(1)

    private var arena = Arena(capacity: capacity * slotSize)
    private var places = InlineArray<16, Place>(repeating: Place())

    init() {}

    /// The bytes of a complete unit.
    @_lifetime(borrow self)
    func bytes(_ record: Range<Int>) -> RawSpan { arena.bytes(record) }

    /// Adds a piece of a session's unit; the unit if that completes it. `isRefused` is set if the piece was there already or
    /// contradicts the others.
    mutating func append(
        _ fragment: FragmentRecord, _ piece: RawSpan, of session: SessionIndex, isMarked: Bool, wire: Int,
        at now: Instant,
        _ isRefused: inout Bool
    ) -> Whole? {
        let index = place(of: fragment, session, at: now)
        let bit: UInt64 = 1 << UInt64(fragment.index)
        guard places[index].size == fragment.size, places[index].count == fragment.count,
            places[index].pieces & bit == 0
        else {
            isRefused = true
            return nil
        }
        let start = index * Self.slotSize
        var space = arena[start..<start + fragment.size]
        space.copy(piece, to: fragment.range.lowerBound)
        places[index].pieces |= bit
        places[index].isMarked = places[index].isMarked || isMarked
        places[index].wire += wire
        guard places[index].pieces.nonzeroBitCount == fragment.count else { return nil }
        defer { places[index].pieces = 0 }
        return Whole(
            record: start..<start + fragment.size, isMarked: places[index].isMarked, wire: places[index].wire)
    }

    /// The place of a unit: its own, or one that is free now.
    private mutating func place(of fragment: FragmentRecord, _ session: SessionIndex, at now: Instant) -> Int {
        var own = 0
        var oldestOwn = 0
        var oldest = 0
        for index in places.indices {
            let place = places[index]
            let isOld = place.pieces == 0 || now - place.startedAt > Self.lifetime
            if !isOld, place.session == session {
                if place.number == fragment.number { return index }
                if own == 0 || place.startedAt < places[oldestOwn].startedAt { oldestOwn = index }
                own += 1
            }
            if isOld { places[index].startedAt = .distantPast }
            if places[index].startedAt < places[oldest].startedAt { oldest = index }
        }
        let index = own >= Self.mostOfSession ? oldestOwn : oldest
        places[index] = Place(
            session: session, number: fragment.number, size: fragment.size, count: fragment.count, startedAt: now)
        return index
    }
}
