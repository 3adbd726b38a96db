/// The rate of a link, and when it is free again: a token bucket with time for tokens (GCRA, ITU-T I.371).
///
/// In no 100 ms leaves more than the rate allows and two datagrams. What an idle link has saved up and what leaves at once are no more than
/// that on a slow link. On a fast one this would take a waking for each datagram: there the pace is below the rate by what they are more.
/// (A unit that a fast link takes in a millisecond leaves at once all the same.)
///
/// A thread that comes late now and then has lost that time. When it is late again and again, what is lost beyond a two-hundredth is made
/// up for by sending an eighth faster, never by a burst.
struct Shaper {
    /// The time in which no more leaves than the rate allows and two datagrams.
    private static let window: Int64 = 100_000_000
    private static let datagram = 1500
    /// A link so fast that each waking counts, and super-segments wait whole.
    static let fast: UInt64 = 500_000_000
    private static let largest = 75_000
    /// What is saved up and leaves at once, in time: at least on a fast link, and at most.
    private static let leastCredit: Int64 = 200_000
    private static let leastGrant: Int64 = 250_000
    private static let most: Int64 = 1_000_000
    /// How late what leaves is on its way, beyond the moment for which it is charged, on a link so fast that it matters.
    private static let jitter: Int64 = 50_000
    /// What lateness is overlooked, as a part of the time, what one takes at most into account, and how much of it has come
    /// together before anything is made up for.
    private static let overlooked: Int64 = 200
    private static let mostLate: Int64 = 2_000_000
    private static let patience: Int64 = 10_000_000
    private static let mostLost: Int64 = 30_000_000

    /// Bits a second.
    private(set) var rate: UInt64
    /// Bits a second that leave while packets wait.
    private(set) var pace: UInt64 = 1
    /// Nanoseconds that a byte takes, in 1/2^28.
    private var byteTime: UInt64 = 0
    /// What an idle link has saved up at most: a full datagram, but no more than a millisecond.
    private var credit = Interval(nanoseconds: 0)
    /// What leaves at once at most, in bytes, if it is more than one packet; the same of a unit; and what the link takes in a millisecond.
    private(set) var grant = 0
    private(set) var unit = 0
    private(set) var inMillisecond = 0
    /// When what was sent has left. It lies behind when the link is idle.
    private(set) var freeAt = Instant.distantPast
    /// What it stood idle while packets waited, in nanoseconds, less what is overlooked and what was made up for.
    private var lost: Int64 = 0

    init(rate: UInt64) {
        self.rate = max(rate, 1)
        setPace()
    }

    /// Sets the rate of what is sent from here on.
    mutating func setRate(_ rate: UInt64) {
        self.rate = max(rate, 1)
        setPace()
    }

    private mutating func setPace() {
        setPace(rate)
        let datagram = time(for: Self.datagram).nanoseconds
        let credit = min(max(datagram, Self.leastCredit), Self.most)
        let isSlow = datagram >= Self.leastGrant
        let atOnce =
            isSlow ? datagram : rate < Self.fast ? Self.leastGrant : min(time(for: Self.largest).nanoseconds, Self.most)
        let above = credit + atOnce + (isSlow ? 0 : Self.jitter) - 2 * datagram
        if !isSlow, above > 0 { setPace(rate - rate / 1_000_000 * UInt64(above) / UInt64(Self.window / 1_000_000)) }
        self.credit = Interval(nanoseconds: credit)
        grant = bytes(in: Interval(nanoseconds: atOnce))
        inMillisecond = bytes(in: .milliseconds(1))
        unit = isSlow ? grant : inMillisecond
    }

    private mutating func setPace(_ pace: UInt64) {
        self.pace = max(pace, 1)
        byteTime = (8_000_000_000 << 28) / self.pace
    }

    /// Whether something may be sent now.
    func isFree(at now: Instant) -> Bool { freeAt <= now }

    /// What so many bytes take on the link.
    func time(for bytes: Int) -> Interval {
        let (high, low) = UInt64(max(bytes, 0)).multipliedFullWidth(by: byteTime)
        return Interval(nanoseconds: high < 1 << 26 ? Int64(high << 36 | low >> 28) : .max / 4)
    }

    /// How many bytes the rate allows in a time.
    func bytes(in time: Interval) -> Int {
        let (high, low) = rate.multipliedFullWidth(by: UInt64(max(time.nanoseconds, 0)))
        return high < 8_000_000_000
            ? Int(clamping: UInt64(8_000_000_000).dividingFullWidth((high, low)).quotient) : .max
    }

    /// Charges bytes that are sent now, whether it was free or not; packets have waited since `waiting`.
    mutating func charge(_ bytes: Int, at now: Instant, waiting: Instant) {
        let time = time(for: bytes).nanoseconds
        let credit = lost > Self.patience ? Self.most : credit.nanoseconds
        let earliest = Instant(nanoseconds: now.nanoseconds - credit)
        let late = (earliest - max(freeAt, waiting)).nanoseconds
        if late > 0 { lost = min(lost + min(late, Self.mostLate), Self.mostLost) }
        lost = max(lost - time / Self.overlooked, 0)
        let paid = max(min(lost - Self.patience, time / 8), 0)
        lost -= paid
        freeAt = max(freeAt, earliest) + Interval(nanoseconds: time - paid)
    }
}
