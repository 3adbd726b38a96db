/// A timestamp of 12 bytes that grows with time (https://cr.yp.to/libtai/tai64.html): seconds, then nanoseconds, both
/// big-endian, so that comparing bytes compares times.
public struct TAI64N: Comparable, Hashable, Sendable {
    /// 2^62 + 10 + seconds since 1970.
    private let seconds: UInt64
    private let nanoseconds: UInt32

    /// Nanoseconds are cut to this granularity so that a timestamp tells little about our clock; it is shorter than the
    /// interval at which initiations are accepted.
    private static let granularity: UInt32 = 1 << 24

    public static let zero = TAI64N(seconds: 0, nanoseconds: 0)
    /// None of a clock's is later.
    static let latest = TAI64N(seconds: 1 << 63, nanoseconds: 0)

    private init(seconds: UInt64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The timestamp of `wall`, or the next one after `last` if that is later: timestamps must grow even while the
    /// clock is set back.
    init(_ wall: WallTime, after last: TAI64N) {
        let time = TAI64N(
            seconds: 1 << 62 &+ 10 &+ UInt64(bitPattern: wall.seconds),
            nanoseconds: wall.nanoseconds & ~(Self.granularity - 1))
        self = time > last ? time : last.next
    }

    private var next: TAI64N {
        let more = nanoseconds &+ Self.granularity
        return more < 1_000_000_000
            ? TAI64N(seconds: seconds, nanoseconds: more) : TAI64N(seconds: seconds &+ 1, nanoseconds: 0)
    }

    init(bytes: InlineArray<12, UInt8>) {
        seconds = (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
        nanoseconds = (8..<12).reduce(0) { $0 << 8 | UInt32(bytes[$1]) }
    }

    var bytes: InlineArray<12, UInt8> {
        InlineArray { index in
            index < 8
                ? UInt8(truncatingIfNeeded: seconds >> (56 - 8 * UInt64(index)))
                : UInt8(truncatingIfNeeded: nanoseconds >> (24 - 8 * UInt32(index - 8)))
        }
    }

    public static func < (a: TAI64N, b: TAI64N) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}

// What a new process takes over.
extension HandshakeTimes {
    func write(to state: inout StateWriter) {
        state.put(lastSent.bytes.span)
        state.put(lastReceived.bytes.span)
        state.put(lastReceivedAt)
        state.put(list: agreed) { $1.write(to: &$0) }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        lastSent = TAI64N(bytes: try state.array())
        lastReceived = TAI64N(bytes: try state.array())
        lastReceivedAt = try state.instant()
        if state.version >= 2 {
            agreed = try state.list(eachAtLeast: 41) { state throws(StateProblem) in
                try CandidateKeys.Agreed(&state)
            }
            guard agreed.count <= CandidateKeys.mostAgreed else { throw .implausible("so many keys") }
        }
        // The next one is this one and a little more.
        guard lastSent < TAI64N.latest else { throw .implausible("the time of a handshake") }
    }
}
