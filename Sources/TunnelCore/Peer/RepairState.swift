/// The pace at which packets go on that have waited for a repair: a little faster than packets come, so that the TCP that gets them does
/// not answer in a burst, which would fill the queue in front of the other end's link.
struct Pace {
    /// Bytes of packets a second, the most of the last two windows.
    private var rate = 0
    private var windowStart = Instant.distantPast
    private var windowBytes = 0
    private var lastBytes = 0
    private var credit = 0
    private var paidAt = Instant.distantPast

    private static let window = Interval.milliseconds(100)
    private static let burst = 16 * 1024

    /// Notes a packet that came.
    @inline(__always)
    mutating func note(_ bytes: Int, at now: Instant) {
        if now - windowStart >= Self.window {
            let length = max((now - windowStart).nanoseconds, 1)
            let last = length < 2 * Self.window.nanoseconds ? windowBytes : 0
            rate = Int(Int64(max(last, lastBytes)) * 1_000_000_000 / Self.window.nanoseconds)
            lastBytes = last
            windowBytes = 0
            windowStart = now
        }
        windowBytes += bytes
    }

    /// Takes the turn of a packet; `nil` if it may go on, else when the next may.
    mutating func take(_ bytes: Int, at now: Instant) -> Instant? {
        let most = max(max(rate, windowBytes * 10) / 8 * 9, 125_000)
        let elapsed = min((now - paidAt).nanoseconds, 1_000_000_000)
        credit = min(credit + Int(Int64(most) * elapsed / 1_000_000_000), Self.burst)
        paidAt = now
        guard credit > 0 else {
            return now + Interval(nanoseconds: Int64(1 - credit) * 1_000_000_000 / Int64(most) + 50_000)
        }
        credit -= bytes
        return nil
    }
}

/// How much passes, by windows of 100 ms.
struct Gauge {
    private var last = 0
    private var bytes = 0
    private var windowStart = Instant.distantPast

    private static let window = Interval.milliseconds(100)

    /// Below 100 Mbit/s the order of all flows can be followed, and everything kept.
    @inline(__always) var isSlow: Bool { last < 1_250_000 }
    /// From 1 Gbit/s on a copy of everything costs more than repair is worth: what is lost there is mostly our own, in a full buffer.
    @inline(__always) var isFast: Bool { last >= 12_500_000 }

    /// Bytes that passed in the last window of 100 ms.
    var bytesPerWindow: Int { last }

    /// Notes bytes that pass.
    @inline(__always)
    mutating func note(_ bytes: Int, at now: Instant) {
        self.bytes += bytes
        guard now - windowStart >= Self.window else { return }
        last = now - windowStart < Self.window * 2 ? self.bytes : 0
        windowStart = now
        self.bytes = 0
    }
}

/// What an end knows of the repair of what a path loses: of its own datagrams, and of the peer's.
struct RepairState {
    /// The operator wants it.
    var isWanted = true

    // Of what we send.
    /// When the peer last said that something of ours was missing.
    var lossAt = Instant.distantPast
    /// Datagrams that were sent again, their bytes, and what was not, since TCP had to see it or since there was nothing of it any more.
    var resent: UInt64 = 0
    var resentBytes: UInt64 = 0
    var told: UInt64 = 0
    var gone: UInt64 = 0
    var leaving = Gauge()
    /// When the peer was told last that a queue stands on the way to it, and how much had been sent by then.
    var queueSaidAt = Instant.distantPast
    var sentAtQueue: UInt64 = 0
    /// Data that a probe must follow if nothing else does.
    var probeOwed = false
    /// How much parity goes with it; rows that were sent, and their bytes.
    var parity = ParityPolicy()
    var paritySent: UInt64 = 0
    var parityBytes: UInt64 = 0

    // Of what we receive.
    var gaps = Gaps()
    var arriving = Gauge()
    /// When the peer last said that a queue stands on the way to us.
    var queueHeardAt = Instant.distantPast

    /// How fast packets that have waited go on.
    var pace = Pace()

    /// The kinds of record that we take for it.
    @inline(__always) var announced: RecordSet {
        guard isWanted else { return [] }
        return parity.wish == .off ? .repair : .repair.union(RecordSet(.parity))
    }

    /// How often the word of a queue is said while it stands, for how long it holds, and what is sent between two at least, in bytes.
    static let queueWord = Interval.milliseconds(200)
    static let queueWordHolds = Interval.milliseconds(500)
    static let bytesPerQueueWord: UInt64 = 50_000

    /// For how long after the last loss datagrams are kept, and packets wait.
    static let memory = Interval.seconds(30)
}

// What a new process takes over: what was counted.
extension RepairState {
    func write(to state: inout StateWriter) {
        for count in [resent, resentBytes, told, gone, paritySent, parityBytes] { state.put(count) }
        gaps.write(to: &state)
    }

    mutating func read(_ state: inout StateReader) throws(StateProblem) {
        resent = try state.number()
        resentBytes = try state.number()
        told = try state.number()
        gone = try state.number()
        paritySent = try state.number()
        parityBytes = try state.number()
        guard max(resent, told, gone, paritySent) < 1 << 62 else { throw .implausible("repairs") }
        gaps = try Gaps(&state)
    }
}
