import Control
import Keys
import TunnelCore

/// The configuration as one value that never changes. Who holds it may keep it and takes no lock to read it; a
/// change makes another one (`Daemon.change`).
final class Settings: Sendable {
    let configuration: Configuration
    private let places: [PublicKey: Int]
    /// Peers with which a preshared key takes the place of another.
    let changing: [Configuration.Peer]

    init(_ configuration: Configuration) {
        self.configuration = configuration
        places = Dictionary(
            configuration.peers.enumerated().map { ($1.publicKey, $0) }, uniquingKeysWith: { first, _ in first })
        changing = configuration.peers.filter { $0.presharedKeys.isChanging }
    }

    /// The peer's section.
    func peer(_ key: PublicKey) -> Configuration.Peer? { places[key].map { configuration.peers[$0] } }

    /// The name by which a person calls a peer: its name, or the beginning of its key.
    func name(of key: PublicKey) -> String { peer(key)?.name ?? "peer \(key.description.prefix(8))…" }
}
