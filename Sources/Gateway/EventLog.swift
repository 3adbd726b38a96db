import Control
import Keys
import TunnelCore

/// Turns what happens in the tunnel into lines for a person, and asks for a name's address again when a peer does not
/// answer. On the data thread.
struct EventLog: ~Copyable {
    /// Lines about messages from strangers in any ten seconds; the rest is counted in `stats` alone.
    private static let strangers = 5

    private let daemon: Daemon
    private let chores: Chores
    private var strangerLines = 0
    private var strangersSince = Instant.distantPast

    init(_ daemon: Daemon, _ chores: Chores) {
        self.daemon = daemon
        self.chores = chores
    }

    mutating func note(_ event: TunnelEvent, at time: Instant) {
        let log = daemon.log
        switch event {
        case .handshakeDone(let key, let path, let initiator):
            log.info(
                "\(daemon.name(of: key)): handshake done with \(path.remote) (we \(initiator ? "asked" : "answered"))")
        case .handshakeUnanswered(let key, let attempt):
            // Each attempt is too much to read; the first says it, and every sixth that it goes on.
            if attempt % 6 == 1 {
                log.warning("\(daemon.name(of: key)): no answer to our handshake after \(attempt * 5) s, trying again")
            }
            chores.resolveAgain(key)
        case .handshakeGivenUp(let key, let dropped):
            log.warning(
                "\(daemon.name(of: key)): no answer for 90 s, giving up until there is traffic again; "
                    + "\(dropped) waiting packets dropped. Is the endpoint right, the peer up, our key known to it?")
        case .handshakeFailed(let failure, let key, let path):
            noteFailure(failure, key, path, at: time)
        case .peerAnnounced(let key, let codecs, let suite, let version):
            let names = Codec.allCases.filter { codecs.contains($0) }.map(\.name)
            log.info(
                "\(daemon.name(of: key)): a gateway, version \(version), decodes "
                    + "\(names.isEmpty ? "nothing" : names.joined(separator: ", ")); cipher \(suite.name)")
        case .cipherRefused(let key):
            log.error(
                "\(daemon.name(of: key)): it does not do AES-256-GCM, which Cipher = aes256gcm demands; "
                    + "nothing is sent to it")
        case .ethernetRefused(let key):
            log.error(
                "\(daemon.name(of: key)): it does not do Ethernet, which Mode = tap demands; nothing is sent to it")
        case .packetsRefused(let key):
            log.error("\(daemon.name(of: key)): it carries Ethernet; write Mode = tap here too, or Mode = tun there")
        case .roamed(let key, let path):
            log.info("\(daemon.name(of: key)): now at \(path.remote)")
        case .wiped(let key):
            log.info("\(daemon.name(of: key)): silent for 9 minutes, keys wiped")
        }
    }

    private mutating func noteFailure(
        _ failure: HandshakeFailure, _ key: PublicKey?, _ path: TunnelCore.Path?, at time: Instant
    ) {
        if time - strangersSince > .seconds(10) {
            strangersSince = time
            strangerLines = 0
        }
        strangerLines += 1
        guard strangerLines <= Self.strangers else { return }
        let place = path.map { " from \($0.remote)" } ?? ""
        let peer = key.map { "\(daemon.name(of: $0)): " } ?? ""
        let reason =
            switch failure {
            case .noIdentity: "no private key is set"
            case .notAuthentic: "handshake\(place) refused: its sender is no peer of ours, or has another key for us"
            case .replayed:
                "handshake\(place) refused: not newer than the last (a replay, or the peer's clock went back)"
            case .flood: "handshake\(place) refused: too soon after the last"
            case .notPending: "handshake response\(place) refused: we did not ask"
            case .response: "handshake response\(place) refused: is the preshared key the same on both ends?"
            case .unusableKey: "its public key can't be used: it is our own, or a weak one"
            }
        daemon.log.warning(peer + reason)
    }
}
