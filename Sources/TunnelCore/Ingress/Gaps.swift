/// The counters of a lane that have not come: when they are to be asked for, again, and given up.
///
/// A counter that is jumped over may only be late. It is asked for after the time that late ones have needed on this path, then again
/// after 1.25 round trips, three times in all.
struct Gaps {
    /// How many counters became what.
    struct Counts {
        /// Asked for, or given back by parity: the path has lost them, or they were very late.
        var lost: UInt64 = 0
        /// Came after they had been asked for.
        var repaired: UInt64 = 0
        /// Asked for in vain, or gone, said the peer.
        var givenUp: UInt64 = 0
        /// Runs of counters that were lost one behind the other.
        var runs: UInt64 = 0
        /// Given back by parity, without having been asked for: they are among those that were lost.
        var rebuilt: UInt64 = 0
    }

    /// What a counter that came was.
    enum Arrival: Equatable {
        /// None was missed with it.
        case next
        /// Those between it and the highest before are missing.
        case ahead
        /// It was missing, and had not been asked for yet.
        case late
        /// It was missing and had been asked for.
        case repaired
        /// Nobody waited for it.
        case other
    }

    private struct Missing {
        var counters: Range<UInt64>
        let since: Instant
        var dueAt: Instant
        var askedAt = Instant.distantPast
        var asks = 0
        /// It is one of the runs that were counted.
        var isCounted = false

        /// Counts it as lost, unless it was, as far as `counters` of it are.
        mutating func count(_ lost: UInt64, in counts: inout Counts) {
            counts.lost += lost
            if !isCounted { counts.runs += 1 }
            isCounted = true
        }
    }

    /// Ranges that are waited for at most, and counters in one.
    private static let mostRanges = 128
    private static let longest: UInt64 = 4096
    static let mostAsks = 3
    /// The same where units wait, which can't be decoded without.
    static let mostAsksForUnits = 8
    private static let mostBeside = 8
    private static let leastTolerance = Interval.milliseconds(2)
    /// Parity that has not come for so long comes no more.
    private static let parityMemory = Interval.seconds(1)
    private static let unknownTrip = Interval.milliseconds(100)

    /// The lane that this is about, and the index by which we know it: a slot is given to other sessions.
    private(set) var lane: LaneSlot?
    private(set) var index: ReceiverIndex?
    private(set) var highest: UInt64 = 0
    private(set) var highestAt = Instant.distantPast
    private(set) var counts = Counts()
    /// When something was missing last, and when something came that had been asked for.
    private(set) var missedAt = Instant.distantPast
    private(set) var repairedAt = Instant.distantPast
    /// How often in a row the peer has said that something will not come, and has not sent anything again since.
    private(set) var abandons = 0
    /// Ascending.
    private var missing = ContiguousArray<Missing>()
    /// Counters above the highest of records that went beside data, ascending.
    private var beside = InlineArray<8, UInt64>(repeating: 0)
    private var besideCount = 0
    /// How late late ones come.
    private var lateness = Interval(nanoseconds: 0)
    /// What parity takes to come behind what it is of, while it comes.
    private var grace = Interval(nanoseconds: 0)
    private var graceEnds = Instant.distantPast
    /// From an ask to the answer, smoothed, and how much it varies (RFC 6298 §2); `nil` until there was one.
    private var trip: Interval?
    private var variation = Interval(nanoseconds: 0)

    init() {}

    /// The lowest counter that is waited for; `nil`: none is.
    var lowest: UInt64? { missing.first?.counters.lowerBound }

    /// When `ask` wants to be called.
    var nextDue: Instant? { missing.isEmpty ? nil : missing.lazy.map(\.dueAt).min() }

    /// Counts from zero.
    mutating func forgetCounts() { counts = Counts() }

    /// Begins with another lane; nothing is waited for any more.
    mutating func begin(_ lane: LaneSlot?, _ index: ReceiverIndex? = nil) {
        self.lane = lane
        self.index = index
        counts.givenUp += pending
        missing.removeAll(keepingCapacity: true)
        besideCount = 0
        highestAt = .distantPast
    }

    /// Counters that were asked for and have not come.
    private var pending: UInt64 {
        missing.reduce(0) { $0 + ($1.asks > 0 ? $1.counters.upperBound - $1.counters.lowerBound : 0) }
    }

    /// Notes a counter that has come for the first time. `roundTrip` is what is known of the path.
    @inline(__always)
    mutating func note(_ counter: UInt64, at now: Instant, roundTrip: Interval?) -> Arrival {
        if counter == highest &+ 1 || highestAt == .distantPast {
            highest = counter
            highestAt = now
            return .next
        }
        return noteOther(counter, at: now, roundTrip: roundTrip)
    }

