import Addresses
import Keys

/// Whether handshake messages, which cost X25519 and may come from anybody, are worth that: made for us, and under load from an
/// address that is their sender's (whitepaper §5.3).
struct HandshakeAdmission {
    private var cookies: CookieChecker?
    /// Messages that the handshake thread has.
    private(set) var underWay = 0
    /// The end of the load, as it seems.
    var underLoadUntil = Instant.distantPast
    /// Initiations whose senders have proved their address.
    private var initiations = RateLimiter(admitsWhenFull: false)
    /// Cookie replies, to addresses that may be forged: a flood is not reflected, and costs no more than its arrival.
    private var replies = RateLimiter(admitsWhenFull: true)

    enum Verdict {
        /// The handshake thread is to have it.
        case admitted
        /// It is dropped and counted; the reply is to be sent.
        case dropped(DropReason, CookieReply.Bytes? = nil)
    }

    /// Makes messages for this key admissible, and no others.
    mutating func setIdentity(_ key: PublicKey?) { cookies = key.map { CookieChecker($0) } }

    mutating func noteBegun() { underWay += 1 }
    mutating func noteDone() { underWay -= 1 }

    mutating func admit<let size: Int>(
        _ message: InlineArray<size, UInt8>, from path: Path, at now: Now, _ randomness: inout Randomness
    ) -> Verdict {
        guard cookies?.verifyMAC1(message) == true else { return .dropped(.mac1) }
        if underWay >= Limits.handshakeLoad { underLoadUntil = now.instant + Limits.loadLatency }
        guard now.instant < underLoadUntil else { return .admitted }
        guard underWay < Limits.handshakeQueue else { return .dropped(.rateLimited) }
        let address = path.remote.address
        if cookies?.verifyMAC2(message, from: path.remote, at: now) == true {
            return initiations.admit(address, at: now.instant) ? .admitted : .dropped(.rateLimited)
        }
        guard replies.admit(address, at: now.instant) else { return .dropped(.rateLimited) }
        return .dropped(
            .rateLimited, cookies?.reply(to: message, from: path.remote, at: now, randomness: &randomness))
    }
}
