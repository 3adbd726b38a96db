import Control
import Keys
import TunnelCore

/// Turns what happens in the tunnel into lines for a person, and asks for a name's address again when a peer does not
/// answer. On the data thread.
struct EventLog: ~Copyable {
    private let daemon: Daemon
    private let chores: Chores
    private var limits = LineLimits()
    private var unnoted: UInt64 = 0

    init(_ daemon: Daemon, _ chores: Chores) {
        self.daemon = daemon
        self.chores = chores
    }

    /// When `tellLeftOut` has something to tell; `nil` if it has nothing.
    var dueAt: Instant? { limits.dueAt }

    mutating func note(_ event: TunnelEvent, at time: Instant) {
        switch event {
        case .handshakeDone(let key, let path, let initiator):
            say(.info, .handshakeDone, key, at: time) {
                "\($0): handshake done with \(path.remote) (we \(initiator ? "asked" : "answered"))"
            }
        case .handshakeUnanswered(let key, let attempt, let cause):
            noteUnanswered(key, attempt, cause, at: time)
            chores.resolveAgain(key)
        case .handshakeGivenUp(let key, let dropped):
            say(.warning, .givenUp, key, at: time) {
                "\($0): no answer for 90 s, giving up until there is traffic again; "
                    + "\(dropped) waiting packets dropped. Is the endpoint right, the peer up, our key known to it?"
            }
        case .handshakeFailed(let failure, let key, let path):
            noteFailure(failure, key, path, at: time)
        case .troubled(let key, let problem):
            say(.warning, .problem, key, at: time) { "\($0): \(problem.text)" }
        case .keyExchange(let key, let isAgreed):
            say(isAgreed ? .info : .warning, .keyExchange, key, at: time) {
                isAgreed
                    ? "\($0): key exchange x25519+mlkem768: what is recorded now stays secret from a quantum computer"
                    : "\($0): key exchange x25519 alone: the peer has lost the key that both agreed on, or answers without it"
            }
        case .keyExchangeRefused(let key):
            say(.error, .keyExchange, key, at: time) {
                "\($0): it takes no part in the post-quantum key exchange, which PostQuantum = require demands: nothing is "
                    + "sent to it or taken from it. Write PostQuantum = prefer on both ends, or off here"
            }
        case .sourceRefused(let key, let source, let packets):
            say(.warning, .source, key, at: time) {
                "\($0): dropped \(packets == 1 ? "a packet" : "\(packets) packets"), the last one from \(source), "
                    + "which is not among its AllowedIPs"
            }
        case .budgetExceeded(let key, let drops):
            say(.warning, .budget, key, at: time) {
                "\($0): dropped \(drops == 1 ? "a datagram" : "\(drops) datagrams") unread: what it sends decodes to more than "
                    + "its budget (docs/security.md)"
            }
        case .peerAnnounced(let key, let codecs, let suite, let version):
            let names = Codec.allCases.filter { codecs.contains($0) }.map(\.name)
            say(.info, .announced, key, at: time) {
                "\($0): a gateway, version \(version), decodes "
                    + "\(names.isEmpty ? "nothing" : names.joined(separator: ", ")); cipher \(suite.name)"
            }
        case .downRate(let key, let kilobits):
            say(.info, .announced, key, at: time) {
                guard let kilobits else { return "\($0): it says no more how fast it can be sent to" }
                return "\($0): it can be sent to at \(Double(kilobits) / 1000) Mbit/s, it says, and is no faster"
            }
        case .downRateRefused(let key, let kilobits):
            say(.warning, .announced, key, at: time) {
                "\($0): it can be sent to at \(kilobits) kbit/s, it says, which is ignored: 64 to 1000000 is possible"
            }
        case .rateUnheard(let key, let kilobits):
            say(.warning, .announced, key, at: time) {
                "\($0): it says nothing of what arrives, by which Rate = auto finds the rate: it is sent to at the least, "
                    + "\(Double(kilobits) / 1000) Mbit/s. It is no gateway, or has neither Compression nor DownRate for us"
            }
        case .cipherRefused(let key):
            say(.error, .mismatch, key, at: time) {
                "\($0): it does not do AES-256-GCM, which Cipher = aes256gcm demands; nothing is sent to it"
            }
        case .cipherUnknown(let key):
            say(.error, .mismatch, key, at: time) {
                "\($0): it has not said that it does AES-256-GCM, which Cipher = aes256gcm demands; nothing is sent to "
                    + "it. It is no gateway, or has neither Cipher nor Compression for us"
            }
        case .ethernetRefused(let key):
            say(.error, .mismatch, key, at: time) {
                "\($0): it does not do Ethernet, which Mode = tap demands; nothing is sent to it"
            }
        case .packetsRefused(let key):
            say(.error, .mismatch, key, at: time) {
                "\($0): it carries Ethernet; write Mode = tap here too, or Mode = tun there"
            }
        case .roamed(let key, let path):
            say(.info, .roamed, key, at: time) { "\($0): now at \(path.remote)" }
        case .pathMTU(let key, let news):
            say(news.isSilent ? .warning : .info, .path, key, at: time) { "\($0): \(news.text)" }
        case .rotation(let key, let record): chores.take(record, from: key)
        case .wiped(let key):
            say(.info, .wiped, key, at: time) { "\($0): silent for 9 minutes, keys wiped" }
        }
    }

