import Addresses

/// How many initiations an address may have handled: 5 at once and 20 a second after that, for an IPv4 address or an
/// IPv6 /64. It is asked only under load, for senders that have proved their address with a cookie.
struct RateLimiter {
    /// Addresses that are remembered at once; while there are so many, no other gets in.
    private static let capacity = 8192
    private static let cost = Limits.initiationCost
    private static let most = cost * Limits.initiationsAtOnce

    private enum Network: Hashable {
        case v4(UInt32)
        case v6(UInt64)
    }

    /// What is left, in time, and when that was.
    private struct Bucket {
        var tokens: Interval
        var at: Instant
    }

    private var buckets: [Network: Bucket] = [:]
    private var sweptAt = Instant.distantPast

    /// Whether one more initiation of `address` may be handled.
    mutating func admit(_ address: IPAddress, at now: Instant) -> Bool {
        sweep(at: now)
        let network: Network =
            switch address {
            case .v4(let bits): .v4(bits)
            case .v6(let bits): .v6(UInt64(truncatingIfNeeded: bits >> 64))
            }
        var bucket = buckets[network] ?? Bucket(tokens: Self.most, at: now)
        guard buckets[network] != nil || buckets.count < Self.capacity else { return false }
        bucket.tokens = min(bucket.tokens + (now - bucket.at), Self.most)
        bucket.at = now
        let isAdmitted = bucket.tokens >= Self.cost
        if isAdmitted { bucket.tokens = bucket.tokens + Self.cost * -1 }
        buckets[network] = bucket
        return isAdmitted
    }

    /// Once a second, forgets those whose bucket is full again.
    private mutating func sweep(at now: Instant) {
        guard now - sweptAt >= .seconds(1) else { return }
        sweptAt = now
        buckets = buckets.filter { now - $0.value.at < Self.most }
    }
}
