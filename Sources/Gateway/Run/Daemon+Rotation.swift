import Control
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

// Keys that take the place of others (docs/protocol.md §3.13): what a peer says of one is written into the file, and holds, before
// it is answered. On the chores' thread for files.

extension Daemon {
    /// Takes a peer's word about a key.
    func take(_ record: RotateRecord, from key: PublicKey, _ chores: Chores) {
        guard !isHandedOver, let peer = settings.peer(key) else { return }
        guard record.subject == .presharedKey else { return takePublicKey(record, of: peer, chores) }
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
        try write(values.map { ($0.0, $0.1?.base64) }, of: peer)
        guard reload(chores) == nil else { return }
        steward.takeBackEdit()
        throw Failure(.configuration, "\(configuration.file) has errors, or can't be read")
    }

    private func write(
        _ values: [(key: ConfigurationKey, text: String?)], of peer: Configuration.Peer
    ) throws(Failure) {
        let edit = PeerEdit(
            .patch, peer.publicKey.description,
            values.map { PeerEdit.Value(key: $0.key.rawValue, text: $0.text ?? "") })
        guard let edit else { throw Failure(.software, "a key is no line of a file") }
        try steward.edit(edit)
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

// A public key.

/// The peers that have heard of the public key that is to be ours.
struct KeyHolders {
    private(set) var key: PublicKey?
    private(set) var holding: Set<PublicKey> = []
    private(set) var refusing: Set<PublicKey> = []

    /// Begins with a key, or goes on with it.
    mutating func begin(_ key: PublicKey?) {
        guard self.key != key || !refusing.isEmpty else { return }
        self = KeyHolders()
        self.key = key
    }

    mutating func note(_ step: RotateRecord.Step, of peer: PublicKey) {
        if step == .holds { holding.insert(peer) }
        if step == .refused { refusing.insert(peer) }
    }
}

extension Daemon {
    private func takePublicKey(_ record: RotateRecord, of peer: Configuration.Peer, _ chores: Chores) {
        let (key, next) = (peer.publicKey, PublicKey(bytes: record.key))
        switch record.step {
        case .offer:
            var step = RotateRecord.Step.holds
            do throws(Failure) {
                try hold(next, of: peer, chores)
            } catch {
                log.warning("\(name(of: key)): its new public key is not taken: \(error.message)")
                step = .refused
            }
            commands.post { [step] loop, now in
                _ = loop.tunnel.rotate(RotateRecord(.publicKey, step, record.key), with: key, at: now)
            }
        case .done:
            guard peer.publicKeyNext == next else { return }
            do throws(Failure) {
                try write([(.publicKey, next.description), (.publicKeyNext, nil)], of: peer)
            } catch {
                return log.warning("\(name(of: key)): its new public key can't be written down: \(error.message)")
            }
            rename(key, to: next)
        case .holds, .refused:
            keyHolders.withLock { if $0.key == next { $0.note(record.step, of: key) } }
        case .unknown: break
        }
    }

    /// Writes a key down that is to be a peer's, beside the one that it has.
    private func hold(_ next: PublicKey, of peer: Configuration.Peer, _ chores: Chores) throws(Failure) {
        guard next != peer.publicKey, next != peer.publicKeyNext else { return }
        let isOurs = keyInFile.withLock { $0 } == next
        let isTaken = configuration.peers.contains { $0.publicKey == next || $0.publicKeyNext == next }
        guard !isOurs, !isTaken else { throw Failure(.configuration, "it is another end's") }
        try write([(.publicKeyNext, next.description)], of: peer)
        guard reload(chores) == nil else {
            return log.info(
                "\(name(of: peer.publicKey)): its new public key is written down; the old one is taken as well")
        }
        steward.takeBackEdit()
        throw Failure(.configuration, "\(configuration.file) has errors, or can't be read")
    }

    private func rename(_ key: PublicKey, to next: PublicKey) {
        var configuration = configuration
        guard let index = configuration.peers.firstIndex(where: { $0.publicKey == key }) else { return }
        configuration.peers[index].publicKey = next
        configuration.peers[index].publicKeyNext = nil
        change(to: configuration)
        log.info("\(name(of: next)): it uses its new public key, \(next)")
        commands.post { loop, _ in loop.tunnel.rename(key, to: next) }
    }

    /// The private key that is to be ours: one that was begun with, or another.
    func nextPrivateKey() throws(Failure) -> PrivateKey {
        do throws(FileFailure) {
            let known = configuration.loadNextPrivateKey(from: try steward.readConfiguration())
            if let known, keyInFile.withLock({ $0 }) != known.publicKey { return known }
            let key = PrivateKey.generate()
            try steward.storeNext(key)
            return key
        } catch { throw Failure(error) }
    }

    /// Goes over to a private key of which the peers know.
    func changePrivateKey(to key: PrivateKey) throws(Failure) {
        do throws(FileFailure) { try steward.store(key) } catch { throw Failure(error) }
        keyInFile.withLock { $0 = key.publicKey }
        var configuration = configuration
        if case .inline = configuration.interface.privateKey {
            configuration.interface.privateKey = .inline(key)
            change(to: configuration)
        }
        try? steward.storeNext(nil)
        keyHolders.withLock { $0 = KeyHolders() }
        commands.post { loop, now in loop.tunnel.changePrivateKey(to: key, at: now) }
        log.info("private key changed, our public key is \(key.publicKey)")
    }
}
