public import Addresses
public import Keys

/// All that the data thread knows of one peer, in groups by who changes it.
struct Peer: ~Copyable {
    // Fixed for its life.
    /// Ethernet frames go to it, not packets.
    let carriesFrames: Bool
    let id: PeerID
    let publicKey: PublicKey

    // The operator's.
    /// False once it is removed: the slot waits for the next peer.
    var isAlive = true
    var persistentKeepalive: Interval?
    var compression: CompressionPolicy
    var cipher: CipherPolicy
    var presharedKey: PresharedKey?
    /// The only sources of frames that are believed, in order; `nil`: any.
    private(set) var allowedMACs: ContiguousArray<UInt64>?
    /// The rate of its frames for everybody, where they go on to others.
    var flooding = Tunnel.floods

    // Where it is: the last address from which something authentic came.
    var path: Path?

    // Its sessions, as slots of the slab, or -1.
    var current: Int32 = -1
    var previous: Int32 = -1
    var next: Int32 = -1

    // The handshake that waits for its response.
    /// Our index for it; 0 if there is none.
    var handshakeIndex: SessionIndex = 0
    var handshakeAttempts = 0
    var lastInitiation = Instant.distantPast
    var cookies: CookieJar
    /// This session's last minute has been used to ask for the next.
    var askedBeforeEnd = false

    var timers = PeerTimers()
    /// More data came while a keepalive was due: another one will be.
    var needsAnotherKeepalive = false

    /// Sessions in a row on which no HELLO came.
    var silentSessions = 0

    var staged = StagedPackets()
    var link = LinkQuality()

    // What is said about it.
    var trouble: Trouble?
    /// Initiations in a row without an answer, whoever asked for them.
    var unanswered = 0
    /// Packets from sources that are not its own, since they were told.
    var foreignSources = 0
    var foreignSourceToldAt = Instant.distantPast

    // What is counted.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    var lastHandshake: WallTime?
    var drops = DropCounters()
    var traffic = CompressionCounters()

    init(_ id: PeerID, _ publicKey: PublicKey, _ configuration: PeerConfiguration, carriesFrames: Bool) {
        self.carriesFrames = carriesFrames
        self.id = id
        self.publicKey = publicKey
        persistentKeepalive = configuration.persistentKeepalive
        compression = configuration.compression
        cipher = configuration.cipher
        presharedKey = configuration.presharedKey
        allowedMACs = Self.inOrder(configuration.allowedMACs)
        path = configuration.endpoint.map { Path($0) }
        cookies = CookieJar(publicKey)
    }

    /// Sets the only sources of frames that are believed, `nil` being any; false if that changed nothing.
    mutating func setAllowedMACs(_ addresses: [MACAddress]?) -> Bool {
        let old = allowedMACs
        allowedMACs = Self.inOrder(addresses)
        return allowedMACs != old
    }

    private static func inOrder(_ addresses: [MACAddress]?) -> ContiguousArray<UInt64>? {
        addresses.map { ContiguousArray($0.map(\.bits).sorted()) }
    }

    /// Whether a source of frames is believed.
    @inline(__always)
    func believes(_ source: MACAddress) -> Bool {
        guard let allowedMACs else { return true }
        var (low, high) = (0, allowedMACs.count)
        while low < high {
            let middle = (low + high) / 2
            if allowedMACs[middle] < source.bits { low = middle + 1 } else { high = middle }
        }
        return low < allowedMACs.count && allowedMACs[low] == source.bits
    }

    /// What HELLO says that we take; `nil` if the configuration asks for no more than WireGuard, and no HELLO is sent.
    @inline(__always) var announced: Announcement? {
        if carriesFrames { return Announcement(codecs: compression.announced, records: .frames) }
        if compression.mode != .off { return Announcement(codecs: .all, records: .packets) }
        return cipher == .chacha20poly1305 ? nil : Announcement(codecs: [], records: [.init(.report), .init(.ping)])
    }
}

/// Which cipher the operator wants towards a peer.
public enum CipherPolicy: Sendable, Equatable {
    /// WireGuard's.
    case chacha20poly1305
    /// AES-256-GCM if both ends want it and have the instructions, else WireGuard's.
    case auto
    /// AES-256-GCM or nothing: packets wait for the peer's HELLO.
    case aes256gcm
}

/// What the operator says about a peer.
public struct PeerConfiguration: Sendable {
    public var presharedKey: PresharedKey?
    public var endpoint: Endpoint?
    public var allowedIPs: [Prefix]
    /// `nil`: none.
    public var persistentKeepalive: Interval?
    public var compression: CompressionPolicy
    public var cipher: CipherPolicy
    /// The only sources of frames that are believed; `nil`: any.
    public var allowedMACs: [MACAddress]?

    public init(
        presharedKey: PresharedKey? = nil, endpoint: Endpoint? = nil, allowedIPs: [Prefix] = [],
        persistentKeepalive: Interval? = nil, compression: CompressionPolicy = .off,
        cipher: CipherPolicy = .chacha20poly1305, allowedMACs: [MACAddress]? = nil
    ) {
        self.presharedKey = presharedKey
        self.endpoint = endpoint
        self.allowedIPs = allowedIPs
        self.persistentKeepalive = persistentKeepalive
        self.compression = compression
        self.cipher = cipher
        self.allowedMACs = allowedMACs
    }
}

/// What a tunnel carries.
public enum TunnelMode: Sendable, Equatable {
    /// IP packets, by AllowedIPs.
    case packets
    /// Ethernet frames, by learned addresses. What came from a peer goes to another only through a hub.
    case frames(isHub: Bool)
}

/// Bytes on both sides of the compress stage. Each codec and each reason has its place (`CapacityTests`).
public struct CompressionCounters: Sendable {
    /// Bytes of the packets inside, and of the datagrams that they became.
    public struct Bytes: Sendable, Equatable {
        public var plain: UInt64 = 0
        public var wire: UInt64 = 0

        mutating func add(_ plain: Int, _ wire: Int) {
            self.plain &+= UInt64(plain)
            self.wire &+= UInt64(wire)
        }
    }

    public var sent = Bytes()
    public var received = Bytes()
    /// The part of `sent` and `received` that went through a codec, by its raw value, and how many units it was.
    public var units = InlineArray<3, UInt64>(repeating: 0)
    public var coded = InlineArray<3, Bytes>(repeating: Bytes())
    /// The part that went in bundles, how many of those, and how many packets were in them.
    public var bundles: UInt64 = 0
    public var bundledPackets: UInt64 = 0
    public var bundled = Bytes()
    /// Packets that were not tried, by the raw value of the reason.
    public var skipped = InlineArray<5, UInt64>(repeating: 0)

    init() {}

    @inline(__always)
    mutating func noteSent(_ packet: Int, _ datagram: Int) { sent.add(packet, datagram) }

    @inline(__always)
    mutating func noteReceived(_ packet: Int, _ datagram: Int) { received.add(packet, datagram) }

    mutating func note(_ codec: Codec, _ plain: Int, _ wire: Int) {
        units[Int(codec.rawValue)] &+= 1
        coded[Int(codec.rawValue)].add(plain, wire)
    }

    mutating func noteBundle(_ packets: Int, _ plain: Int, _ wire: Int) {
        bundles &+= 1
        bundledPackets &+= UInt64(packets)
        bundled.add(plain, wire)
    }
}
