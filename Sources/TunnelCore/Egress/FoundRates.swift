/// The rates of peers that are found (`Rate = auto`), and when what was sent to them left.
///
/// Few peers have one: they know their place here.
struct FoundRates: ~Copyable {
    private struct Line {
        var search: RateSearch
        var departures: DepartureLog
        /// The lane of the last word.
        var lane: ReceiverIndex?
        var isAES = false
        /// Nothing was ever heard of what is sent, and that was said.
        var isTold = false
        var next: Int32 = -1

        init(_ bounds: ClosedRange<UInt64>) {
            search = RateSearch(bounds)
            departures = DepartureLog(for: bounds.upperBound)
        }
    }

    private var lines = ContiguousArray<Line>()
    private var free: Int32 = -1

    /// Whether a peer says nothing of what arrives, though it should.
    enum Silence {
        /// It does, and that was not known before.
        case begins
        case goesOn
        case none
    }

    init() {}

    /// A place for a peer.
    mutating func add(_ bounds: ClosedRange<UInt64>) -> Int32 {
        let line = Line(bounds)
        guard free >= 0 else {
            lines.append(line)
            return Int32(lines.count - 1)
        }
        let place = free
        free = lines[Int(place)].next
        lines[Int(place)] = line
        return place
    }

    /// Gives a place back.
    mutating func remove(_ place: Int32) {
        lines[Int(place)].departures = DepartureLog(for: 0)
        lines[Int(place)].next = free
        free = place
    }

    /// Looks between other bounds.
    mutating func setBounds(_ bounds: ClosedRange<UInt64>, of place: Int32) {
        guard lines[Int(place)].search.bounds != bounds else { return }
        lines[Int(place)].search = lines[Int(place)].search.within(bounds)
        lines[Int(place)].departures = DepartureLog(for: bounds.upperBound)
        lines[Int(place)].lane = nil
    }

    /// The path is another one, of which nothing is known.
    mutating func forget(_ place: Int32) {
        lines[Int(place)].search = RateSearch(lines[Int(place)].search.bounds)
        lines[Int(place)].lane = nil
    }

    /// Goes on with what was found before.
    mutating func resume(_ place: Int32, at rate: UInt64) { lines[Int(place)].search.resume(at: rate) }

    /// Bits a second, and between which bounds.
    func rate(_ place: Int32) -> UInt64 { lines[Int(place)].search.rate }
    func bounds(_ place: Int32) -> ClosedRange<UInt64> { lines[Int(place)].search.bounds }

    /// The rate that would hold if something were sent now.
    func rate(_ place: Int32, sent: UInt64, at now: Instant) -> UInt64 {
        var search = lines[Int(place)].search
        search.age(sent: sent, at: now)
        return search.rate
    }

    /// Whether the peer has not said anything of what arrives, though it should have.
    func isUnheard(_ place: Int32) -> Bool { lines[Int(place)].isTold }

    // MARK: What is sent

    /// Notes that a datagram of a lane leaves.
    @inline(__always)
    mutating func noteDeparture(of counter: UInt64, on lane: ReceiverIndex, _ place: Int32, at now: Instant) {
        lines[Int(place)].departures.note(counter, on: lane, at: now)
    }

    /// Lets a rate age before something is sent, `sent` being all bytes on the wire so far.
    mutating func age(_ place: Int32, sent: UInt64, at now: Instant) -> Silence {
        lines[Int(place)].search.age(sent: sent, at: now)
        guard lines[Int(place)].search.heardAt == .distantPast else { return .none }
        if lines[Int(place)].isTold { return .goesOn }
        guard sent > 512 * 1024, lines[Int(place)].search.isUnheard(sent) else { return .none }
        lines[Int(place)].isTold = true
        return .begins
    }

    // MARK: What arrives

    /// Takes the peer's word of what has arrived on the lane that is sent on. Its highest counter came `age` before the word was written,
    /// its clock being that of the former.
    mutating func take(
        _ report: ReportRecord, age: Interval, _ context: Context, of place: Int32, at now: Instant
    ) {
        let line = Int(place)
        if lines[line].lane != context.index || lines[line].isAES != report.isAES {
            lines[line].lane = context.index
            lines[line].isAES = report.isAES
            lines[line].search.beginLane()
        }
        lines[line].isTold = false
        let left = context.lane.flatMap { lines[line].departures.departure(of: report.highest, on: $0) }
        let highestAt = Int64(truncatingIfNeeded: report.clock &* 1000)
        let word = RateSearch.Word(
            datagrams: report.datagrams,
            bytes: report.bytes &+ report.datagrams &* UInt64(Transport.outerHeaders + context.overhead),
            highest: report.highest, clock: report.clock &+ UInt64(age.nanoseconds / 1000),
            delay: left.map { Interval(nanoseconds: highestAt &- $0.nanoseconds) })
        lines[line].search.take(word, sent: context.sent, roundTrip: context.roundTrip, at: now)
    }

    /// What a word is about.
    struct Context {
        /// The session at this end, and the lane at the other that is sent on.
        let index: ReceiverIndex?
        let lane: ReceiverIndex?
        /// Bytes on the wire that were sent so far, and what each datagram takes besides itself and its headers.
        let sent: UInt64
        let overhead: Int
        let roundTrip: Interval?
    }
}
