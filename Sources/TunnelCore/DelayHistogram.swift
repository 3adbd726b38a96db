/// How long what waited had to wait in the last five to ten seconds: two windows, each with a count for every class of delays.
struct DelayHistogram {
    /// How long a window is.
    static let window = Interval.seconds(5)
    /// The upper end of the first class of delays; each is larger than the one before by the root of two.
    private static let least = Interval(nanoseconds: 50_000)

    private var current = InlineArray<32, UInt32>(repeating: 0)
    private var previous = InlineArray<32, UInt32>(repeating: 0)
    private var startedAt = Instant.distantPast

    /// Notes how long something waited.
    mutating func note(_ delay: Interval, at now: Instant) {
        advance(to: now)
        current[Self.number(of: delay)] &+= 1
    }

    private mutating func advance(to now: Instant) {
        guard now - startedAt >= Self.window else { return }
        previous = now - startedAt < Self.window * 2 ? current : InlineArray(repeating: 0)
        current = InlineArray(repeating: 0)
        startedAt = now
    }

    /// How long so many of a hundred waited at most.
    func percentile(_ part: UInt64, at now: Instant) -> Interval {
        var recent = self
        recent.advance(to: now)
        return recent.percentile(part)
    }

    private func percentile(_ part: UInt64) -> Interval {
        var all: UInt64 = 0
        for index in 0..<32 { all += UInt64(current[index]) + UInt64(previous[index]) }
        guard all > 0 else { return Interval(nanoseconds: 0) }
        var below: UInt64 = 0
        for index in 0..<32 {
            below += UInt64(current[index]) + UInt64(previous[index])
            if below * 100 >= all * part { return Self.end(of: index) }
        }
        return Self.end(of: 31)
    }

    /// The class of a delay.
    private static func number(of delay: Interval) -> Int {
        let ratio = min(UInt64(max(delay.nanoseconds, 0)), 1 << 40) * 16 / UInt64(least.nanoseconds)
        guard ratio > 16 else { return 0 }
        // Twice the logarithm, in whole steps, of the ratio above one sixteenth.
        let power = 63 - ratio.leadingZeroBitCount
        let isUpperHalf = ratio * ratio >= 1 << UInt64(2 * power + 1)
        return min(2 * (power - 4) + (isUpperHalf ? 1 : 0) + 1, 31)
    }

    private static func end(of number: Int) -> Interval {
        let whole = least.nanoseconds << Int64(number / 2)
        return Interval(nanoseconds: number % 2 == 0 ? whole : Int64(Double(whole) * 2.0.squareRoot()))
    }
}
