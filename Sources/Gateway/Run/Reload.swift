import Addresses
import Control
import Keys
import LinuxIO
import Steward
import TunnelCore

/// What a file that was read again changes, difference by difference, and what of it holds.
struct Reload {
    /// What routes are called among the changes.
    static let routes = "routes"

    let old: Configuration
    let new: Configuration
    let key: PrivateKey
    /// What holds afterwards: `new` but for what could not be changed.
    private(set) var applied: Configuration
    /// Peers that `wg` changed since the file was applied last.
    var changedMeanwhile: [String] = []
    private let keys: [ChangedKey]
    private let peers: [ChangedPeer]
    private var reasons: [ConfigurationKey: String] = [:]
    /// What went wrong with routes, which belong to no key alone.
    private var routeReason: String?

    init(from old: Configuration, to new: Configuration, _ key: PrivateKey) {
        (self.old, self.new, self.key) = (old, new, key)
        keys = new.changedKeys(since: old)
        peers = new.changedPeers(since: old)
        applied = new
        for changed in keys {
            if let reason = Configuration.Interface.reasonForRestart(changed.key) {
                reasons[changed.key] = "takes a restart: \(reason)"
            }
        }
        // These stay as they are, so that the next reload names them again.
        applied.interface.preUp = old.interface.preUp
        applied.interface.postUp = old.interface.postUp
        applied.interface.bridge = old.interface.bridge
        applied.interface.isHub = old.interface.isHub
        applied.interface.metricsListen = old.interface.metricsListen
    }

    /// Whether a key of `[Interface]` has another value.
    func changes(_ key: ConfigurationKey) -> Bool { keys.contains { $0.key == key } }

    /// A key could not be changed: it stays as it was.
    mutating func fail(_ key: ConfigurationKey, _ reason: String) {
        reasons[key] = reason
        switch key {
        case .listenPort: applied.interface.listenPort = old.interface.listenPort
        case .fwmark: applied.interface.fwmark = old.interface.fwmark
        case .address: applied.interface.addresses = old.interface.addresses
        case .mtu: applied.interface.mtu = old.interface.mtu
        case .dns:
            applied.interface.dnsServers = old.interface.dnsServers
            applied.interface.dnsSearch = old.interface.dnsSearch
        default: break
        }
    }

    mutating func failRoutes(_ reason: String) { routeReason = routeReason ?? reason }

    /// Every difference, with the reason if it does not hold.
    var changes: [ReloadChange] {
        let ofKeys = keys.map { ReloadChange($0.text, reason: reasons[$0.key]) }
        let ofPeers = peers.map { ReloadChange($0.text) }
        let ofRoutes = routeReason.map { [ReloadChange(Self.routes, reason: $0)] } ?? []
        return ofKeys + ofPeers + ofRoutes
    }

    var removed: [PublicKey] { peers.filter { $0.kind == .removed }.map(\.publicKey) }

    /// The peers that are new or changed.
    var changedPeers: [Configuration.Peer] {
        let changed = Set(peers.filter { $0.kind != .removed }.map(\.publicKey))
        return new.peers.filter { changed.contains($0.publicKey) }
    }

    /// Those of them whose endpoint is as it was: where they went meanwhile counts.
    var placed: Set<PublicKey> {
        let known = Dictionary(old.peers.map { ($0.publicKey, $0.endpoint) }, uniquingKeysWith: { first, _ in first })
        return Set(changedPeers.filter { known[$0.publicKey] == .some($0.endpoint) }.map(\.publicKey))
    }
}

extension Configuration {
    /// The peers that are not in a tunnel as they are here, and those that are there and not here.
    func peersChanged(in statistics: TunnelStatistics) -> [String] {
        let there = Dictionary(statistics.peers.map { ($0.publicKey, $0) }, uniquingKeysWith: { first, _ in first })
        let here = Set(peers.map(\.publicKey))
        let changed = peers.filter { peer in
            guard let found = there[peer.publicKey] else { return true }
            let seconds = peer.persistentKeepalive.map { Interval.seconds($0.components.seconds) }
            return Set(found.allowedIPs) != Set(peer.allowedIPs) || found.persistentKeepalive != seconds
                || found.presharedKey?.base64 != peer.presharedKey?.base64
                || found.compression.name != peer.compression.rawValue
        }
        return changed.map { $0.name ?? "\($0.publicKey)" }
            + statistics.peers.filter { !here.contains($0.publicKey) }.map { "\($0.publicKey)" }
    }
}
