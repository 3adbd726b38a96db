import Addresses

/// A limit for each address: 5 at once and 20 a second after that, for an IPv4 address or an IPv6 /64. It is asked
/// only under load.
struct RateLimiter {
    /// Addresses that are remembered at once.
    private static let capacity = 8192
    /// Whether further addresses are admitted while there are so many.
    let admitsWhenFull: Bool

    private enum Network: Hashable {
        case v4(UInt32)
        case v6(UInt64)
    }

    private var buckets: [Network: TokenBucket] = [:]
    private var sweptAt = Instant.distantPast

    init(admitsWhenFull: Bool) { self.admitsWhenFull = admitsWhenFull }

    /// Whether `address` may have one more.
    mutating func admit(_ address: IPAddress, at now: Instant) -> Bool {
        sweep(at: now)
        let network: Network =
            switch address {
            case .v4(let bits): .v4(bits)
            case .v6(let bits): .v6(UInt64(truncatingIfNeeded: bits >> 64))
            }
        guard buckets[network] != nil || buckets.count < Self.capacity else { return admitsWhenFull }
        let new = TokenBucket(every: Limits.initiationCost, atOnce: Limits.initiationsAtOnce)
        return buckets[network, default: new].admit(at: now)
    }

    /// Once a second, forgets those whose bucket is full again.
    private mutating func sweep(at now: Instant) {
        guard now - sweptAt >= .seconds(1) else { return }
        sweptAt = now
        buckets = buckets.filter { !$0.value.isFull(at: now) }
    }
}
