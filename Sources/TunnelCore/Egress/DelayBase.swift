/// The least delay of a way lately, which is what it takes when nothing waits there.
struct DelayBase {
    private var now: Interval?
    private var before: Interval?
    private var since = Instant.distantPast

    /// Two clocks part by some microseconds a second, so it must not be too long.
    private static let span = Interval.seconds(15)

    /// Notes a delay; how much it is above the base.
    mutating func note(_ delay: Interval, at instant: Instant) -> Interval {
        if instant - since >= Self.span {
            before = now
            now = delay
            since = instant
        }
        now = min(now ?? delay, delay)
        let base = min(now ?? delay, before ?? delay)
        // Whatever the other end says: no more than ten seconds, which nothing waits.
        return Interval(nanoseconds: min(max(delay.nanoseconds &- base.nanoseconds, 0), 10_000_000_000))
    }

    /// The way has become longer.
    mutating func raise(by excess: Interval, at instant: Instant) {
        let base = min(now ?? excess, before ?? now ?? excess)
        now = base + excess
        before = nil
        since = instant
    }
}
