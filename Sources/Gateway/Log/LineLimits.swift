import Control
import Keys
import TunnelCore

/// How many lines of a kind the log takes, about one peer and about all together: what an outsider can cause must neither
/// fill a disk nor hide the rest. What is left out is counted, and told after a minute.
struct LineLimits {
    enum Kind: String, CaseIterable {
        case handshakeDone = "handshake done"
        case unanswered = "no answer to our handshake"
        case givenUp = "no answer for 90 s"
        case refused = "handshake refused"
        case foreignKey = "handshake made for another key than ours"
        case stranger = "handshake of no peer of ours"
        case announced = "a gateway"
        case mismatch = "the two ends do not fit"
        case problem = "trouble"
        case source = "source not among the AllowedIPs"
        case budget = "more than its budget"
        case roamed = "now at another address"
        case wiped = "keys wiped"
        case path = "path MTU"
        case keyExchange = "key exchange"
        case unnoted = "too much at once"

        /// The word for it in the history of events.
        var ofEvent: GatewayEvent.Kind {
            switch self {
            case .handshakeDone: .handshake
            case .unanswered: .unanswered
            case .givenUp: .givenUp
            case .refused, .foreignKey, .stranger: .refused
            case .announced: .negotiated
            case .mismatch: .mismatch
            case .problem: .problem
            case .source, .budget: .drops
            case .roamed: .roamed
            case .wiped: .wiped
            case .path: .pathMTU
            case .keyExchange: .keyExchange
            case .unnoted: .leftOut
            }
        }
    }

    /// How much was left out: lines of a kind about one peer, or about all if `peer` is `nil`.
    struct LeftOut {
        let kind: Kind
        let peer: PublicKey?
        let lines: Int
    }

    private struct Subject: Hashable {
        let kind: Kind
        let peer: PublicKey?
    }

    private struct Count {
        var bucket: TokenBucket
        var leftOut = 0
    }

    /// Subjects that are remembered at once; the lines about others are limited as a kind alone.
    private static let capacity = 4096
    /// Peers of a kind that are told one by one.
    private static let named = 3
    private static let pause = Interval.seconds(60)

    private var subjects: [Subject: Count] = [:]
    private var kinds: [Kind: Count] = [:]
    /// When to tell what was left out; `nil` if nothing was.
    private(set) var dueAt: Instant?

    /// Whether a line may be written. `peer` is whom it is about; `nil` for strangers.
    mutating func admit(_ kind: Kind, _ peer: PublicKey?, at now: Instant) -> Bool {
        let subject = Subject(kind: kind, peer: peer)
        let isKnown = subjects[subject] != nil || makeRoom(at: now)
        if isKnown, !Self.take(from: &subjects[subject, default: Self.ofOne], at: now) {
            dueAt = dueAt ?? now + Self.pause
            return false
        }
        guard Self.take(from: &kinds[kind, default: Self.ofAll], at: now) else {
            dueAt = dueAt ?? now + Self.pause
            return false
        }
        return true
    }

    /// The lines that were left out since it was asked last; it is to be asked at `dueAt`.
    mutating func takeLeftOut(at now: Instant) -> [LeftOut] {
        dueAt = nil
        var found: [LeftOut] = []
        for kind in Kind.allCases {
            var lines = kinds[kind]?.leftOut ?? 0
            let own = subjects.filter { $0.key.kind == kind && $0.value.leftOut > 0 }
            if own.count <= Self.named {
                found += own.map { LeftOut(kind: kind, peer: $0.key.peer, lines: $0.value.leftOut) }
            } else {
                lines += own.values.reduce(0) { $0 + $1.leftOut }
            }
            if lines > 0 { found.append(LeftOut(kind: kind, peer: nil, lines: lines)) }
            kinds[kind]?.leftOut = 0
        }
        subjects = subjects.filter { !$0.value.bucket.isFull(at: now) }.mapValues { Count(bucket: $0.bucket) }
        return found
    }

    private static var ofOne: Count { Count(bucket: TokenBucket(every: .seconds(10), atOnce: 5)) }
    private static var ofAll: Count { Count(bucket: TokenBucket(every: .seconds(3), atOnce: 30)) }

    private static func take(from count: inout Count, at now: Instant) -> Bool {
        if count.bucket.admit(at: now) { return true }
        count.leftOut += 1
        return false
    }

    /// Whether one more subject can be remembered.
    private mutating func makeRoom(at now: Instant) -> Bool {
        if subjects.count >= Self.capacity, dueAt == nil {
            subjects = subjects.filter { !$0.value.bucket.isFull(at: now) }
        }
        return subjects.count < Self.capacity
    }
}
