/// The quality of the way to a peer, as its REPORTs and the answers to our PINGs tell.
struct PathQuality {
    /// Smoothed as TCP does (RFC 6298 §2); `nil` until an answer came.
    private(set) var roundTrip: Interval?
    /// The part of our datagrams that got lost lately.
    private(set) var loss = 0.0
    /// Bytes a second that arrived lately, as UDP payload; 0 until that is known.
    private(set) var rate = 0.0

    /// The shortest ways there and back of this span of time and of the one before: nothing waited on the way then.
    private var shortest: (now: Interval, before: Interval)?
    private var spanStart = Instant.distantPast
    private var latest: Interval?
    private var beforeLatest: Interval?

    /// What arrived between the last two reports.
    struct Arrived {
        let datagrams: Double
        let expected: Double
        let bytes: Double
    }

    private var arrived: Arrived?
    private var last: ReportRecord?
    private var lastSession: ReceiverIndex?
    private var question: (token: UInt64, at: Instant)?
    private var lastQuestion = Instant.distantPast
    /// The last question that was answered, and how long that took.
    private(set) var answered: (token: UInt64, trip: Interval)?
    private var sentAtQuestion: UInt64 = 0

    /// How long an answer is waited for.
    private static let patience = Interval.seconds(10)
    /// How often we ask at most.
    private static let interval = Interval.seconds(1)
    /// Loss is an average over about so many datagrams.
    private static let lossWindow = 512.0

    private static let span = Interval.seconds(300)
    /// What a way takes longer than the shortest if something waits there.
    private static let queue = Interval.milliseconds(10)

    /// Whether the last way there and back was so long that a queue must have stood: what got lost did not find room there, which says
    /// nothing of the link.
    var isQueued: Bool { queueing > Self.queue }

    /// How much longer than the shortest the last ways took: the lesser of the last two, since one may have waited for a thread.
    var queueing: Interval {
        guard let latest, let shortestTrip else { return Interval(nanoseconds: 0) }
        return Interval(nanoseconds: min(latest, beforeLatest ?? latest).nanoseconds - shortestTrip.nanoseconds)
    }

    /// The shortest way there and back lately.
    var shortestTrip: Interval? { shortest.map { min($0.now, $0.before) } }
    /// What is known best of how long it takes.
    var usualTrip: Interval? { roundTrip ?? latest }

    /// The part of our datagrams that the link loses, not the queue before it.
    var linkLoss: Double { isQueued ? 0 : loss }

    /// Notes how long a way there and back took.
    mutating func note(trip: Interval, at now: Instant) {
        if now - spanStart >= Self.span {
            shortest = shortest.map { (trip, $0.now) } ?? (trip, trip)
            spanStart = now
        }
        if let old = shortest { shortest = (min(old.now, trip), old.before) }
        beforeLatest = latest
        latest = trip
    }

    /// Forgets them: the way is another one.
    mutating func forgetTrips() {
        shortest = nil
        latest = nil
        beforeLatest = nil
        spanStart = .distantPast
    }

    /// Nanoseconds that the link takes for a byte.
    var nanosecondsPerByte: Double { rate > 0 ? 1e9 / rate : Effort.unknownLink }

    /// Takes the same of one that takes part in repair, and says it as a report. What was sent again and came is not lost.
    mutating func take(_ receipt: ReceiptRecord, on session: ReceiverIndex?) -> ReportRecord {
        // Its clock has 32 bits: the time since the one before is what counts.
        let before = last?.clock ?? 0
        let clock = before &+ UInt64(receipt.clock &- UInt32(truncatingIfNeeded: before))
        let report = ReportRecord(
            isAES: receipt.isAES, highest: receipt.highest, recent: 0, datagrams: receipt.datagrams,
            bytes: receipt.bytes, clock: clock)
        take(report, on: session)
        return report
    }

    /// What arrived between the last two reports, once.
    mutating func takeArrived() -> Arrived? {
        defer { arrived = nil }
        return arrived
    }

    /// Takes the peer's word of what has arrived on a session.
    mutating func take(_ report: ReportRecord, on session: ReceiverIndex?) {
        defer {
            last = report
            lastSession = session
        }
        guard let last, lastSession == session, last.isAES == report.isAES, report.highest > last.highest,
            report.clock > last.clock, report.datagrams >= last.datagrams, report.bytes >= last.bytes
        else { return }
        let expected = Double(report.highest - last.highest)
        let arrived = min(Double(report.datagrams - last.datagrams), expected)
        let bytes = Double(report.bytes - last.bytes)
        self.arrived = Arrived(datagrams: Double(report.datagrams - last.datagrams), expected: expected, bytes: bytes)
        loss += (1 - arrived / expected - loss) * min(expected / Self.lossWindow, 1)
        let sample = Double(report.bytes - last.bytes) * 1e6 / Double(report.clock - last.clock)
        rate = rate == 0 ? sample : (rate + sample) / 2
    }

    /// The token of a PING if one is due, `sent` being the bytes that went to the peer so far. It is the
    /// time, `offset` added.
    mutating func ask(sent: UInt64, at now: Instant, offset: UInt64) -> UInt64? {
        guard now - lastQuestion >= Self.interval, sent &- sentAtQuestion >= UInt64(PingRecord.wireSize) * 1000 else {
            return nil
        }
        if let question, now - question.at < Self.patience { return nil }
        let token = UInt64(bitPattern: now.nanoseconds) &+ offset
        lastQuestion = now
        sentAtQuestion = sent
        question = (token, now)
        return token
    }

    /// The token of a PING that somebody wants now.
    mutating func askNow(at now: Instant, offset: UInt64) -> UInt64 {
        let token = UInt64(bitPattern: now.nanoseconds) &+ offset
        lastQuestion = now
        question = (token, now)
        return token
    }

    /// Takes an answer.
    mutating func take(answer token: UInt64, at now: Instant) {
        guard let question, question.token == token else { return }
        self.question = nil
        answered = (token, now - question.at)
        note(sample: now - question.at, at: now)
    }

    /// Takes how long a way there and back took just now.
    mutating func note(sample: Interval, at now: Instant) {
        note(trip: sample, at: now)
        if let old = roundTrip {
            roundTrip = Interval(nanoseconds: old.nanoseconds + (sample.nanoseconds - old.nanoseconds) / 8)
        } else {
            roundTrip = sample
        }
    }
}

// What a new process takes over. The next report begins a new comparison.
extension PathQuality {
    func write(to state: inout StateWriter) {
        state.put(optional: roundTrip) { $0.put($1) }
        state.put(loss)
        state.put(rate)
        state.put(optional: shortest) { state, shortest in
            state.put(shortest.now)
            state.put(shortest.before)
        }
        state.put(spanStart)
        state.put(optional: latest) { $0.put($1) }
        state.put(optional: beforeLatest) { $0.put($1) }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        roundTrip = try state.optional(Self.trip)
        loss = min(max(try state.double(), 0), 1)
        rate = min(max(try state.double(), 0), 1e15)
        shortest = try state.optional { state throws(StateProblem) -> (now: Interval, before: Interval) in
            let now = try Self.trip(&state)
            return (now, try Self.trip(&state))
        }
        spanStart = try state.instant()
        latest = try state.optional(Self.trip)
        beforeLatest = try state.optional(Self.trip)
    }

    private static func trip(_ state: inout StateReader) throws(StateProblem) -> Interval {
        min(max(try state.interval(), Interval(nanoseconds: 0)), .seconds(600))
    }
}
