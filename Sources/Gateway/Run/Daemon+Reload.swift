import Addresses
import Control
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

extension Daemon {
    /// Reads the file again and applies the difference: peers that are new, gone or changed, and the private key. Sessions
    /// of peers that did not change go on. What came another way than by the file stays: a key that `wg` gave, an endpoint
    /// that a peer moved to. A file with an error changes nothing. On the chores' thread for files.
    func reload(_ chores: Chores) {
        let old = configuration
        guard let (new, key) = readAgain(old.file) else {
            return log.error("reload: \(old.file) has errors, nothing was changed")
        }
        guard new.interface.mode == old.interface.mode else {
            return log.error("reload: Mode takes a restart, nothing was changed")
        }
        let keys = new.interface.keysForRestart(since: old.interface)
        if !keys.isEmpty {
            let verb = keys.count == 1 ? "takes" : "take"
            log.warning("reload: \(keys.joined(separator: ", ")) changed and \(verb) a restart")
        }
        var applied = old
        applied.interface.privateKey = new.interface.privateKey
        applied.interface.rate = new.interface.rate
        applied.interface.linkOverhead = new.interface.linkOverhead
        applied.interface.clampMSS = new.interface.clampMSS
        applied.peers = new.peers
        let target = applied
        if let (mended, keepsDefault) = network.withLock({ network in network?.change(to: target) }) {
            if !keepsDefault {
                log.warning("reload: a default route that comes or goes (AllowedIPs = 0.0.0.0/0, ::/0) takes a restart")
            }
            report(mended.failures)
        }
        change(to: target)

        let known = Dictionary(uniqueKeysWithValues: old.peers.map { ($0.publicKey, $0) })
        let kept = Set(new.peers.map(\.publicKey))
        let removed = old.peers.map(\.publicKey).filter { !kept.contains($0) }
        let changed = new.peers.filter { known[$0.publicKey]?.isSame(as: $0) != true }
        let placed = Set(changed.filter { known[$0.publicKey]?.endpoint == $0.endpoint }.map(\.publicKey))
        let isNewKey = keyInFile.withLock { last in
            defer { last = key.publicKey }
            return last != key.publicKey
        }
        commands.post { loop, now in
            if isNewKey, loop.tunnel.publicKey != key.publicKey { loop.tunnel.setPrivateKey(key, at: now) }
            loop.tunnel.setRate(target.interface, at: now)
            loop.tunnel.segmentClamp = target.interface.clampMSS.core
            for peer in removed { loop.tunnel.removePeer(peer) }
            for peer in changed {
                var told = peer.tunnelConfiguration
                if placed.contains(peer.publicKey), loop.tunnel.hasPeer(peer.publicKey) {
                    told.endpoint = nil
                } else {
                    chores.resolveAll([peer])
                }
                loop.tunnel.setPeer(peer.publicKey, told, at: now)
            }
        }
        log.info("reloaded: \(changed.count) peers new or changed, \(removed.count) removed")
    }

    private func readAgain(_ file: String) -> (Configuration, PrivateKey)? {
        do throws(FileFailure) {
            let files = try steward.readConfiguration()
            let (found, diagnostics) = try Configuration.load(file, from: files)
            for diagnostic in diagnostics { log.warning("\(diagnostic)") }
            guard let found else { return nil }
            let (key, problems) = found.loadPrivateKey(from: files)
            for diagnostic in problems { log.warning("\(diagnostic)") }
            return key.map { (found, $0) }
        } catch {
            log.warning("\(error)")
            return nil
        }
    }
}

extension Configuration.Peer {
    /// Whether the tunnel would be told the same of both.
    fileprivate func isSame(as other: Configuration.Peer) -> Bool {
        publicKey == other.publicKey && presharedKey?.base64 == other.presharedKey?.base64
            && allowedIPs == other.allowedIPs && endpoint == other.endpoint
            && persistentKeepalive == other.persistentKeepalive && compression == other.compression
            && compressionScope == other.compressionScope && compressionSkip == other.compressionSkip
            && compressionOnly == other.compressionOnly && cipher == other.cipher
            && allowedMACs == other.allowedMACs && rate == other.rate && autoRate == other.autoRate
            && downRate == other.downRate
            && repair == other.repair && parity == other.parity
    }
}
