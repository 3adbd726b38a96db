/// What was seen of the packets that waited for a peer in the last seconds: how long, and in how many flows.
public struct QueueLog {
    /// What is known of the last five to ten seconds.
    public struct Summary: Equatable, Sendable {
        /// How long half of the packets waited at most, and how long 99 of a hundred.
        public let median: Interval
        public let percentile99: Interval
        /// Flows whose packets went through at once, and flows of which a queue stood.
        public let sparse: Int
        public let bulk: Int
    }

    private struct Window {
        var delays = InlineArray<32, UInt32>(repeating: 0)
        var active = InlineArray<4, UInt64>(repeating: 0)
        var bulk = InlineArray<4, UInt64>(repeating: 0)
    }

    private static let length = Interval.seconds(5)
    /// The upper end of the first class of delays; each is larger than the one before by the root of two.
    private static let least = Interval(nanoseconds: 50_000)

    private var current = Window()
    private var previous = Window()
    private var startedAt = Instant.distantPast

    /// Notes how long a packet waited.
    mutating func noteDelay(_ delay: Interval, at now: Instant) {
        advance(to: now)
        current.delays[Self.number(of: delay)] &+= 1
    }

    /// Notes that a flow, by its number below 256, has sent, or that its queue stands.
    mutating func noteActive(_ flow: Int) { current.active[flow >> 6] |= 1 << UInt64(flow & 63) }
    mutating func noteBulk(_ flow: Int) { current.bulk[flow >> 6] |= 1 << UInt64(flow & 63) }

    private mutating func advance(to now: Instant) {
        guard now - startedAt >= Self.length else { return }
        previous = now - startedAt < Self.length * 2 ? current : Window()
        current = Window()
        startedAt = now
    }

    /// What is known at a time.
    func summary(at now: Instant) -> Summary {
        var log = self
        log.advance(to: now)
        var active = 0
        var bulk = 0
        for index in 0..<4 {
            let standing = log.current.bulk[index] | log.previous.bulk[index]
            bulk += standing.nonzeroBitCount
            active += (log.current.active[index] | log.previous.active[index] | standing).nonzeroBitCount
        }
        return Summary(
            median: log.percentile(50), percentile99: log.percentile(99), sparse: active - bulk, bulk: bulk)
    }

    private func percentile(_ part: UInt64) -> Interval {
        var all: UInt64 = 0
        for index in 0..<32 { all += UInt64(current.delays[index]) + UInt64(previous.delays[index]) }
        guard all > 0 else { return Interval(nanoseconds: 0) }
        var below: UInt64 = 0
        for index in 0..<32 {
            below += UInt64(current.delays[index]) + UInt64(previous.delays[index])
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
