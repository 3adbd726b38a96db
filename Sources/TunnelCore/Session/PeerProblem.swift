public import Addresses

/// What stands between us and a peer, as far as this end can tell.
public enum PeerProblem: Sendable, Equatable {
    /// Nothing has answered our handshake, and nothing else is known.
    case unanswered
    /// The system does not send there; its errno.
    case notSent(Endpoint, errno: Int32)
    /// Somebody on the way has said that a datagram did not get there.
    case rejected(Endpoint, Rejection)
    /// What goes there comes back out of the device: it is routed into the tunnel.
    case loop(Endpoint)
    /// The endpoint is a name that has no address now; the resolver's words.
    case noAddress(String)
    /// The answer to our handshake does not open.
    case response
    /// Its handshake is not newer than its last one.
    case replayed
    /// We answered its handshake, and nothing came on the session.
    case unconfirmed

    /// What an ICMP error says, and who says it. Anybody on the way can forge one: it is told and changes nothing.
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
