/// The rate of a link, and when it is free again: a token bucket that holds a datagram or a little time, with time for tokens.
///
/// What a link stood idle while packets waited, since the thread came late, is made up for by sending an eighth faster, never by a burst.
struct Shaper {
    /// What an idle link has saved up at most: a full datagram, but no more than a millisecond, which a fast link has always, since its
    /// thread may come late.
    private var credit = Interval.milliseconds(1)
    private static let datagram = 1500
    private static let leastCredit: Int64 = 200_000
    private static let fast: UInt64 = 500_000_000

    /// Bits a second.
    private(set) var rate: UInt64
    /// When what was sent has left. It lies behind when the link is idle.
    private(set) var freeAt = Instant.distantPast
    /// What it stood idle while packets waited.
    private var owed = Interval(nanoseconds: 0)

    private static let mostOwed = Interval.milliseconds(20)

    init(rate: UInt64) {
        self.rate = max(rate, 1)
        setCredit()
    }

    /// Sets the rate of what is sent from here on.
    mutating func setRate(_ rate: UInt64) {
        self.rate = max(rate, 1)
        setCredit()
    }

    private mutating func setCredit() {
        let most: Int64 = 1_000_000
        let datagram = max(time(for: Self.datagram).nanoseconds, Self.leastCredit)
        credit = Interval(nanoseconds: rate >= Self.fast ? most : min(datagram, most))
    }

    /// Whether something may be sent now.
    func isFree(at now: Instant) -> Bool { freeAt <= now }

    /// What so many bytes take on the link.
    func time(for bytes: Int) -> Interval {
        let bits = UInt64(max(bytes, 0)) * 8
        let (high, low) = bits.multipliedFullWidth(by: 1_000_000_000)
        return Interval(
            nanoseconds: high < rate ? Int64(clamping: rate.dividingFullWidth((high, low)).quotient) : .max / 4)
    }

    /// How many bytes the link takes in a time.
    func bytes(in time: Interval) -> Int {
        let (high, low) = rate.multipliedFullWidth(by: UInt64(max(time.nanoseconds, 0)))
        return high < 8_000_000_000
            ? Int(clamping: UInt64(8_000_000_000).dividingFullWidth((high, low)).quotient) : .max
    }

    /// Charges bytes that are sent now, whether it was free or not; packets have waited since `waiting`.
    mutating func charge(_ bytes: Int, at now: Instant, waiting: Instant) {
        let earliest = Instant(nanoseconds: now.nanoseconds - credit.nanoseconds)
        let late = (earliest - max(freeAt, waiting)).nanoseconds
        if late > 0 { owed = Interval(nanoseconds: min(owed.nanoseconds + late, Self.mostOwed.nanoseconds)) }
        let time = time(for: bytes)
        let paid = min(owed.nanoseconds, time.nanoseconds / 8)
        owed = Interval(nanoseconds: owed.nanoseconds - paid)
        freeAt = max(freeAt, earliest) + Interval(nanoseconds: time.nanoseconds - paid)
    }
}
