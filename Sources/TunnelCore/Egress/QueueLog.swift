/// What was seen of the packets that waited for a peer in the last seconds: how long, and in how many flows.
public struct QueueLog {
    /// What is known of the last five to ten seconds.
    public final class Summary: Sendable {
        /// How long half of the packets waited at most, and how long 99 of a hundred.
        public let median: Interval
        public let percentile99: Interval
        /// Flows whose packets went through at once, and flows of which a queue stood.
        public let sparse: Int
        public let bulk: Int

        init(median: Interval, percentile99: Interval, sparse: Int, bulk: Int) {
            self.median = median
            self.percentile99 = percentile99
            self.sparse = sparse
            self.bulk = bulk
        }
    }

    private struct Window {
        var active = InlineArray<4, UInt64>(repeating: 0)
        var bulk = InlineArray<4, UInt64>(repeating: 0)
    }

    private var delays = DelayHistogram()
    private var current = Window()
    private var previous = Window()
    private var startedAt = Instant.distantPast

    /// Notes how long a packet waited.
    mutating func noteDelay(_ delay: Interval, at now: Instant) {
        advance(to: now)
        delays.note(delay, at: now)
    }

    /// Notes that a flow, by its number below 256, has sent, or that its queue stands.
    mutating func noteActive(_ flow: Int) { current.active[flow >> 6] |= 1 << UInt64(flow & 63) }
    mutating func noteBulk(_ flow: Int) { current.bulk[flow >> 6] |= 1 << UInt64(flow & 63) }

    private mutating func advance(to now: Instant) {
        guard now - startedAt >= DelayHistogram.window else { return }
        previous = now - startedAt < DelayHistogram.window * 2 ? current : Window()
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
            median: delays.percentile(50, at: now), percentile99: delays.percentile(99, at: now),
            sparse: active - bulk, bulk: bulk)
    }
}
