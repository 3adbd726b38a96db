/// A limit on how often something may happen: so many times at once, and then once in every interval.
public struct TokenBucket: Sendable {
    private let cost: Interval
    private let most: Interval
    /// The tokens that are left, in time, and when that was.
    private var tokens: Interval
    private var at = Instant.distantPast

    /// A full one.
    public init(every cost: Interval, atOnce count: Int64) {
        self.cost = cost
        most = cost * count
        tokens = most
    }

    /// Whether there is one left now; takes it.
    public mutating func admit(at now: Instant) -> Bool {
        tokens = min(tokens + (now - at), most)
        at = now
        guard tokens >= cost else { return false }
        tokens = tokens + cost * -1
        return true
    }

    /// Whether nothing has been taken for so long that it is as new.
    public func isFull(at now: Instant) -> Bool { now - at >= most }
}
