/// The rate of a link that moves (`Rate = auto`), found by what the other end says of what arrives: how much, and how long it took.
///
/// Where a queue stands on the way, what arrives is what the link can do. The rate then falls below that until the queue has left, and
/// stays a little below it afterwards. Where none stands, and all of the rate is used, it rises: slowly near what the link could do
/// last, faster beyond. It is never more than a quarter above what arrives. It has no clock; everything is told with its time.
struct RateSearch {
    /// What the other end has said of a lane.
    struct Word {
        /// Datagrams that have arrived so far, and their bytes on the wire.
        var datagrams: UInt64
        var bytes: UInt64
        /// The highest counter that has arrived.
        var highest: UInt64
        /// The other end's clock then, in microseconds, and how long that datagram was under way by both ends' clocks, which may differ.
        var clock: UInt64
        var delay: Interval?
    }

    /// Bits a second between which it looks.
    let bounds: ClosedRange<UInt64>
    /// Bits a second at which is sent now; for the moments in which a queue on the way is to leave also below the bounds.
    private(set) var rate: UInt64
    /// When the other end last said something.
    private(set) var heardAt = Instant.distantPast

    private var last: Word?
    /// Bytes that were sent until then, and of them those that arrived.
    private var sentAtWord: UInt64 = 0
    private var arrived: UInt64 = 0
    /// Bytes between two words, as a rule.
    private var usual = 124_000.0
    private var delays = DelayBase()
    /// The delay above the base that the word before told, and how much that changes from one to the next.
    private var excessBefore = Interval(nanoseconds: 0)
    private var changeBefore = Interval(nanoseconds: 0)
    private var jitter = 0.0
    /// What the link could do when a queue stood there last, in bits a second, and when that was.
    private var capacity = 0.0
    private var capacityAt = Instant.distantPast
    private var standing: Standing?
    /// What arrived, in bits a second, in the last intervals.
    private var recent = InlineArray<8, Double>(repeating: 0)
    private var recentCount = 0
    /// Losses are looked at in groups.
    private var group = (sent: 0.0, lost: 0.0)
    /// When all of the rate was used last, and until when it has aged.
    private var usedAt = Instant.distantPast
    private var agedAt = Instant.distantPast

    /// A queue on the way that stands.
    private struct Standing {
        /// The longest and the shortest that it was, since when it has not grown, and the most that the link could do meanwhile.
        var most: Interval
        var least: Interval
        let began: Instant
        var since: Instant
        var capacity: Double
        /// How much shorter it should have become since then, in nanoseconds.
        var drained = 0.0
    }

    /// Words that come sooner, in microseconds, say too little.
    private static let soonest: UInt64 = 40_000
    /// A queue stands if so much is waited for, besides what the delay changes anyway; none does below the half of that.
    private static let queue = Interval.milliseconds(20)
    private static let mostJitter = 60e6
    /// In what time a queue is to leave, in nanoseconds.
    private static let patience = 150e6
    /// A queue that stays for so long is none of ours.
    private static let longest = Interval.seconds(3)
    /// The part of what the link can do that is sent: at least, to go on hearing of it, and at most.
    private static let least = 0.2
    private static let most = 0.92
    /// How much more is tried than arrives.
    private static let above = 1.25
    /// How fast the rate rises, each second: near what the link could do last, a little above, and else.
    private static let slowly = 0.4
    private static let steadily = 1.0
    private static let fast = 2.5
    private static let memory = Interval.seconds(20)
    /// The part of the datagrams that must get lost to be a sign of a link that is full, and of how many.
    private static let lossy = 0.1
    private static let enough = 60.0
    /// Each step of age: while nothing is heard the rate halves in half a second, while it is not used in ten seconds.
    private static let step = Interval.milliseconds(100)
    private static let unheardStep = 0.871
    private static let unusedStep = 0.9931
    private static let rest = Interval.seconds(10)

    /// Begins at the lower of the bounds.
    init(_ bounds: ClosedRange<UInt64>) {
        self.bounds = bounds
        rate = bounds.lowerBound
    }

    /// The same within other bounds: what was found holds on.
    func within(_ bounds: ClosedRange<UInt64>) -> RateSearch {
        var other = RateSearch(bounds)
        other.rate = min(max(rate, bounds.lowerBound), bounds.upperBound)
        return other
    }

