public import Keys

extension Tunnel {
    /// Asks a peer by a PING (docs/protocol.md §3.7). The answer is `answer(to:of:)` of the token, when it has come.
    public mutating func ping(_ key: PublicKey, at now: Now) -> PingQuestion {
        guard let slot = peers.slot(of: key) else { return .noPeer }
        services.now = now
        return peers[slot].ping(&services)
    }

    /// The last problem of a peer that says more than that nothing answers, and when it was seen last.
    public func problem(of key: PublicKey) -> (PeerProblem, Instant)? {
        guard let slot = peers.slot(of: key), let last = peers[slot].problems.last, last.problem != .unanswered else {
            return nil
        }
        return (last.problem, last.at)
    }

    /// How long the way took that this question asked for; `nil`: it has not been answered, or another one was since.
    public func answer(to token: UInt64, of key: PublicKey) -> Interval? {
        guard let slot = peers.slot(of: key), let answered = peers[slot].quality.answered, answered.token == token
        else {
            return nil
        }
        return answered.trip
    }
}
