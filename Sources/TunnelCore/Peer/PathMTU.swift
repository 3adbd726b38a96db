/// The search for the largest datagram that gets to a peer in one piece, by padded PINGs (RFC 8899) and by ICMP that shows what it
/// is about. All sizes are those of the IP packet outside.
///
///     disabled ─▶ base ─▶ searching ─▶ complete ─▶ searching …
///                   ╰──────▶ error ◂──────╯
///
/// It sends rounds: one or two sizes, and a small PING behind them. When that one is answered and a size is not, this size did not
/// get there. A size has failed when it did so in two rounds in a row. While nothing has been answered, nothing is known.
struct PathMTU {
    typealias Phase = PathPhase
    typealias Source = PathSource

    /// What is known when it goes on: the time, how long a way there and back takes, the next tokens, and the bytes that were ever sent.
    struct Moment {
        let now: Instant
        let roundTrip: Interval?
        let token: UInt64
        let sent: UInt64
    }

    /// Messages after which what quotes one is no more believed.
    static let memory: UInt64 = 1 << 20
    /// A round that nothing answers is made again after this time, three times; then there is silence, twice as long each time.
    private static let patience = Interval.milliseconds(250)
    private static let attempts = 3
    private static let silence = (first: Interval.seconds(1), longest: Interval.seconds(60))
    /// Rounds of one search at most, and the least time between two.
    private static let mostRounds = 24
    static let gap = Interval.milliseconds(10)
    /// After this time a path that could be larger is searched again (PMTU_RAISE_TIMER is 600 s).
    static let raiseAfter = Interval.seconds(300)
    /// The same where nothing was answered.
    private static let errorAfter = Interval.seconds(30)
    /// Large datagrams of which nothing shows that they arrive are looked after when the peer has said nothing for so long, or in any case after the other.
    static let quiet = Interval.milliseconds(200)
    private static let unproved = (soon: Interval.milliseconds(350), late: Interval.seconds(1))
    /// Sooner only if that costs less than this part of what is sent.
    private static let cheap: UInt64 = 64
    /// Rounds in a row in which a size must be lost, to have failed: on a path that loses, one or two may be chance.
    private static let strikes = 3

    var phase = Phase.disabled
    var source = Source.assumed
    var sizes = PathSizes()
    private var struck = (size: 0, times: 0)
    private var rounds = 0
    /// A size that was in use, or was the interface's, was lost without a word.
    private var wasSilent = false
    var told = 0

    /// The round that is under way, or was the last.
    var round = PathRound()
    private var unanswered = 0
    private var restUntil = Instant.distantPast
    var isVerifying = false

    // The watch.
    /// When a large datagram was first sent of which nothing shows that it arrived.
    private var unprovedSince: Instant?
    private var heardAt = Instant.distantPast
    var raiseAt = Instant.distantFuture
    private var hasData = false

    /// ICMP errors that were ignored.
    var ignored: UInt64 = 0
    /// How often large datagrams vanished without a word.
    private(set) var blackHoles: UInt64 = 0
    var limit = PathLimit()
    var news: PathNews?

    init() {}

    // MARK: What holds

    /// What there is to tell of it; `nil`: nothing.
    var statistics: PathStatistics? {
        guard sizes.ceiling > 0 else { return nil }
        return PathStatistics(
            mtu: sizes.known, source: sizes.value > 0 ? source : .assumed, phase: phase, blackHoles: blackHoles,
            ignored: ignored)
    }

    mutating func update() { limit = sizes.limit }

    // MARK: Begin

    /// A path, or another MTU of the interface that it begins with: nothing is known of what lies behind.
    mutating func begin(ceiling: Int, route: Int, isV4: Bool) {
        let new = PathSizes(ceiling: ceiling, route: route, isV4: isV4)
        guard !new.begins(like: sizes) else { return }
        let (ignored, blackHoles, told, heardAt) = (self.ignored, self.blackHoles, self.told, self.heardAt)
        self = PathMTU()
        (self.ignored, self.blackHoles, self.told, self.heardAt) = (ignored, blackHoles, told, heardAt)
        sizes = new
        update()
    }

    /// Another path: the interface that it begins with is to be asked for.
    mutating func forget() {
        let (ignored, blackHoles) = (self.ignored, self.blackHoles)
        self = PathMTU()
        (self.ignored, self.blackHoles) = (ignored, blackHoles)
    }

    // MARK: The watch