    /// Goes on with a rate that was found before.
    mutating func resume(at rate: UInt64) { self.rate = min(max(rate, bounds.lowerBound), bounds.upperBound) }

    /// Begins with another lane on the same path: counts begin anew.
    mutating func beginLane() {
        last = nil
        standing = nil
        group = (0, 0)
    }

    // MARK: Time

    /// Lets the rate fall while nothing is heard of what is sent, and age while it is not used. To be called before and while something is
    /// sent; `sent` are bytes on the wire in all.
    mutating func age(sent: UInt64, at now: Instant) {
        guard agedAt != .distantPast else { return agedAt = now }
        let steps = (now - agedAt).nanoseconds / Self.step.nanoseconds
        guard steps > 0 else { return }
        agedAt = now
        let silence = heardAt == .distantPast ? Interval(nanoseconds: 0) : now - heardAt
        let lower = Double(bounds.lowerBound)
        if rate < bounds.lowerBound {
            // What drains a queue ends with the words about it.
            if silence > .seconds(2) { set(lower) }
        } else if isUnheard(sent), silence > .milliseconds(500) {
            for _ in 0..<min(steps, 5) { set(Double(rate) * Self.unheardStep) }
        } else if usedAt != .distantPast, now - usedAt > Self.rest {
            for _ in 0..<min(steps, 2000) where rate > bounds.lowerBound { set(Double(rate) * Self.unusedStep) }
        }
    }

    /// Whether more was sent than should go without a word.
    func isUnheard(_ sent: UInt64) -> Bool {
        Double(sent &- sentAtWord) > 3 * usual + Double(rate) / 16
    }

    private mutating func set(_ value: Double, least: Double? = nil) {
        rate = UInt64(min(max(value, least ?? Double(bounds.lowerBound)), Double(bounds.upperBound)))
    }

    // MARK: Words

    /// Takes what the other end says; `sent` are bytes on the wire in all.
    mutating func take(_ word: Word, sent: UInt64, roundTrip: Interval?, at now: Instant) {
        guard let last else { return begin(with: word, sent, at: now) }
        guard word.clock >= last.clock, word.bytes >= last.bytes, word.datagrams >= last.datagrams,
            word.highest >= last.highest
        else { return begin(with: word, sent, at: now) }
        let time = word.clock - last.clock
        guard time >= Self.soonest else { return }
        let elapsed = max((now - heardAt).nanoseconds, 1)
        // A clock that jumps tells nothing.
        guard time < 3_600_000_000, abs(Double(time) * 1000 - Double(elapsed)) < 2e9 else {
            delays = DelayBase()
            return begin(with: word, sent, at: now)
        }
        // What was not sent can't have arrived; a second's worth may be under way.
        arrived = max(arrived, sent &- min(sent, bounds.upperBound / 8))
        let bytes = min(word.bytes - last.bytes, sent - min(arrived, sent))
        arrived += bytes
        let delivered = Double(bytes) * 8e6 / Double(time)
        let passed = Double(sent &- sentAtWord)
        let isUsed = passed * 8e9 / Double(elapsed) > 0.75 * Double(rate)
        if isUsed { usedAt = now }
        usual += (passed - usual) / 4
        recent[recentCount & 7] = delivered
        recentCount &+= 1
        noteLoss(word, last)
        self.last = word
        heardAt = now
        sentAtWord = sent
        let before = excessBefore
        // What left too long ago to be known says nothing, of a queue neither.
        let excess = word.delay.map { delays.note($0, at: now) } ?? Interval(nanoseconds: before.nanoseconds / 2)
        excessBefore = excess
        // A queue grows or shrinks steadily: what bends is something else.
        let bend = Double(abs(excess.nanoseconds - before.nanoseconds - changeBefore.nanoseconds)) / 2
        changeBefore = Interval(nanoseconds: excess.nanoseconds - before.nanoseconds)
        jitter += (min(bend, Self.mostJitter) - jitter) / 16
        let sample = Sample(
            delivered: delivered, isUsed: isUsed, elapsed: Double(min(elapsed, 200_000_000)) / 1e9,
            lag: Interval(nanoseconds: (roundTrip?.nanoseconds ?? 100_000_000) * 2 + 150_000_000), at: now)
        judge(excess, before, sample)
    }

    private mutating func begin(with word: Word, _ sent: UInt64, at now: Instant) {
        last = word
        heardAt = now
        sentAtWord = sent
        standing = nil
        if let delay = word.delay { _ = delays.note(delay, at: now) }
    }

