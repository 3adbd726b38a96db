import BasicContainers

// Handshake messages, whitepaper §5.4: from the wire to the handshake thread, and its results to the peers.

extension Tunnel {
    mutating func handleInitiation(_ message: Initiation.Bytes, from path: Path) {
        guard admit(message, from: path) else { return }
        let index = services.indices.insert(.reserved, &services.randomness)
        services.jobs.append(.initiation(message, index: index, from: path, at: services.now))
    }

    mutating func handleResponse(_ message: Response.Bytes, from path: Path) {
        let index = ReceiverIndex(rawValue: message.little32(at: Response.receiver))
        guard case .handshake(let slot) = services.indices[index] else { return services.drops.count(.unknownIndex) }
        guard admit(message, from: path) else { return }
        services.jobs.append(.response(peers[slot].id, message, index: index, from: path))
    }

    /// Admits a handshake message to the handshake thread, or drops it, with a cookie reply under load.
    private mutating func admit<let size: Int>(_ message: InlineArray<size, UInt8>, from path: Path) -> Bool {
        switch admission.admit(message, from: path, at: services.now, &services.randomness) {
        case .admitted:
            admission.noteBegun()
            return true
        case .dropped(let reason, let reply):
            if let reply { _ = services.egress.send(reply, to: Destination(path: path, peer: nil)) }
            services.drops.count(reason)
            if reason == .mac1 { services.noteStranger(publicKey.map { .foreignKey($0) } ?? .noIdentity, path) }
            return false
        }
    }

    mutating func handleCookieReply(_ message: CookieReply.Bytes) {
        let slot: PeerSlot
        switch services.indices[ReceiverIndex(rawValue: message.little32(at: CookieReply.receiver))] {
        case .handshake(let peer): slot = peer
        case .lane(let lane): slot = services.sessions[lane.session].peer
        case .reserved, nil: return services.drops.count(.unknownIndex)
        }
        if !peers[slot].handshaking.accept(message, at: services.now) { services.drops.count(.handshake) }
    }

    /// Takes the result of a job, with room in the outbox: all that waited for the session may go out.
    public mutating func handle(_ result: HandshakeResult, at now: Now) {
        services.now = now
        switch result {
        case .done, .times: break
        case .initiation(let id, let message, let index):
            guard let slot = peers.slot(of: id) else { return }
            peers[slot].send(initiation: message, index, &services)
        case .response(let id, let message, let keys, let index, let remote, let path):
            admission.noteDone()
            // The index is free again if our key changed meanwhile: the session would be the old identity's.
            guard services.indices[index] == .reserved else { return }
            guard let slot = peers.slot(of: id) else { return services.indices.remove(index) }
            let session = NewSession(keys: keys, local: index, remote: remote)
            peers[slot].answer(with: message, session, from: path, &services)
        case .established(let id, let keys, let index, let remote, let path):
            admission.noteDone()
            guard let slot = peers.slot(of: id) else { return }
            peers[slot].establish(NewSession(keys: keys, local: index, remote: remote), from: path, &services)
        case .key(let id, let result):
            guard let slot = peers.slot(of: id) else { return }
            peers[slot].handle(result, &services)
        case .failed(let failure, let id, let index, let path):
            if path != nil {
                admission.noteDone()
                services.drops.count(.handshake)
            }
            if services.indices[index] == .reserved { services.indices.remove(index) }
            if let id, let slot = peers.slot(of: id) {
                peers[slot].noteFailed(failure, from: path, &services)
            } else if let path {
                services.noteStranger(failure, path)
            } else {
                services.note(.handshakeFailed(failure, nil, nil))
            }
        }
        makeRoomToGather()
    }
}
