/// Keeps `auto` from making a fast link slower: when the thread has no time left, it finds out by trial whether more
/// comes through with compression or without.
///
///     coding ──(never slept for 100 ms)──▶ trial without, 250 ms ──▶ coding, if that brought less
///       ▲                                         │
///       └────(after 1, 2, 4 … 32 s)── resting ◀───┘ if it brought more
///
/// The edge says at each turn how long the thread has slept; the chain says what it has sent.
struct Governor {
    private enum State {
        case coding
        /// Without compression, to compare; `rate` is what came through with it.
        case trial(rate: Int64)
        case resting(until: Instant)
    }

    /// How long a state is watched before it is judged.
    private static let window = Interval.milliseconds(100)
    private static let trialWindow = Interval.milliseconds(250)
    private static let shortestRest = Interval.seconds(1)
    private static let longestRest = Interval.seconds(32)

    private var state = State.coding
    private var windowStart = Instant.distantPast
    private var slept = Interval(nanoseconds: 0)
    private var plainBytes: Int64 = 0
    private var rest = shortestRest
    /// Not before this is a busy thread a reason for another trial.
    private var nextTrial = Instant.distantPast

    /// Whether there is time to compress.
    @inline(__always) var allowsCoding: Bool {
        if case .coding = state { true } else { false }
    }

    /// So many bytes of packets were sent.
    @inline(__always) mutating func noteSent(_ bytes: Int) { plainBytes &+= Int64(bytes) }

    /// A turn begins; before it the thread slept for `idle`.
    mutating func beginTurn(at now: Instant, idle: Interval) {
        slept = slept + idle
        let length = now - windowStart
        switch state {
        case .coding:
            guard length >= Self.window else { return }
            // Less than a fifth, for the most part in short naps: as good as never.
            if slept * 5 < length, length < Self.window * 3, now >= nextTrial { state = .trial(rate: rate(length)) }
        case .trial(let coded):
            guard length >= Self.trialWindow else { return }
            if rate(length) > coded &+ coded / 20 {
                state = .resting(until: now + rest)
            } else {
                state = .coding
                nextTrial = now + rest
            }
            rest = min(rest * 2, Self.longestRest)
        case .resting(let end):
            guard now >= end else { return }
            state = .coding
        }
        // A link that was quiet for long is a new one.
        if length > Self.longestRest { rest = Self.shortestRest }
        windowStart = now
        slept = Interval(nanoseconds: 0)
        plainBytes = 0
    }

    /// Bytes per second in the window.
    private func rate(_ length: Interval) -> Int64 {
        plainBytes &* 1000 / max(length.nanoseconds / 1_000_000, 1)
    }
}