    /// Notes a counter that has come where nothing is asked for: what is missed then stays missed.
    @inline(__always)
    mutating func pass(_ counter: UInt64, at now: Instant) {
        guard counter > highest || highestAt == .distantPast else { return }
        highest = counter
        highestAt = now
        if !missing.isEmpty { giveUpAll() }
    }

    @inline(never)
    private mutating func giveUpAll() {
        counts.givenUp += pending
        missing.removeAll(keepingCapacity: true)
        besideCount = 0
    }

    private mutating func note(answerAfter sample: Interval) {
        guard let old = trip else {
            trip = sample
            return
        }
        let off = sample.nanoseconds - old.nanoseconds
        trip = Interval(nanoseconds: old.nanoseconds + off / 8)
        variation = Interval(nanoseconds: variation.nanoseconds + (abs(off) - variation.nanoseconds) / 4)
    }

    /// Waits for counters that were jumped over, but for those that came beside; false if all did.
    private mutating func miss(_ jumped: Range<UInt64>, dueAt: Instant, at now: Instant) -> Bool {
        var start = jumped.lowerBound
        var isMissed = false
        for index in 0...besideCount {
            let end = index < besideCount ? min(beside[index], jumped.upperBound) : jumped.upperBound
            if start < end {
                if missing.count == Self.mostRanges { giveUp(at: 0) }
                missing.append(Missing(counters: start..<end, since: now, dueAt: dueAt))
                isMissed = true
            }
            start = max(start, end + 1)
        }
        var left = 0
        for index in 0..<besideCount where beside[index] >= jumped.upperBound {
            beside[left] = beside[index]
            left += 1
        }
        besideCount = left
        if isMissed { missedAt = now }
        return isMissed
    }

    @inline(never)
    private mutating func noteOther(_ counter: UInt64, at now: Instant, roundTrip: Interval?) -> Arrival {
        guard counter < highest else {
            guard counter > highest else { return .other }
            let jumped = highest + 1..<counter
            highest = counter
            highestAt = now
            guard counter - jumped.lowerBound <= Self.longest else {
                // The path was away: what it took with it is TCP's business.
                missedAt = now
                besideCount = 0
                return .other
            }
            return miss(jumped, dueAt: now + tolerance(roundTrip, at: now), at: now) ? .ahead : .next
        }
        guard let index = missing.lastIndex(where: { $0.counters.contains(counter) }) else { return .other }
        let found = missing[index]
        remove(counter, at: index)
        guard found.asks > 0 else {
            lateness = max(lateness, now - found.since)
            return .late
        }
        let sample = now - found.askedAt
        if let known = self.trip ?? roundTrip, found.asks == 1, sample.nanoseconds < known.nanoseconds * 3 / 4 {
            // Too soon for an answer: it was only late.
            counts.lost -= 1
            lateness = max(lateness, now - found.since)
            return .late
        }
        counts.repaired += 1
        noteRepaired(at: now)
        if found.asks == 1 { note(answerAfter: sample) }
        return .repaired
    }

    private mutating func noteRepaired(at now: Instant) {
        repairedAt = now
        abandons = 0
    }

    /// Notes that parity has given back a counter.
    mutating func noteRebuilt(_ counter: UInt64, at now: Instant) {
        guard let index = missing.lastIndex(where: { $0.counters.contains(counter) }) else { return }
        if missing[index].asks == 0 { missing[index].count(1, in: &counts) }
        counts.rebuilt += 1
        noteRepaired(at: now)
        remove(counter, at: index)
    }

    /// Notes that parity came, so long after the first datagram of its block.
    mutating func noteParity(after age: Interval?, at now: Instant) {
        graceEnds = now + Self.parityMemory
        guard let age else { return }
        grace = Interval(nanoseconds: max(age.nanoseconds, grace.nanoseconds - grace.nanoseconds / 128))
    }

    /// Lets what is missing of some counters be asked for as if there were no parity.
    mutating func askAtOnce(for counters: Range<UInt64>, roundTrip: Interval?, at now: Instant) {
        graceEnds = .distantPast
        let tolerance = tolerance(roundTrip, at: now)
        for index in missing.indices where missing[index].asks == 0 && missing[index].counters.overlaps(counters) {
            missing[index].dueAt = min(missing[index].dueAt, max(missing[index].since + tolerance, now))
        }
        graceEnds = now + Self.parityMemory
    }

    /// Notes the counter of a record that does not wait where data does: it tells nothing of what is before it.
    @inline(__always)
    mutating func noteBeside(_ counter: UInt64, at now: Instant, roundTrip: Interval?) -> Arrival {
        guard counter > highest &+ 1, highestAt != .distantPast, besideCount < Self.mostBeside,
            besideCount == 0 || beside[besideCount - 1] < counter
        else { return note(counter, at: now, roundTrip: roundTrip) }
        beside[besideCount] = counter
        besideCount += 1
        return .other
    }