    /// Tells how much was left out, once a minute; `unnoted` is what the tunnel had no room for.
    mutating func tellLeftOut(_ unnoted: UInt64, at time: Instant) {
        if unnoted != self.unnoted, limits.admit(.unnoted, nil, at: time) {
            daemon.log.say(
                .warning, Log.Subject(.leftOut), "too much at once: \(unnoted - self.unnoted) lines left out")
            self.unnoted = unnoted
        }
        guard let dueAt, dueAt <= time else { return }
        for one in limits.takeLeftOut(at: time) {
            let place = one.peer.map { "\(daemon.name(of: $0)): " } ?? ""
            daemon.log.say(
                .warning, Log.Subject(.leftOut, key: one.peer),
                "\(place)\(one.kind.rawValue): \(one.lines) more lines left out in the last minute")
        }
    }

    /// Each attempt is too much to read; the first says it, and every sixth that it goes on, until that is old. What is known
    /// to be the cause has been said already.
    private mutating func noteUnanswered(_ key: PublicKey, _ attempt: Int, _ cause: PeerProblem?, at time: Instant) {
        guard attempt % (attempt < 18 ? 6 : 60) == 1, attempt > 1 || cause == nil else { return }
        say(.warning, .unanswered, key, at: time) {
            let hint = attempt == 1 ? PeerProblem.unanswered.hint : ""
            return "\($0): no answer to our handshake after \(attempt * 5) s, trying again"
                + (cause.map { ": \($0.text)" } ?? hint)
        }
    }

    private mutating func noteFailure(
        _ failure: HandshakeFailure, _ key: PublicKey?, _ path: TunnelCore.Path?, at time: Instant
    ) {
        let kind: (LineLimits.Kind, PublicKey?) =
            switch failure {
            case .foreignKey: (.foreignKey, nil)
            case .stranger(let stranger): (.stranger, stranger)
            default: (.refused, key)
            }
        guard limits.admit(kind.0, kind.1, at: time) else { return }
        let handshake = "handshake\(path.map { " from \($0.remote)" } ?? "") refused"
        let reason =
            switch failure {
            case .noIdentity: "no private key is set"
            case .notAuthentic: "\(handshake): its sender is no peer of ours, or has another key for us"
            case .foreignKey(let ours): "\(handshake): it is made for another public key than ours, \(ours)"
            case .stranger(let stranger):
                "\(handshake): its sender is no peer of ours; if it should be: PublicKey = \(stranger)"
            case .replayed: "\(handshake): not newer than the last (a replay, or the peer's clock went back)"
            case .flood: "\(handshake): too soon after the last"
            case .notPending: "\(response(path)): we did not ask"
            case .response: "\(response(path)): is the preshared key the same on both ends?"
            case .unusableKey: "its public key can't be used: it is our own, or a weak one"
            }
        daemon.log.say(
            .warning, subject(kind.0, key ?? kind.1), (key.map { "\(daemon.name(of: $0)): " } ?? "") + reason)
    }

    private func response(_ path: TunnelCore.Path?) -> String {
        "handshake response\(path.map { " from \($0.remote)" } ?? "") refused"
    }

    /// Writes a line about a peer, unless there were too many; `line` gets its name.
    private mutating func say(
        _ level: GatewayEvent.Level, _ kind: LineLimits.Kind, _ key: PublicKey, at time: Instant,
        _ line: (String) -> String
    ) {
        guard limits.admit(kind, key, at: time) else { return }
        daemon.log.say(level, subject(kind, key), line(daemon.name(of: key)))
    }

    private func subject(_ kind: LineLimits.Kind, _ key: PublicKey?) -> Log.Subject {
        Log.Subject(kind.ofEvent, peer: key.flatMap { daemon.settings.peer($0)?.name }, key: key)
    }
}
