/// Controlled delay (RFC 8289): finds a queue that stands, by the time that its packets have waited.
struct CoDel {
    private var firstAboveAt: Instant?
    private var dropNext = Instant.distantPast
    private var count = 0
    private var isDropping = false

    /// How long a queue may be above `target` before it is told so; the target is the delay that does no harm.
    struct Setting {
        let interval: Interval
        let target: Interval

        /// For a path with this round trip: a long one needs more patience, and repair on the way more room. On a fast link that is not
        /// long a queue of megabytes would lie in memory and no longer in the cache.
        init(roundTrip: Interval?, packet: Interval, isFast: Bool = false) {
            let trip = (roundTrip ?? .milliseconds(0)).nanoseconds
            let usual = max(100_000_000, trip + trip / 2)
            let most = isFast ? min(usual / 4, 5_000_000 + trip / 2) : usual / 4
            target = Interval(nanoseconds: max(most, packet.nanoseconds * 3 / 2))
            // With what waits here the trip is twice as long, and a drop shows no sooner.
            interval = Interval(nanoseconds: isFast ? usual : usual * 2)
        }
    }

    /// Whether a packet that waited for `sojourn` is to be marked or dropped; `isLast`: nothing waits behind it.
    mutating func judge(_ sojourn: Interval, isLast: Bool, _ setting: Setting, at now: Instant) -> Bool {
        guard sojourn >= setting.target, !isLast else {
            firstAboveAt = nil
            isDropping = false
            return false
        }
        guard let above = firstAboveAt else {
            firstAboveAt = now + setting.interval
            return false
        }
        guard now >= above else { return false }
        if isDropping {
            guard now >= dropNext else { return false }
            count += 1
        } else {
            isDropping = true
            // Soon after the last time, begin where that ended.
            count = count > 2 && now - dropNext < setting.interval * 8 ? count - 2 : 1
            dropNext = now
        }
        dropNext = dropNext + Self.step(setting.interval, count)
        return true
    }

    private static func step(_ interval: Interval, _ count: Int) -> Interval {
        Interval(nanoseconds: Int64(Double(interval.nanoseconds) / Double(count).squareRoot()))
    }
}
