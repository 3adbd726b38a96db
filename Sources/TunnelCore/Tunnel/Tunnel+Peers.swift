public import Addresses
import BasicContainers
public import Keys

// What the operator changes. Nothing here drops a session that did not change.

extension Tunnel {
    /// Sets or takes away our private key. All sessions end: they were made with the old one; where
    /// there was one, another is asked for at once.
    public mutating func setPrivateKey(_ key: PrivateKey?, at now: Now) {
        privateKey = key
        publicKey = key?.publicKey
        cookieChecker = publicKey.map { CookieChecker($0) }
        jobs.append(.identity(key))
        indices.removeReserved()
        // Ourselves as a peer would be a loop.
        if let publicKey { removePeer(publicKey) }
        for slot in slots.values {
            let hadSession = peers[Int(slot)].current >= 0
            endSessions(slot)
            peers[Int(slot)].lastInitiation = .distantPast
            if hadSession { startHandshake(slot, at: now) }
        }
    }

    public func hasPeer(_ key: PublicKey) -> Bool { slots[key] != nil }

    /// Any of the peers; `nil` if there is none.
    public var somePeer: PublicKey? { slots.first?.key }

    /// Adds a peer about which nothing else is said yet; false if there are too many.
    public mutating func addPeer(_ key: PublicKey) -> Bool {
        guard slots[key] == nil else { return true }
        guard slots.count < Limits.peers else { return false }
        insert(key, PeerConfiguration())
        return true
    }

    /// Adds a peer, or changes everything that is said about one that is there; its sessions stay.
    public mutating func setPeer(_ key: PublicKey, _ configuration: PeerConfiguration, at now: Now) {
        if slots[key] == nil {
            guard slots.count < Limits.peers else { return }
            insert(key, configuration)
        } else {
            setPresharedKey(configuration.presharedKey, of: key)
            setOptions(configuration.compression, configuration.cipher, of: key, at: now)
        }
        setAllowedMACs(configuration.allowedMACs, of: key)
        if let endpoint = configuration.endpoint { setEndpoint(endpoint, of: key) }
        setAllowedIPs(configuration.allowedIPs, of: key)
        setPersistentKeepalive(configuration.persistentKeepalive, of: key, at: now)
    }

    private mutating func insert(_ key: PublicKey, _ configuration: PeerConfiguration) {
        nextGeneration &+= 1
        let slot = freeSlots.popLast() ?? Int32(peers.count)
        let id = PeerID(slot: slot, generation: nextGeneration)
        if Int(slot) < peers.count {
            // They are known by the slot: what held of its last peer's flows holds no more.
            chain.flows.removeAll()
            peers[Int(slot)] = Peer(id, key, configuration, carriesFrames: carriesFrames)
        } else {
            peers.append(Peer(id, key, configuration, carriesFrames: carriesFrames))
        }
        slots[key] = slot
        jobs.append(.peer(id, key, configuration.presharedKey))
    }