    /// Whether data of so many bytes is of interest now.
    @inline(__always)
    func isInteresting(_ size: Int) -> Bool { size > watched }

    /// Data above this is; it is less while the search has not begun.
    private(set) var watched = 0

    mutating func setWatch() {
        switch phase {
        case .disabled, .base, .searching, .error: watched = round.isOpen || hasData ? .max : 0
        case .complete: watched = unprovedSince == nil ? PathSizes.base - 48 : .max
        }
    }

    /// Nobody can be asked: data is of no interest until `wake`.
    mutating func sleep() { watched = .max }

    /// Somebody can be asked now.
    mutating func wake() { setWatch() }

    /// Notes that data was sent that is of interest; when to look at it.
    mutating func noteData(at now: Instant) -> Instant? {
        defer { setWatch() }
        hasData = true
        guard sizes.ceiling > 0 else { return nil }
        switch phase {
        case .disabled:
            phase = .base
            return max(now, restUntil)
        case .base, .searching: return round.isOpen ? nil : max(now, restUntil)
        case .error: return max(raiseAt, now)
        case .complete:
            unprovedSince = now
            return min(now + Self.quiet, max(raiseAt, now))
        }
    }

    /// Anything authentic came.
    @inline(__always)
    mutating func noteHeard(at now: Instant) { heardAt = now }

    /// Takes what arrived at the peer between two of its reports, of so many that were sent. When datagrams of all sizes together are larger
    /// than a small one, one of them was large. When to look at it, if that is at once.
    mutating func noteArrived(_ arrived: Double, of expected: Double, bytes: Double, at now: Instant) -> Instant? {
        guard phase == .complete, arrived > 0 else { return nil }
        let large = max(PathSizes.base, sizes.value / 8 * 7) - sizes.headers
        if bytes > arrived * Double(large) {
            prove()
            return nil
        }
        guard arrived < expected, unprovedSince != nil, !round.isOpen, now - round.askedAt > Self.quiet else {
            return nil
        }
        isVerifying = true
        return now
    }

    private mutating func prove() {
        unprovedSince = nil
        if isVerifying, !round.isOpen { isVerifying = false }
        setWatch()
    }

    // MARK: Rounds

    /// Goes on: what is to be asked now, or when to come again; neither if nothing is to be done before more data is sent.
    mutating func advance(_ moment: Moment) -> (PathRound?, Instant?) {
        let (now, roundTrip) = (moment.now, moment.roundTrip)
        defer {
            update()
            setWatch()
        }
        guard sizes.ceiling > 0, phase != .disabled else { return (nil, nil) }
        if round.isOpen {
            let end = round.smallAt.map { $0 + Self.gap } ?? round.askedAt + patience(roundTrip)
            guard now >= end else { return (nil, end) }
            if round.smallAt != nil { endRound() } else { endUnanswered(at: now) }
            if restUntil > now { return (nil, nil) }
        }
        guard now >= restUntil else { return (nil, hasData ? restUntil : nil) }
        switch phase {
        case .disabled: return (nil, nil)
        case .base, .searching:
            guard let next = sizes.candidates(), rounds < Self.mostRounds else {
                complete(at: now)
                return (nil, nil)
            }
            rounds += 1
            return (ask(next, moment), now + patience(roundTrip))
        case .complete, .error:
            if now >= raiseAt {
                guard hasData else { return (nil, nil) }
                raise()
                return advance(moment)
            }
            guard phase == .complete else { return (nil, hasData ? raiseAt : nil) }
            return verify(moment)
        }
    }

    private mutating func verify(_ moment: Moment) -> (PathRound?, Instant?) {
        let (now, roundTrip) = (moment.now, moment.roundTrip)
        if !isVerifying {
            guard let since = unprovedSince else { return (nil, nil) }
            let trip = roundTrip ?? Interval(nanoseconds: 0)
            let quietSince = max(since, heardAt) + Self.quiet + trip
            let isCheap = moment.sent &- round.sentBefore >= UInt64(sizes.value) * Self.cheap
            let due = min(quietSince, since + (isCheap ? Self.unproved.soon : Self.unproved.late) + trip)
            guard now >= due else { return (nil, min(due, now + Self.quiet, raiseAt)) }
            isVerifying = true
        }
        return (ask((max(sizes.confirmed, sizes.floor), 0), moment), now + patience(roundTrip))
    }