    private mutating func remove(_ counter: UInt64, at index: Int) {
        let range = missing[index].counters
        let below = range.lowerBound..<counter
        let above = counter + 1..<range.upperBound
        switch (below.isEmpty, above.isEmpty) {
        case (true, true): missing.remove(at: index)
        case (true, false): missing[index].counters = above
        case (false, true): missing[index].counters = below
        case (false, false):
            guard missing.count < Self.mostRanges else {
                missing[index].counters = above
                return
            }
            var upper = missing[index]
            upper.counters = above
            missing[index].counters = below
            missing.insert(upper, at: index + 1)
        }
    }

    private mutating func giveUp(at index: Int) {
        let range = missing[index].counters
        if missing[index].asks > 0 { counts.givenUp += range.upperBound - range.lowerBound }
        missing.remove(at: index)
    }

    /// How long a counter may be late before it is asked for.
    private func tolerance(_ roundTrip: Interval?, at now: Instant) -> Interval {
        let trip = (self.trip ?? roundTrip ?? Self.unknownTrip).nanoseconds
        // Parity that takes longer than to ask is not worth the wait.
        let parity = now < graceEnds ? min(grace.nanoseconds * 5 / 4 + 1_000_000, trip) : 0
        let usual = max(Self.leastTolerance.nanoseconds, trip / 8, parity)
        // What is later than a round trip is asked for in vain now and then.
        return Interval(nanoseconds: max(usual, min(lateness.nanoseconds + lateness.nanoseconds / 2, trip + trip / 4)))
    }

    /// Takes what is to be asked for now, and gives up what was asked for so many times.
    mutating func ask(at now: Instant, roundTrip: Interval?, mostAsks: Int = Gaps.mostAsks) -> CounterRanges {
        var ranges = CounterRanges(below: highest)
        let trip = (self.trip ?? roundTrip ?? Self.unknownTrip).nanoseconds
        let margin = max(trip / 4, 4 * variation.nanoseconds, Self.leastTolerance.nanoseconds)
        let again = now + Interval(nanoseconds: trip + min(margin, trip))
        var index = missing.count - 1
        while index >= 0, !ranges.isFull {
            if missing[index].dueAt <= now {
                let range = missing[index].counters
                if missing[index].asks >= mostAsks {
                    giveUp(at: index)
                } else if ranges.append(range) {
                    if missing[index].asks == 0 {
                        missing[index].count(range.upperBound - range.lowerBound, in: &counts)
                    }
                    missing[index].asks += 1
                    missing[index].askedAt = now
                    missing[index].dueAt = again
                } else {
                    giveUp(at: index)
                }
            }
            index -= 1
        }
        // Late ones become rarer, or the path is another one.
        lateness = Interval(nanoseconds: lateness.nanoseconds - lateness.nanoseconds / 256)
        return ranges
    }

    /// Notes that the peer sends these no more.
    mutating func abandon(_ gone: CounterRanges) {
        let before = counts.givenUp
        for index in 0..<gone.count { abandon(gone[index]) }
        if counts.givenUp > before { abandons += 1 }
    }

    private mutating func abandon(_ range: Range<UInt64>) {
        var index = missing.count - 1
        while index >= 0, missing[index].counters.upperBound > range.lowerBound {
            let found = missing[index].counters
            if found.lowerBound >= range.lowerBound, found.upperBound <= range.upperBound {
                giveUp(at: index)
            } else if found.overlaps(range) {
                for counter in found.clamped(to: range) {
                    if missing[index].asks > 0 { counts.givenUp += 1 }
                    guard let place = missing.firstIndex(where: { $0.counters.contains(counter) }) else { continue }
                    remove(counter, at: place)
                }
            }
            index = min(index, missing.count) - 1
        }
    }
}

// What a new process takes over: what was counted, which the peer goes by; nothing is waited for any more.
extension Gaps {
    func write(to state: inout StateWriter) {
        for count in [counts.lost, counts.repaired, counts.givenUp + pending, counts.runs, counts.rebuilt] {
            state.put(count)
        }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        counts.lost = try state.number()
        counts.repaired = try state.number()
        counts.givenUp = try state.number()
        counts.runs = try state.number()
        counts.rebuilt = try state.number()
        // They only grow, and others are added to them.
        let most = max(counts.lost, counts.repaired, counts.givenUp, counts.runs, counts.rebuilt)
        guard most < 1 << 62 else { throw .implausible("losses") }
    }
}
