public import Addresses
import BasicContainers
public import Keys

// What keeps a peer from being reached. It is noted for people alone: nothing here changes what is sent.

extension Tunnel {
    /// After this time without it, a problem that comes again is news.
    private static let memory = Interval.seconds(120)
    /// How often a peer's packets from sources that are not its own are told.
    private static let sourceInterval = Interval.seconds(10)

    /// The system did not send to a peer.
    public mutating func noteNotSent(toPeer slot: Int32, errno: Int32, at now: Now) {
        guard slot >= 0, Int(slot) < peers.count, peers[Int(slot)].isAlive, let path = peers[Int(slot)].path else {
            return
        }
        notice(.notSent(path.remote, errno: errno), slot, at: now)
    }

    /// An ICMP error came for what was sent to `endpoint`. Looks at all peers, so not more often than it can matter.
    public mutating func noteRejected(_ endpoint: Endpoint, _ rejection: PeerProblem.Rejection, at now: Now) {
        guard rejections.admit(at: now.instant) else { return }
        for slot in 0..<peers.count where peers[slot].isAlive && peers[slot].path?.remote == endpoint {
            notice(.rejected(endpoint, rejection), Int32(slot), at: now)
        }
    }

    /// Somebody else found out what is wrong with a peer.
    public mutating func note(_ problem: PeerProblem, of key: PublicKey, at now: Now) {
        if let slot = slots[key] { notice(problem, slot, at: now) }
    }

    /// Remembers a problem, and tells it if it is another than before, or comes again.
    mutating func notice(_ problem: PeerProblem, _ slot: Int32, at now: Now) {
        let last = peers[Int(slot)].trouble
        peers[Int(slot)].trouble = Trouble(problem, at: now)
        if let last, last.problem == problem, !last.isOver, now.instant - last.at < Self.memory { return }
        note(.troubled(peers[Int(slot)].publicKey, problem))
    }

    /// Our last initiation was not answered, and another one goes out.
    mutating func noteUnanswered(_ slot: Int32, at now: Now) {
        peers[Int(slot)].unanswered += 1
        let cause = cause(slot)
        if cause == nil { peers[Int(slot)].trouble = Trouble(.unanswered, at: now) }
        let attempt = peers[Int(slot)].unanswered
        note(.handshakeUnanswered(peers[Int(slot)].publicKey, attempt: attempt, cause: cause))
    }

    /// What is known to keep our last initiation from being answered.
    func cause(_ slot: Int32) -> PeerProblem? {
        guard let trouble = peers[Int(slot)].trouble, !trouble.isOver, trouble.problem != .unanswered,
            trouble.at >= peers[Int(slot)].lastInitiation
        else { return nil }
        return trouble.problem
    }

    /// One of our own datagrams came out of the device.
    @inline(never)
    mutating func dropLoop(_ slot: Int32, at now: Now) {
        peers[Int(slot)].drops.count(.loop)
        guard let remote = peers[Int(slot)].path?.remote else { return }
        notice(.loop(remote), slot, at: now)
    }

    /// A peer's packet came from a source that is not among its AllowedIPs.
    @inline(never)
    mutating func noteSource(_ source: IPAddress, _ slot: Int32, at now: Now) {
        peers[Int(slot)].foreignSources += 1
        guard now.instant - peers[Int(slot)].foreignSourceToldAt >= Self.sourceInterval else { return }
        note(.sourceRefused(peers[Int(slot)].publicKey, source, packets: peers[Int(slot)].foreignSources))
        peers[Int(slot)].foreignSourceToldAt = now.instant
        peers[Int(slot)].foreignSources = 0
    }

    /// Somebody whom we do not know did something wrong. He may do so very often: there is always room for news of peers.
    mutating func noteStranger(_ failure: HandshakeFailure, _ path: Path) {
        if events.count < Self.mostEvents / 4 {
            events.append(.handshakeFailed(failure, nil, path))
        } else {
            unnotedEvents &+= 1
        }
    }
}
