public import Addresses

/// A problem that keeps us from a peer, as far as this end can tell.
public enum PeerProblem: Sendable, Equatable {
    /// Nothing has answered our handshake, and nothing else is known.
    case unanswered
    /// The system does not send there; its errno.
    case notSent(Endpoint, errno: Int32)
    /// An ICMP error: somebody on the way says that a datagram did not get there.
    case rejected(Endpoint, Rejection)
    /// Our datagrams there come back out of the device: it is routed into the tunnel.
    case loop(Endpoint)
    /// The endpoint is a name that has no address now; the resolver's words.
    case noAddress(String)
    /// The answer to our handshake does not open.
    case response
    /// Its handshake is not newer than its last one.
    case replayed
    /// We answered its handshake, and nothing came on the session.
    case unconfirmed

    /// An ICMP error: what it says, and who says it. Anybody on the way can forge one: it is told and changes nothing.
    public struct Rejection: Sendable, Equatable {
        public enum Reason: Sendable {
            case port, host, network, prohibited, hops, other
        }

        public let reason: Reason
        /// `nil` if that is not known.
        public let by: IPAddress?

        public init(_ reason: Reason, by: IPAddress?) {
            self.reason = reason
            self.by = by
        }
    }
}

/// The problems of a peer that are remembered: for people alone, it changes nothing that is sent.
struct PeerProblems {
    /// After this time without it, a problem that comes again is news.
    private static let memory = Interval.seconds(120)

    private(set) var last: Trouble?
    /// Initiations in a row without an answer, whoever asked for them.
    private(set) var unanswered = 0
    /// Packets from sources that are not its own.
    var foreignSources = Told()
    /// Drops beyond its budget.
    var beyondBudget = Told()

    init() {}

    /// Remembers a problem.
    mutating func remember(_ problem: PeerProblem, at now: Now) { last = Trouble(problem, at: now) }

    /// Remembers a problem; true if it is another than before, or comes again.
    mutating func notice(_ problem: PeerProblem, at now: Now) -> Bool {
        let before = last
        last = Trouble(problem, at: now)
        guard let before, before.problem == problem, !before.isOver else { return true }
        return now.instant - before.at >= Self.memory
    }

    /// Counts an initiation that was not answered; how many those are.
    mutating func countUnanswered() -> Int {
        unanswered += 1
        return unanswered
    }

    mutating func noteGivenUp() { unanswered = 0 }

    mutating func noteHandshakeDone() {
        last?.isOver = true
        unanswered = 0
    }

    /// The known reason why an initiation that went out then is not answered.
    func cause(since initiation: Instant) -> PeerProblem? {
        guard let last, !last.isOver, last.problem != .unanswered, last.at >= initiation else { return nil }
        return last.problem
    }
}

/// A count of something that is told at once, and then every ten seconds at most.
struct Told {
    private static let interval = Interval.seconds(10)

    private var number = 0
    private var toldAt = Instant.distantPast

    init() {}

    /// Counts one more; how many there are to tell, if it is time.
    mutating func count(at now: Instant) -> Int? {
        number += 1
        guard now - toldAt >= Self.interval else { return nil }
        toldAt = now
        defer { number = 0 }
        return number
    }
}

/// The last problem of a peer, and when it was last seen.
struct Trouble {
    let problem: PeerProblem
    let at: Instant
    let wall: WallTime
    /// A handshake has been done since.
    var isOver = false

    init(_ problem: PeerProblem, at now: Now) {
        self.problem = problem
        at = now.instant
        wall = now.wall
    }
}
