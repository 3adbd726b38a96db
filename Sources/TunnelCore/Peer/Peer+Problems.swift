import Addresses

// Problems: what keeps a peer from being reached. It is noted for people alone: nothing here changes what is sent.

extension Peer {
    /// Remembers a problem, and tells it if it is another than before, or comes again.
    mutating func notice(_ problem: PeerProblem, _ services: inout Services) {
        guard problems.notice(problem, at: services.now) else { return }
        services.note(.troubled(publicKey, problem))
    }

    /// The system did not send to the peer.
    mutating func noteNotSent(errno: Int32, _ services: inout Services) {
        guard isAlive, let path else { return }
        notice(.notSent(path.remote, errno: errno), &services)
    }

    /// Our last initiation was not answered, and another one goes out.
    mutating func noteUnanswered(_ services: inout Services) {
        let attempt = problems.countUnanswered()
        let cause = problems.cause(since: handshaking.lastInitiation)
        if cause == nil { problems.remember(.unanswered, at: services.now) }
        services.note(.handshakeUnanswered(publicKey, attempt: attempt, cause: cause))
    }

    /// One of our own datagrams came out of the device.
    @inline(never)
    mutating func dropLoop(_ services: inout Services) {
        drops.count(.loop)
        guard let remote = path?.remote else { return }
        notice(.loop(remote), &services)
    }

    /// Drops a packet whose source is not among the peer's AllowedIPs.
    @inline(never)
    mutating func dropForeign(_ source: IPAddress, _ services: inout Services) {
        drops.count(.allowedIPs)
        guard let packets = problems.foreignSources.count(at: services.now.instant) else { return }
        services.note(.sourceRefused(publicKey, source, packets: packets))
    }

    /// Drops what would cost more than the peer's budget.
    @inline(never)
    mutating func dropBeyondBudget(_ services: inout Services) {
        drops.count(.budget)
        guard let drops = problems.beyondBudget.count(at: services.now.instant) else { return }
        services.note(.budgetExceeded(publicKey, drops: drops))
    }

    /// Notes why one of its handshakes failed.
    mutating func noteFailed(_ failure: HandshakeFailure, from path: Path?, _ services: inout Services) {
        switch failure {
        case .response: problems.remember(.response, at: services.now)
        case .replayed: problems.remember(.replayed, at: services.now)
        default: break
        }
        services.note(.handshakeFailed(failure, publicKey, path))
    }
}
