/// The rate of a link, and when it is free again: a token bucket that holds a millisecond's worth, with time for tokens.
struct Shaper {
    /// What an idle link has saved up at most.
    private static let credit = Interval.milliseconds(1)

    /// Bits a second.
    let rate: UInt64
    /// When what was sent has left. It lies behind when the link is idle.
    private(set) var freeAt = Instant.distantPast

    init(rate: UInt64) { self.rate = max(rate, 1) }

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

    /// Charges bytes that are sent now, whether it was free or not.
    mutating func charge(_ bytes: Int, at now: Instant) {
        let earliest = Instant(nanoseconds: now.nanoseconds - Self.credit.nanoseconds)
        freeAt = max(freeAt, earliest) + time(for: bytes)
    }
}
