import Addresses
import Keys

/// One peer: its sessions and their rotation, its handshakes, timers and HELLOs, where it is and what the way there is like,
/// and what is counted of it. A packet or datagram that is routed to it is its business from there on.
///
/// Functions take the `Services` that all peers share, one after the other.
struct Peer: ~Copyable {
    private let inPlace = InPlace()
    // Fixed for its life.
    let id: PeerID

    /// Its public key, and the one that is to take the place of it.
    private(set) var publicKey: PublicKey
    private(set) var nextPublicKey: PublicKey?

    // The operator's settings.
    /// False once it is removed: the slot waits for the next peer.
    private(set) var isAlive = true
    private(set) var persistentKeepalive: Interval?
    private(set) var compression: CompressionPolicy
    private(set) var cipher: CipherPolicy
    private(set) var presharedKey: PresharedKey?
    /// When it was set to another.
    private(set) var presharedKeySetAt = Instant.distantPast
    /// There is another one that the peer may answer with.
    private var hasOtherPresharedKey = false
    private(set) var allowedMACs: AllowedMACs
    /// No packet goes or comes on a session without an agreed key.
    var requiresAgreed: Bool
    /// False: what was announced is never confirmed, but said on each session in full.
    private let confirms: Bool
    /// What is larger than a datagram is taken in pieces.
    private let packs: Bool
    /// Keys may take the place of others over the tunnel.
    let rotates: Bool
    /// How many words about that it may send.
    var rotations = TokenBucket.rotations
    /// The rate of its frames for everybody, where they go on to others.
    var flooding = TokenBucket.floods

    /// The way to it: the last address from which something authentic came.
    var path: Path?
    var quality = PathQuality()

    var keypairs = Keypairs()
    var handshaking: Handshaking
    /// Sessions in a row on which no HELLO came.
    var silentSessions = 0
    var acquaintance = Acquaintance()
    var staged = StagedPackets()

    var timers = PeerTimers()
    /// More data came while a keepalive was due: another one will be.
    var needsAnotherKeepalive = false

    var problems = PeerProblems()

    /// How fast it is sent to, and says that it can be.
    var rates = PeerRates()

    var repair = RepairState()
    var history = HistoryState()

    /// The exchange of keys, and what is known of them.
    var exchange: KeyExchange

    /// How large datagrams to it may be. The route was asked for what its interface takes.
    var pathMTU = PathMTU()
    var isRouteAsked = false

    /// The budget for what its records are decoded to.
    var budget = IngressBudget()

    // Counters.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    var lastHandshake: WallTime?
    var handshakes: UInt64 = 0
    var drops = DropCounters()
    var traffic = CompressionCounters()
    /// Packets that were marked in the queue in front of a link with a rate.
    var marks: UInt64 = 0

    init(_ id: PeerID, publicKey: PublicKey, _ configuration: PeerConfiguration) {
        self.id = id
        self.publicKey = publicKey
        persistentKeepalive = configuration.persistentKeepalive
        compression = configuration.compression
        cipher = configuration.cipher
        presharedKey = configuration.presharedKey
        allowedMACs = AllowedMACs(configuration.allowedMACs)
        requiresAgreed = configuration.keyExchange == .require
        exchange = KeyExchange(configuration.keyExchange, rekey: configuration.keyExchangeRekey)
        confirms = configuration.confirms
        packs = configuration.packs
        rotates = configuration.rotates
        path = configuration.endpoint.map { Path($0) }
        handshaking = Handshaking(publicKey)
    }

    // MARK: Configuration

    /// Ends all that there is of it.
    mutating func remove(_ services: inout Services) {
        endSessions(&services)
        services.jobs.append(.removePeer(id))
        services.egress.gathering.removeAll(for: id.slot)
        drops.count(.staged, services.egress.queue.removeAll(for: id.slot))
        endRates(&services)
        endRepair(&services)
        endHistory(&services)
        _ = services.ingress.reorder.forget(id.slot)
        drops.count(.backlog, services.ingress.opener.waiting.removeAll(of: id.slot))
        staged = StagedPackets()
        isAlive = false
    }

    /// Sets the preshared key, which takes effect with the next handshake, and another one that the peer may answer with.
    mutating func setPresharedKey(
        _ presharedKey: PresharedKey?, other: PresharedKey? = nil, _ services: inout Services
    ) {
        if !(self.presharedKey ?? .zeros).isSame(as: presharedKey ?? .zeros) {
            presharedKeySetAt = services.now.instant
        }
        // Before the other: what was agreed on under that holds if it is still one of the two.
        if other != nil || hasOtherPresharedKey { services.jobs.append(.otherKey(id, other)) }
        hasOtherPresharedKey = other != nil
        self.presharedKey = presharedKey
        services.jobs.append(.peer(id, publicKey, presharedKey))
    }

