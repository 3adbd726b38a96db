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

    /// What is to be asked: sizes, the larger first, 0 for none; the tokens are consecutive, that of the small PING the third.
    struct Round {
        let sizes: (Int, Int)
        let token: UInt64
    }

    /// What is known when it goes on: the time, how long a way there and back takes, the next tokens, and the bytes that were ever sent.
    struct Moment {
        let now: Instant
        let roundTrip: Interval?
        let token: UInt64
        let sent: UInt64
    }

    /// What every path should take, and every IPv4 path does (RFC 8899 §5.1.2, RFC 8200 §5, RFC 791).
    static let base = 1280
    static let leastV4 = 576
    /// Messages after which what quotes one is no more believed.
    static let memory: UInt64 = 1 << 20
    /// Sizes that networks have, between which none is looked for.
    private static let usual = [
        576, 768, 1006, 1152, 1280, 1300, 1320, 1340, 1360, 1380, 1400, 1420, 1436, 1440, 1452, 1460, 1472, 1480, 1488,
        1492,
        1500, 1600, 2000, 2304, 3000, 4000, 4352, 5000, 6000, 7000, 8000, 8500, 8900, 8946, 9000, 12_000, 16_000,
        24_000,
        32_000, 48_000, 64_000,
    ]
    /// A round that nothing answers is made again after this time, three times; then there is silence, twice as long each time.
    private static let patience = Interval.milliseconds(250)
    private static let attempts = 3
    private static let silence = (first: Interval.seconds(1), longest: Interval.seconds(60))
    /// Rounds of one search at most, and the least time between two.
    private static let mostRounds = 24
    private static let gap = Interval.milliseconds(10)
    /// After this time a path that could be larger is searched again (PMTU_RAISE_TIMER is 600 s).
    private static let raiseAfter = Interval.seconds(300)
    /// The same where nothing was answered.
    private static let errorAfter = Interval.seconds(30)
    /// Large datagrams of which nothing shows that they arrive are looked after when the peer has said nothing for so long, or in any case after the other.
    private static let quiet = Interval.milliseconds(200)
    private static let unproved = (soon: Interval.milliseconds(350), late: Interval.seconds(1))
    /// Sooner only if that costs less than this part of what is sent.
    private static let cheap: UInt64 = 64
    /// Rounds in a row in which a size must be lost, to have failed; one that was known to pass more often, since it may be chance.
    private static let strikes = (first: 2, known: 3)

    private(set) var phase = Phase.disabled
    private(set) var source = Source.assumed
    /// The MTU of our own interface on the way; 0: not known.
    private(set) var ceiling = 0
    /// What the route is said to take, which holds until the path was asked.
    private var route = 0
    private var isV4 = true
    /// The largest size that was answered, and the smallest that failed.
    private var confirmed = 0
    private var failed = Int.max
    /// What ICMP said.
    private var hint = 0
    private var struck = (size: 0, times: 0)
    private var rounds = 0
    /// A size that was in use, or was the interface's, was lost without a word.
    private var wasSilent = false
    private var told = 0

    // The round that is under way.
    private var sizes = (0, 0)
    private var token: UInt64 = 0
    private var sentBefore: UInt64 = 0
    private var answered = 0
    private(set) var isAsking = false
    private var askedAt = Instant.distantPast
    /// When the small PING was answered: what is larger may be a little later.
    private var smallAt: Instant?
    private var unanswered = 0
    private var restUntil = Instant.distantPast
    private var isVerifying = false

    // The watch.
    /// When a large datagram was first sent of which nothing shows that it arrived.
    private var unprovedSince: Instant?
    private var heardAt = Instant.distantPast
    private var raiseAt = Instant.distantFuture
    private var hasData = false

    /// ICMP errors that were ignored.
    private(set) var ignored: UInt64 = 0
    /// How often large datagrams vanished without a word.
    private(set) var blackHoles: UInt64 = 0
    private(set) var limit = PathLimit()
    var news: PathNews?

    init() {}

    // MARK: What holds

    /// The value in use; 0: what the configuration and the route let expect.
    var value: Int {
        if confirmed > 0 { return confirmed }
        guard failed < Int.max else { return 0 }
        if hint > 0, hint == failed - 1 { return hint }
        return failed > Self.base ? min(Self.base, failed - 1) : floor
    }

    /// What there is to tell of it; `nil`: nothing.
    var statistics: PathStatistics? {
        guard ceiling > 0 else { return nil }
        return PathStatistics(
            mtu: value > 0 ? value : route, source: value > 0 ? source : .assumed, phase: phase, blackHoles: blackHoles,
            ignored: ignored)
    }

    private var headers: Int { (isV4 ? IPv4Header.size : IPv6Header.size) + UDPHeader.size }
    private var floor: Int { isV4 ? Self.leastV4 : Self.base }

    /// The payload of a probe of a size.
    func payload(of size: Int) -> Int { size - headers - Transport.overhead }

    private mutating func update() {
        guard ceiling > 0 else { return limit = PathLimit() }
        let value = value
        let known = value > 0 ? value : route
        limit = PathLimit(
            payload: payload(of: known), isFound: value > 0, whole: confirmed > 0 ? confirmed - headers : 0)
    }

    // MARK: Begin

    /// A path, or another MTU of the interface that it begins with: nothing is known of what lies behind.
    mutating func begin(ceiling: Int, route: Int, isV4: Bool) {
        let least = isV4 ? Self.leastV4 : Self.base
        let (ceiling, route) = (min(max(ceiling, least), 65_535), min(max(route, least), 65_535))
        guard ceiling != self.ceiling || route != self.route || isV4 != self.isV4 else { return }
        let (ignored, blackHoles, told, heardAt) = (self.ignored, self.blackHoles, self.told, self.heardAt)
        self = PathMTU()
        (self.ignored, self.blackHoles, self.told, self.heardAt) = (ignored, blackHoles, told, heardAt)
        (self.ceiling, self.route, self.isV4) = (ceiling, route, isV4)
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

    private mutating func setWatch() {
        switch phase {
        case .disabled, .base, .searching, .error: watched = isAsking || hasData ? .max : 0
        case .complete: watched = unprovedSince == nil ? Self.base - 48 : .max
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
        guard ceiling > 0 else { return nil }
        switch phase {
        case .disabled:
            phase = .base
            return max(now, restUntil)
        case .base, .searching: return isAsking ? nil : max(now, restUntil)
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
        let large = max(Self.base, value / 8 * 7) - headers
        if bytes > arrived * Double(large) {
            prove()
            return nil
        }
        guard arrived < expected, unprovedSince != nil, !isAsking, now - askedAt > Self.quiet else { return nil }
        isVerifying = true
        return now
    }

    private mutating func prove() {
        unprovedSince = nil
        if isVerifying, !isAsking { isVerifying = false }
        setWatch()
    }

    // MARK: Rounds

    /// Goes on: what is to be asked now, or when to come again; neither if nothing is to be done before more data is sent.
    mutating func advance(_ moment: Moment) -> (Round?, Instant?) {
        let (now, roundTrip) = (moment.now, moment.roundTrip)
        defer {
            update()
            setWatch()
        }
        guard ceiling > 0, phase != .disabled else { return (nil, nil) }
        if isAsking {
            let end = smallAt.map { $0 + Self.gap } ?? askedAt + patience(roundTrip)
            guard now >= end else { return (nil, end) }
            if smallAt != nil { endRound() } else { endUnanswered(at: now) }
            if restUntil > now { return (nil, nil) }
        }
        guard now >= restUntil else { return (nil, hasData ? restUntil : nil) }
        switch phase {
        case .disabled: return (nil, nil)
        case .base, .searching:
            guard let sizes = candidates(), rounds < Self.mostRounds else {
                complete(at: now)
                return (nil, nil)
            }
            rounds += 1
            return (ask(sizes, moment), now + patience(roundTrip))
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

    private mutating func verify(_ moment: Moment) -> (Round?, Instant?) {
        let (now, roundTrip) = (moment.now, moment.roundTrip)
        if !isVerifying {
            guard let since = unprovedSince else { return (nil, nil) }
            let trip = roundTrip ?? Interval(nanoseconds: 0)
            let quietSince = max(since, heardAt) + Self.quiet + trip
            let isCheap = moment.sent &- sentBefore >= UInt64(value) * Self.cheap
            let due = min(quietSince, since + (isCheap ? Self.unproved.soon : Self.unproved.late) + trip)
            guard now >= due else { return (nil, min(due, now + Self.quiet, raiseAt)) }
            isVerifying = true
        }
        return (ask((max(confirmed, floor), 0), moment), now + patience(roundTrip))
    }

    private mutating func ask(_ sizes: (Int, Int), _ moment: Moment) -> Round {
        self.sizes = sizes
        token = moment.token
        sentBefore = moment.sent
        smallAt = nil
        answered = 0
        isAsking = true
        askedAt = moment.now
        hasData = false
        return Round(sizes: sizes, token: token)
    }

    private func patience(_ roundTrip: Interval?) -> Interval {
        max(Self.patience, roundTrip.map { $0 * 3 } ?? Self.patience)
    }

    /// Takes an answer; when to go on, if it is one of ours.
    mutating func take(answer: UInt64, at now: Instant) -> Instant? {
        let index = answer &- token
        guard isAsking, index < 3 else { return nil }
        defer {
            update()
            setWatch()
        }
        unanswered = 0
        switch index {
        case 0: answered = max(answered, sizes.0)
        case 1: answered = max(answered, sizes.1)
        default: smallAt = smallAt ?? now
        }
        if answered > 0 { confirm(answered) }
        guard answered >= max(sizes.0, sizes.1) else { return smallAt.map { $0 + Self.gap } }
        endRound()
        return now
    }

    private mutating func confirm(_ size: Int) {
        unprovedSince = nil
        guard size > confirmed else { return }
        confirmed = size
        if failed <= size { failed = .max }
        source = size == hint ? .icmp : .probed
        if phase == .base || phase == .error { phase = .searching }
    }

    /// What was behind the sizes is there, or all of them are.
    private mutating func endRound() {
        isAsking = false
        let lost = sizes.1 > answered ? sizes.1 : sizes.0 > answered ? sizes.0 : 0
        guard lost > 0 else {
            struck = (0, 0)
            isVerifying = false
            return
        }
        struck = (lost, struck.size == lost ? struck.times + 1 : 1)
        guard struck.times >= (isVerifying ? Self.strikes.known : Self.strikes.first) else { return }
        struck = (0, 0)
        fail(lost)
    }

    /// A size does not get there.
    private mutating func fail(_ size: Int) {
        failed = min(failed, size)
        if size != hint + 1 { wasSilent = true }
        guard confirmed >= size || isVerifying else { return }
        // The path has become smaller, and nobody said so.
        isVerifying = false
        blackHoles &+= 1
        lower(below: size)
    }

    private mutating func lower(below size: Int) {
        confirmed = 0
        failed = size
        rounds = 0
        phase = .searching
        unprovedSince = nil
        isAsking = false
        isVerifying = false
    }

    private mutating func endUnanswered(at now: Instant) {
        isAsking = false
        unanswered += 1
        guard unanswered >= Self.attempts else { return }
        // Nothing comes at all: that says nothing of sizes.
        let times = min(unanswered - Self.attempts, 6)
        restUntil = now + min(Self.silence.first * (1 << times), Self.silence.longest)
        isVerifying = false
        unprovedSince = nil
    }

    // MARK: The search

    /// The sizes to ask about, the larger first; `nil` if there is nothing left to find.
    private func candidates() -> (Int, Int)? {
        if failed == .max, confirmed < ceiling { return (ceiling, 0) }
        if confirmed == 0, failed > Self.base, hint < Self.base || hint >= failed {
            return failed - 1 > Self.base ? (middle(above: Self.base), Self.base) : (Self.base, 0)
        }
        let upper = min(failed, ceiling + 1)
        let lower = max(confirmed, floor - 1)
        if hint > lower, hint < upper { return (hint, 0) }
        let left = Self.usual.lazy.filter { $0 > lower && $0 < upper }.count
        guard left > 0 else { return nil }
        let first = Self.usual.firstIndex { $0 > lower } ?? 0
        guard left > 1 else { return (Self.usual[first], 0) }
        let one = first + left / 3
        let two = max(first + left * 2 / 3, one + 1)
        return (Self.usual[min(two, first + left - 1)], Self.usual[one])
    }

    private func middle(above lower: Int) -> Int {
        let upper = min(failed, ceiling + 1)
        let between = Self.usual.lazy.filter { $0 > lower && $0 < upper }
        let count = between.count
        return count == 0 ? upper - 1 : between.dropFirst(count / 2).first ?? upper - 1
    }

    private mutating func complete(at now: Instant) {
        phase = confirmed > 0 ? .complete : .error
        rounds = 0
        struck = (0, 0)
        isVerifying = false
        unprovedSince = nil
        hasData = false
        let wait = phase == .complete ? Self.raiseAfter : Self.errorAfter
        raiseAt = value < ceiling ? now + wait : .distantFuture
        update()
        guard value != told, confirmed > 0, told > 0 || value < ceiling else { return }
        news = PathNews(mtu: value, source: source, isSilent: wasSilent && value < ceiling && source != .icmp)
        told = value
        wasSilent = false
    }

    private mutating func raise() {
        phase = confirmed > 0 ? .searching : .base
        failed = .max
        hint = 0
        struck = (0, 0)
        raiseAt = .distantFuture
        wasSilent = true
    }

    // MARK: ICMP

    /// An ICMP error says that a datagram was too big for `mtu`. Whoever sent it has seen one of ours if `isBelievable`; else it is only
    /// worth a question. When to go on.
    mutating func takeTooBig(_ mtu: Int, isBelievable: Bool, at now: Instant) -> Instant? {
        defer {
            update()
            setWatch()
        }
        guard ceiling > 0, mtu >= floor, mtu < ceiling else {
            ignored &+= 1
            return nil
        }
        guard isBelievable else {
            ignored &+= 1
            guard phase == .complete, !isAsking, now - askedAt > Self.quiet else { return nil }
            isVerifying = true
            return now
        }
        hint = mtu
        if confirmed > 0, mtu >= confirmed {
            // About a question of ours: there is less to find.
            failed = min(failed, mtu + 1)
            return nil
        }
        lower(below: mtu + 1)
        source = .icmp
        return now
    }

    /// The same to a peer that answers no PING: it is taken at its word for some time.
    mutating func takeTooBigUnasked(_ mtu: Int, isBelievable: Bool, at now: Instant) -> Instant? {
        guard ceiling > 0, mtu >= floor, mtu < ceiling, isBelievable else {
            ignored &+= 1
            return nil
        }
        guard confirmed == 0 || mtu < confirmed else { return nil }
        confirmed = mtu
        source = .icmp
        phase = .complete
        raiseAt = now + Self.raiseAfter
        told = mtu
        news = PathNews(mtu: mtu, source: .icmp, isSilent: false)
        update()
        limit.whole = 0
        return raiseAt
    }

    /// What ICMP said to be so is believed no longer than that.
    mutating func expireUnasked(at now: Instant) {
        guard now >= raiseAt, phase == .complete else { return }
        confirmed = 0
        phase = .disabled
        source = .assumed
        raiseAt = .distantFuture
        update()
    }

    /// Our own interface took a datagram only in pieces.
    mutating func noteDivided(at now: Instant) -> Instant? {
        guard phase == .complete, !isAsking, now - askedAt > Self.gap else { return nil }
        isVerifying = true
        return now
    }
}

/// The state of the search for a path MTU, RFC 8899 §5.2. Base: nothing has been answered yet, and datagrams are as large as ever,
/// without DF.
public enum PathPhase: Sendable { case disabled, base, searching, complete, error }

/// How a path MTU is known.
public enum PathSource: Sendable { case assumed, probed, icmp }

/// A path MTU that was found, in bytes of the IP packet outside.
public struct PathNews: Sendable, Equatable {
    public let mtu: Int
    public let source: PathSource
    /// What is larger vanishes, and nobody says so: a black hole.
    public let isSilent: Bool
}
