public import Addresses
import BasicContainers
public import Keys

// Changes by the operator. Nothing here drops a session that did not change.

extension Tunnel {
    /// Sets or takes away our private key. All sessions end: they were made with the old one; where
    /// there was one, another is asked for at once.
    public mutating func setPrivateKey(_ key: PrivateKey?, at now: Now) {
        services.now = now
        privateKey = key
        publicKey = key?.publicKey
        admission.setIdentity(publicKey)
        services.hasIdentity = key != nil
        services.publicKey = publicKey
        services.jobs.append(.identity(key))
        services.indices.removeReserved()
        // Ourselves as a peer would be a loop.
        if let publicKey { removePeer(publicKey) }
        for slot in peers.all { peers[slot].beginAnew(&services) }
    }

    public func hasPeer(_ key: PublicKey) -> Bool { peers.slot(of: key) != nil }

    public var peerCount: Int { peers.count }

    /// Whether it is known where a peer is.
    public func hasEndpoint(_ key: PublicKey) -> Bool { peers.slot(of: key).map { peers[$0].path != nil } ?? false }

    /// Any of the peers; `nil` if there is none.
    public var somePeer: PublicKey? { peers.keys.first }

    /// Adds a peer about which nothing else is said yet; false if there are too many.
    public mutating func addPeer(_ key: PublicKey) -> Bool {
        guard peers.slot(of: key) == nil else { return true }
        guard peers.count < Limits.peers else { return false }
        insert(key, PeerConfiguration())
        return true
    }

    /// Adds a peer, or changes everything that is said about one that is there; its sessions stay.
    public mutating func setPeer(_ key: PublicKey, _ configuration: PeerConfiguration, at now: Now) {
        if peers.slot(of: key) == nil {
            guard peers.count < Limits.peers else { return }
            insert(key, configuration)
        } else {
            services.now = now
            setPresharedKey(configuration.presharedKey, other: configuration.otherPresharedKey, of: key)
            setOptions(configuration.compression, configuration.cipher, of: key, at: now)
        }
        setNextPublicKey(configuration.nextPublicKey, of: key)
        setAllowedMACs(configuration.allowedMACs, of: key)
        setRate(configuration.rate, within: configuration.rateBounds, of: key, at: now)
        setDownRate(configuration.downRate, of: key, at: now)
        setRepairs(configuration.repairs, of: key, at: now)
        setParity(configuration.parity, of: key, at: now)
        setHistory(configuration.history, configuration.historyScope, of: key, at: now)
        setKeyExchange(configuration.keyExchange, rekey: configuration.keyExchangeRekey, of: key, at: now)
        if let endpoint = configuration.endpoint { setEndpoint(endpoint, of: key) }
        setAllowedIPs(configuration.allowedIPs, of: key)
        setPersistentKeepalive(configuration.persistentKeepalive, of: key, at: now)
    }

    private mutating func insert(_ key: PublicKey, _ configuration: PeerConfiguration) {
        let places = peers.slotCount
        let slot = peers.insert(key, configuration)
        // Flows are known by the slot: what held of those of its last peer holds no more.
        if slot.offset < places { services.egress.flows.removeAll() }
        services.ingress.opener.isShared = peers.count > 1
        services.jobs.append(.peer(peers[slot].id, key, configuration.presharedKey))
        if let other = configuration.otherPresharedKey {
            peers[slot].setPresharedKey(configuration.presharedKey, other: other, &services)
        }
    }

    /// Takes a peer away, with its sessions and its AllowedIPs.
    public mutating func removePeer(_ key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        peers[slot].remove(&services)
        peers.remove(key)
        services.ingress.opener.isShared = peers.count > 1
        allowedIPs.removeAll(slot)
        addresses.forget(slot)
        neighbours.forget(slot)
    }

    /// Takes effect with the next handshake.
    public mutating func setPresharedKey(
        _ presharedKey: PresharedKey?, other: PresharedKey? = nil, of key: PublicKey
    ) {
        guard let slot = peers.slot(of: key) else { return }
        peers[slot].setPresharedKey(presharedKey, other: other, &services)
    }

    /// Sends there from now on, until something authentic comes from elsewhere; from which address of ours is open again.
    public mutating func setEndpoint(_ endpoint: Endpoint, of key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        peers[slot].setEndpoint(endpoint)
    }

    /// Gives a peer exactly these prefixes; those that were another's are taken from it.
    public mutating func setAllowedIPs(_ prefixes: [Prefix], of key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        allowedIPs.removeAll(slot)
        for prefix in prefixes { allowedIPs.insert(prefix, slot) }
    }

    /// Sets the only sources of frames that are believed of a peer; `nil`: any.
    public mutating func setAllowedMACs(_ sources: [MACAddress]?, of key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        if peers[slot].setAllowedMACs(sources) {
            addresses.forget(slot)
            neighbours.forget(slot)
        }
    }

    /// Gives a peer one more prefix, which is taken from another that has it.
    public mutating func allow(_ prefix: Prefix, for key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        allowedIPs.insert(prefix, slot)
    }

    /// Takes a prefix from a peer, if it has it.
    public mutating func disallow(_ prefix: Prefix, for key: PublicKey) {
        guard let slot = peers.slot(of: key) else { return }
        allowedIPs.remove(prefix, slot)
    }

    /// Takes up to `count` of its prefixes from a peer; how many those were.
    public mutating func disallowSome(of key: PublicKey, atMost count: Int) -> Int {
        guard let slot = peers.slot(of: key) else { return 0 }
        return allowedIPs.removeSome(slot, atMost: count)
    }

    /// `nil`: none. One that was not there before begins with a keepalive now.
    public mutating func setPersistentKeepalive(_ interval: Interval?, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setPersistentKeepalive(interval, &services)
    }

    /// Sets a peer's compression and cipher. What is sent changes at once; what is announced can be unsaid only by a new
    /// session, which is asked for.
    public mutating func setOptions(
        _ compression: CompressionPolicy, _ cipher: CipherPolicy, of key: PublicKey, at now: Now
    ) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setOptions(compression, cipher: cipher, &services)
    }

    /// Sets what is wanted of the key exchange, and after how long it is done again.
    public mutating func setKeyExchange(
        _ policy: KeyExchangePolicy, rekey: Interval, of key: PublicKey, at now: Now
    ) {
        guard let slot = peers.slot(of: key) else { return }
        services.now = now
        peers[slot].setKeyExchange(policy, rekey: rekey, &services)
    }

    public mutating func setCompression(_ mode: CompressionPolicy.Mode, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        var compression = peers[slot].compression
        compression.mode = mode
        setOptions(compression, peers[slot].cipher, of: key, at: now)
    }

    public mutating func setCipher(_ cipher: CipherPolicy, of key: PublicKey, at now: Now) {
        guard let slot = peers.slot(of: key) else { return }
        setOptions(peers[slot].compression, cipher, of: key, at: now)
    }

    /// The local address that a peer is answered from was refused by the system: let the routing table choose.
    public mutating func forgetSource(ofPeer slot: PeerSlot?) {
        guard let slot, slot.offset < peers.slotCount else { return }
        peers[slot].forgetSource()
    }
}