    /// Sets the public key that is to take the place of the peer's, `nil` being none; both are taken.
    mutating func setNextPublicKey(_ key: PublicKey?, _ services: inout Services) {
        guard nextPublicKey != key else { return }
        nextPublicKey = key
        handshaking.setNext(key)
        services.jobs.append(.nextPublicKey(id, key))
    }

    /// That key is the peer's from now on. Sessions go on.
    mutating func takeNextPublicKey(_ services: inout Services) {
        guard let nextPublicKey else { return }
        publicKey = nextPublicKey
        self.nextPublicKey = nil
        handshaking.takeNext()
        services.jobs.append(.tookPublicKey(id))
    }

    /// Sets the only sources of frames that are believed, `nil` being any; false if that changed nothing.
    mutating func setAllowedMACs(_ sources: [MACAddress]?) -> Bool {
        let old = allowedMACs
        allowedMACs = AllowedMACs(sources)
        return allowedMACs != old
    }

    /// Sets the interval of persistent keepalives, `nil` being none. Where there was none before, one is sent now.
    mutating func setPersistentKeepalive(_ interval: Interval?, _ services: inout Services) {
        let wasOff = !timers.isArmed(.persistentKeepalive)
        persistentKeepalive = interval
        guard interval != nil else { return timers.disarm(.persistentKeepalive) }
        if wasOff { arm(.persistentKeepalive, at: services.now.instant, &services.schedule) }
    }

    /// Sets compression and cipher. What is sent changes at once; what is announced can be unsaid only by a new session, which
    /// is asked for.
    mutating func setOptions(_ compression: CompressionPolicy, cipher: CipherPolicy, _ services: inout Services) {
        let announcement = announcement(services.cargo)
        let isSame = self.cipher == cipher
        self.compression = compression
        // The verdicts were the old rules'.
        services.egress.flows.removeAll()
        self.cipher = cipher
        guard !isSame || self.announcement(services.cargo) != announcement else { return }
        beginAnew(&services)
    }

    /// Ends all sessions, and asks for another one if there was one: something that they were made with has changed.
    mutating func beginAnew(_ services: inout Services) {
        let hadSession = keypairs.current != nil
        endSessions(&services)
        handshaking.allowAtOnce()
        if hadSession { startHandshake(&services) }
    }

    /// The content of our HELLO; `nil` if the configuration asks for no more than WireGuard, and no HELLO is sent.
    @inline(__always)
    func announcement(_ cargo: Cargo) -> Announcement? {
        guard var announcement = announcedContent(cargo) else { return nil }
        announcement.downRate = rates.down
        announcement.wantsReports = rates.isFound
        if packs { announcement.records.formUnion(.pieces) }
        if rotates { announcement.records.formUnion(RecordSet(.rotate)) }
        if takesHistory { announcement.records.formUnion(.history) }
        if takesRecalls { announcement.records.formUnion([.recalls, .briefRecalls]) }
        if exchange.policy != .off { announcement.records.formUnion(.exchange) }
        return announcement
    }

    @inline(__always)
    private func announcedContent(_ cargo: Cargo) -> Announcement? {
        let repaired = repair.announced
        if cargo == .frames {
            return Announcement(codecs: compression.announced, records: cargo.records.union(repaired))
        }
        let left: RecordSet = confirms ? [] : RecordSet(.confirm)
        if compression.mode != .off {
            return Announcement(codecs: .all, records: cargo.records.subtracting(left).union(repaired))
        }
        guard cipher != .chacha20poly1305 || rates.needHello || exchange.policy != .off else { return nil }
        let records: RecordSet = [.init(.report), .init(.ping), .init(.confirm)]
        return Announcement(codecs: [], records: records.subtracting(left).union(rates.needHello ? repaired : []))
    }

    // MARK: Device up and down

    /// The device is up: a peer with a persistent keepalive or with packets that wait is greeted.
    mutating func wake(_ services: inout Services) {
        if persistentKeepalive != nil { arm(.persistentKeepalive, at: services.now.instant, &services.schedule) }
        if !staged.isEmpty { startHandshake(&services) }
    }

    /// The device is down: sessions end, what waited is dropped, timers stop.
    mutating func quiet(_ services: inout Services) {
        endSessions(&services)
        endRepair(&services)
        endHistory(&services)
        _ = services.ingress.reorder.removeAll(of: id.slot)
        drops.count(.staged, staged.removeAll().count + services.egress.queue.removeAll(for: id.slot))
        drops.count(.backlog, services.ingress.opener.waiting.removeAll(of: id.slot))
        handshaking.allowAtOnce()
        needsAnotherKeepalive = false
        for timer in PeerTimer.allCases { timers.disarm(timer) }
    }
}

extension TokenBucket {
    /// Frames for everybody, or for an address that nobody has been seen with: a second's worth at once.
    static var floods: TokenBucket { TokenBucket(every: .milliseconds(1), atOnce: 1000) }
}