    /// What lies between two words.
    private struct Sample {
        /// Bits a second that arrived.
        let delivered: Double
        /// All of the rate was used.
        let isUsed: Bool
        let elapsed: Double
        /// How long it takes until what we do shows.
        let lag: Interval
        let at: Instant
    }

    private mutating func noteLoss(_ word: Word, _ last: Word) {
        let expected = Double(word.highest - last.highest)
        group.sent += expected
        group.lost += expected - Double(word.datagrams - last.datagrams)
    }

    /// Whether much got lost lately, which is looked at for so many datagrams that chance plays no part in it.
    private mutating func takeLossy() -> Bool {
        guard group.sent >= Self.enough else { return false }
        defer { group = (0, 0) }
        return group.lost > Self.lossy * group.sent
    }

    private mutating func judge(_ excess: Interval, _ before: Interval, _ sample: Sample) {
        let noise = Interval(nanoseconds: Int64(2 * jitter))
        let queue = Self.queue + noise
        // Once may have been a thread that woke up late; but not if less arrives as well.
        let isSudden = excess > queue + Self.queue && sample.isUsed && sample.delivered < 0.8 * Double(rate)
        let isLossy = takeLossy()
        if excess > queue, before > queue || isSudden || standing != nil {
            fall(excess, noise, sample)
        } else if standing != nil {
            standing = nil
            group = (0, 0)
            set(max(capacity * Self.most, Double(rate)))
        } else if isLossy, sample.isUsed {
            // A link without a queue says what it can do by what it drops.
            capacity = sample.delivered
            capacityAt = sample.at
            set(min(capacity * 0.97, Double(rate)))
        } else if sample.isUsed, excess.nanoseconds * 2 < queue.nanoseconds + noise.nanoseconds, before < queue {
            rise(sample)
        }
    }

    /// A queue stands: what arrives is what the link can do.
    private mutating func fall(_ excess: Interval, _ noise: Interval, _ sample: Sample) {
        // What comes unevenly is looked at for longer.
        capacity = max(average(of: 1 + Int(noise.nanoseconds / 5_000_000)), 1)
        capacityAt = sample.at
        var queue =
            standing ?? Standing(most: excess, least: excess, began: sample.at, since: sample.at, capacity: capacity)
        if excess > queue.most + .milliseconds(5) {
            queue.most = excess
            queue.since = sample.at
            queue.drained = 0
        } else {
            queue.drained += max(1 - Double(rate) / queue.capacity, 0) * sample.elapsed * 1e9
        }
        queue.capacity = max(queue.capacity, capacity)
        queue.least = min(queue.least, excess)
        let isPatient = sample.at - queue.since > sample.lag && queue.drained > 2 * Double(queue.most.nanoseconds)
        if isPatient || sample.at - queue.began > Self.longest {
            // We have sent less for so long that it should be gone: the way is longer now, or others fill it, who don't yield.
            delays.raise(by: queue.least, at: sample.at)
            standing = nil
            excessBefore = Interval(nanoseconds: 0)
            capacity = queue.capacity
            return set(capacity * Self.most)
        }
        standing = queue
        let part = 1 - Double(excess.nanoseconds - noise.nanoseconds - 5_000_000) / Self.patience
        let target = capacity * min(max(part, Self.least), Self.most)
        set(min(target, Double(rate)), least: Double(bounds.lowerBound) * Self.least)
    }

    /// What arrived in the last intervals, at most so many.
    private func average(of count: Int) -> Double {
        let count = min(count, recentCount, 4)
        var sum = 0.0
        for index in 0..<count { sum += recent[(recentCount - 1 - index) & 7] }
        return count > 0 ? sum / Double(count) : 0
    }

    /// None stands, and all of the rate is used.
    private mutating func rise(_ sample: Sample) {
        var pace = Self.fast
        if sample.at - capacityAt < Self.memory, Double(rate) > 0.7 * capacity, Double(rate) < 1.5 * capacity {
            pace = Double(rate) < 1.15 * capacity ? Self.slowly : Self.steadily
        }
        var most = 0.0
        for index in 0..<8 { most = max(most, recent[index]) }
        let target = Double(rate) * (1 + pace * sample.elapsed)
        set(max(min(target, most * Self.above), Double(rate)))
    }
}
