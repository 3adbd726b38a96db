/// A span of time in nanoseconds. Negative values are allowed; they arise only from subtracting a later instant.
@frozen
public struct Interval: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable public static func milliseconds(_ count: Int64) -> Interval { Interval(nanoseconds: count * 1_000_000) }
    @inlinable public static func seconds(_ count: Int64) -> Interval { Interval(nanoseconds: count * 1_000_000_000) }

    @inlinable public static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func + (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    @inlinable public static func * (a: Interval, count: Int64) -> Interval {
        Interval(nanoseconds: a.nanoseconds &* count)
    }
}

/// A point on a clock that only moves forward and goes on while the machine sleeps (CLOCK_BOOTTIME).
///
/// The core never reads a clock: every instant in it was handed in.
@frozen
public struct Instant: Comparable, Hashable, Sendable {
    /// Since an arbitrary start; 0 is before everything.
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Before every event: "never happened".
    public static let distantPast = Instant(nanoseconds: .min / 4)
    /// After every event: "not armed".
    public static let distantFuture = Instant(nanoseconds: .max)

    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func + (a: Instant, b: Interval) -> Instant {
        Instant(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    @inlinable public static func - (a: Instant, b: Instant) -> Interval {
        Interval(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }
}

/// The time on both clocks, as the edge read them once for a batch of events.
@frozen
public struct Now: Sendable {
    /// For everything that measures time.
    public var instant: Instant
    /// For people, and for the timestamp of a handshake: since 1970, in UTC.
    public var wall: WallTime

    @inlinable public init(instant: Instant, wall: WallTime) {
        self.instant = instant
        self.wall = wall
    }
}

/// A time of day, which may jump either way.
@frozen
public struct WallTime: Comparable, Hashable, Sendable {
    public var seconds: Int64
    /// 0 to 999,999,999.
    public var nanoseconds: UInt32

    @inlinable public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    @inlinable public static func < (a: WallTime, b: WallTime) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}