    private mutating func ask(_ sizes: (Int, Int), _ moment: Moment) -> PathRound {
        round = PathRound(of: sizes, token: moment.token, sent: moment.sent, at: moment.now)
        hasData = false
        return round
    }

    private func patience(_ roundTrip: Interval?) -> Interval {
        max(Self.patience, roundTrip.map { $0 * 3 } ?? Self.patience)
    }

    /// Takes an answer; when to go on, if it is one of ours.
    mutating func take(answer: UInt64, at now: Instant) -> Instant? {
        guard round.take(answer: answer, at: now) else { return nil }
        defer {
            update()
            setWatch()
        }
        unanswered = 0
        if round.answered > 0 { confirm(round.answered) }
        guard round.isAnswered else { return round.smallAt.map { $0 + Self.gap } }
        endRound()
        return now
    }

    private mutating func confirm(_ size: Int) {
        unprovedSince = nil
        guard size > sizes.confirmed else { return }
        sizes.confirmed = size
        if sizes.failed <= size { sizes.failed = .max }
        source = size == sizes.hint ? .icmp : .probed
        if phase == .base || phase == .error { phase = .searching }
    }

    /// What was behind the sizes is there, or all of them are.
    private mutating func endRound() {
        round.close()
        let lost = round.lost
        guard lost > 0 else {
            struck = (0, 0)
            isVerifying = false
            return
        }
        struck = (lost, struck.size == lost ? struck.times + 1 : 1)
        guard struck.times >= Self.strikes else { return }
        struck = (0, 0)
        fail(lost)
    }

    /// A size does not get there.
    private mutating func fail(_ size: Int) {
        sizes.failed = min(sizes.failed, size)
        if size != sizes.hint + 1 { wasSilent = true }
        guard sizes.confirmed >= size || isVerifying else { return }
        // The path has become smaller, and nobody said so.
        isVerifying = false
        blackHoles &+= 1
        lower(below: size)
    }

    mutating func lower(below size: Int) {
        sizes.confirmed = 0
        sizes.failed = size
        rounds = 0
        phase = .searching
        unprovedSince = nil
        round.close()
        isVerifying = false
    }

    private mutating func endUnanswered(at now: Instant) {
        round.close()
        unanswered += 1
        guard unanswered >= Self.attempts else { return }
        // Nothing comes at all: that says nothing of sizes.
        let times = min(unanswered - Self.attempts, 6)
        restUntil = now + min(Self.silence.first * (1 << times), Self.silence.longest)
        isVerifying = false
        unprovedSince = nil
    }

    // MARK: The search

    private mutating func complete(at now: Instant) {
        phase = sizes.confirmed > 0 ? .complete : .error
        rounds = 0
        struck = (0, 0)
        isVerifying = false
        unprovedSince = nil
        hasData = false
        let wait = phase == .complete ? Self.raiseAfter : Self.errorAfter
        raiseAt = sizes.value < sizes.ceiling ? now + wait : .distantFuture
        update()
        guard sizes.value != told, sizes.confirmed > 0, told > 0 || sizes.value < sizes.ceiling else { return }
        news = PathNews(
            mtu: sizes.value, source: source, isSilent: wasSilent && sizes.value < sizes.ceiling && source != .icmp)
        told = sizes.value
        wasSilent = false
    }

    private mutating func raise() {
        phase = sizes.confirmed > 0 ? .searching : .base
        sizes.failed = .max
        sizes.hint = 0
        struck = (0, 0)
        raiseAt = .distantFuture
        wasSilent = true
    }
}

// What a new process takes over: what was found. A search that was under way begins anew from there.
extension PathMTU {
    func write(to state: inout StateWriter) {
        sizes.write(to: &state)
        state.put(phase == .complete)
        state.put(source == .icmp)
        state.put(UInt16(clamping: told))
        state.put(raiseAt)
        state.put(ignored)
        state.put(blackHoles)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        self.init()
        sizes = try PathSizes(&state)
        let isComplete = try state.bool()
        let isToldByICMP = try state.bool()
        told = Int(try state.number(UInt16.self))
        let raiseAt = try state.instant()
        ignored = try state.number()
        blackHoles = try state.number()
        if sizes.confirmed > 0 {
            source = isToldByICMP ? .icmp : .probed
            phase = isComplete ? .complete : .searching
            if isComplete { self.raiseAt = raiseAt }
        }
        update()
        setWatch()
    }
}
