import Control
import Keys
import LinuxIO
import Steward
import TunnelCore

// Keys that take the place of others (docs/protocol.md §3.13): what a peer says of one is written into the file, and holds, before
// it is answered. On the chores' thread for files.

extension Daemon {
    /// Takes a peer's word about a key.
    func take(_ record: RotateRecord, from key: PublicKey, _ chores: Chores) {
        guard !isHandedOver, record.subject == .presharedKey, let peer = settings.peer(key) else { return }
        let known = onLoop { loop, _ in (stands: loop.tunnel.keysStand(with: key), ours: loop.tunnel.publicKey) }
        guard let known, let ours = known.ours else { return }
        let (keys, answer) = peer.presharedKeys.taking(
            record, stands: known.stands, goesFirst: ours.description < key.description)
        var answered = answer
        if let keys {
            do throws(Failure) {
                try write(keys, of: peer, chores)
                tell(record.step, of: key)
            } catch {
                log.warning("\(name(of: key)): its new preshared key is not taken: \(error.message)")
                answered = record.step == .offer ? RotateRecord(record.subject, .refused, record.key) : nil
            }
        }
        let isOver = keys != nil && record.step == .holds && keys?.previous != nil
        guard answered != nil || isOver else { return }
        commands.post { [answered] loop, now in
            if let answered { _ = loop.tunnel.rotate(answered, with: key, at: now) }
            // We offered it and the peer has it: a session is made with it.
            if isOver { loop.tunnel.renewSession(with: key, at: now) }
        }
    }

    /// Writes the preshared keys with a peer into the file, and has them hold: both, or neither.
    func write(_ keys: PresharedKeys, of peer: Configuration.Peer, _ chores: Chores) throws(Failure) {
        let values = [
            (ConfigurationKey.presharedKey, keys.current), (.presharedKeyNext, keys.next),
            (.presharedKeyPrevious, keys.previous),
        ]
        let edit = PeerEdit(
            .patch, peer.publicKey.description,
            values.map { PeerEdit.Value(key: $0.0.rawValue, text: $0.1?.base64 ?? "") })
        guard let edit else { throw Failure(.software, "a key is no line of a file") }
        try steward.edit(edit)
        guard reload(chores) == nil else { return }
        steward.takeBackEdit()
        throw Failure(.configuration, "\(configuration.file) has errors, or can't be read")
    }

    private func tell(_ step: RotateRecord.Step, of key: PublicKey) {
        let name = name(of: key)
        switch step {
        case .offer:
            log.info("\(name): the new preshared key that it offers is written down; the old one is taken as well")
        case .holds, .done: log.info("\(name): both ends have the new preshared key")
        case .unknown: log.warning("\(name): it knows nothing of the new preshared key: the old one holds again")
        case .refused: log.warning("\(name): it could not write down the new preshared key: the old one stays")
        }
    }
}