    /// Takes a peer away, with its sessions and its AllowedIPs.
    public mutating func removePeer(_ key: PublicKey) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        endSessions(slot)
        allowedIPs.removeAll(slot)
        addresses.forget(slot)
        jobs.append(.removePeer(peers[Int(slot)].id))
        peers[Int(slot)].isAlive = false
        peers[Int(slot)].staged = StagedPackets()
        gathering.removeAll(for: slot)
        freeSlots.append(slot)
    }

    /// Takes effect with the next handshake.
    public mutating func setPresharedKey(_ presharedKey: PresharedKey?, of key: PublicKey) {
        guard let slot = slots[key] else { return }
        peers[Int(slot)].presharedKey = presharedKey
        jobs.append(.peer(peers[Int(slot)].id, key, presharedKey))
    }

    /// Sends there from now on, until something authentic comes from elsewhere; from which address of ours is open again.
    public mutating func setEndpoint(_ endpoint: Endpoint, of key: PublicKey) {
        guard let slot = slots[key] else { return }
        peers[Int(slot)].path = Path(endpoint)
    }

    /// Gives a peer exactly these prefixes; those that were another's are taken from it.
    public mutating func setAllowedIPs(_ prefixes: [Prefix], of key: PublicKey) {
        guard let slot = slots[key] else { return }
        allowedIPs.removeAll(slot)
        for prefix in prefixes { allowedIPs.insert(prefix, slot) }
    }

    /// Sets the only sources of frames that are believed of a peer; `nil`: any.
    public mutating func setAllowedMACs(_ sources: [MACAddress]?, of key: PublicKey) {
        guard let slot = slots[key] else { return }
        if peers[Int(slot)].setAllowedMACs(sources) { addresses.forget(slot) }
    }

    /// Gives a peer one more prefix, which is taken from another that has it.
    public mutating func allow(_ prefix: Prefix, for key: PublicKey) {
        guard let slot = slots[key] else { return }
        allowedIPs.insert(prefix, slot)
    }

    /// Takes a prefix from a peer, if it has it.
    public mutating func disallow(_ prefix: Prefix, for key: PublicKey) {
        guard let slot = slots[key] else { return }
        allowedIPs.remove(prefix, slot)
    }

    /// Takes up to `count` of its prefixes from a peer; how many those were.
    public mutating func disallowSome(of key: PublicKey, atMost count: Int) -> Int {
        guard let slot = slots[key] else { return 0 }
        return allowedIPs.removeSome(slot, atMost: count)
    }

    /// `nil`: none. One that was not there before begins with a keepalive now.
    public mutating func setPersistentKeepalive(_ interval: Interval?, of key: PublicKey, at now: Now) {
        guard let slot = slots[key] else { return }
        let wasOff = !peers[Int(slot)].timers.isArmed(.persistentKeepalive)
        peers[Int(slot)].persistentKeepalive = interval
        guard interval != nil else { return peers[Int(slot)].timers.disarm(.persistentKeepalive) }
        if wasOff { arm(.persistentKeepalive, slot, at: now.instant) }
    }

    /// What is sent changes at once; what is announced can be unsaid only by a new session, which is asked for.
    public mutating func setOptions(
        _ compression: CompressionPolicy, _ cipher: CipherPolicy, of key: PublicKey, at now: Now
    ) {
        guard let slot = slots[key] else { return }
        let announced = peers[Int(slot)].announced
        let isSame = peers[Int(slot)].cipher == cipher
        peers[Int(slot)].compression = compression
        // What the old rules said of them holds no more.
        chain.flows.removeAll()
        peers[Int(slot)].cipher = cipher
        guard !isSame || peers[Int(slot)].announced != announced else { return }
        let hadSession = peers[Int(slot)].current >= 0
        endSessions(slot)
        peers[Int(slot)].lastInitiation = .distantPast
        if hadSession { startHandshake(slot, at: now) }
    }

    public mutating func setCompression(_ mode: CompressionPolicy.Mode, of key: PublicKey, at now: Now) {
        guard let slot = slots[key] else { return }
        var compression = peers[Int(slot)].compression
        compression.mode = mode
        setOptions(compression, peers[Int(slot)].cipher, of: key, at: now)
    }

    public mutating func setCipher(_ cipher: CipherPolicy, of key: PublicKey, at now: Now) {
        guard let slot = slots[key] else { return }
        setOptions(peers[Int(slot)].compression, cipher, of: key, at: now)
    }

    /// The local address that a peer is answered from was refused by the system: let the routing table choose.
    public mutating func forgetSource(ofPeer slot: Int32) {
        guard slot >= 0, Int(slot) < peers.count else { return }
        peers[Int(slot)].path?.local = nil
    }

    /// The slot of a peer that is still there.
    func slot(of id: PeerID) -> Int32? {
        guard Int(id.slot) < peers.count, peers[Int(id.slot)].isAlive, peers[Int(id.slot)].id == id else { return nil }
        return id.slot
    }
}
