public import Addresses
public import Keys

/// All that the data thread knows of one peer, in groups by who changes it.
struct Peer: ~Copyable {
    // Fixed for its life.
    let id: PeerID
    let publicKey: PublicKey

    // The operator's.
    /// False once it is removed: the slot waits for the next peer.
    var isAlive = true
    var persistentKeepalive: Interval?
    var compression: CompressionPolicy
    var cipher: CipherPolicy
    var presharedKey: PresharedKey?

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

    // What is counted.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    var lastHandshake: WallTime?
    var drops = DropCounters()
    var traffic = CompressionCounters()

    init(_ id: PeerID, _ publicKey: PublicKey, _ configuration: PeerConfiguration) {
        self.id = id
        self.publicKey = publicKey
        persistentKeepalive = configuration.persistentKeepalive
        compression = configuration.compression
        cipher = configuration.cipher
        presharedKey = configuration.presharedKey
        path = configuration.endpoint.map { Path($0) }
        cookies = CookieJar(publicKey)
    }

    /// What HELLO says that we decode; `nil` if the configuration asks for no more than WireGuard, and no HELLO is sent.
    @inline(__always) var announced: CodecSet? {
        compression.mode != .off || cipher != .chacha20poly1305 ? compression.announced : nil
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

    public init(
        presharedKey: PresharedKey? = nil, endpoint: Endpoint? = nil, allowedIPs: [Prefix] = [],
        persistentKeepalive: Interval? = nil, compression: CompressionPolicy = .off,
        cipher: CipherPolicy = .chacha20poly1305
    ) {
        self.presharedKey = presharedKey
        self.endpoint = endpoint
        self.allowedIPs = allowedIPs
        self.persistentKeepalive = persistentKeepalive
        self.compression = compression
        self.cipher = cipher
    }
}

/// Bytes on both sides of the compress stage.
public struct CompressionCounters: Sendable {
    /// Bytes of the packets inside, and of the datagrams that they became.
    public struct Bytes: Sendable, Equatable {
        public var plain: UInt64 = 0
        public var wire: UInt64 = 0
    }

    public var sent = Bytes()
    public var received = Bytes()
    /// The part of `sent` and `received` that went through a codec, by its raw value, and how many units it was.
    public var units = InlineArray<2, UInt64>(repeating: 0)
    public var coded = InlineArray<2, Bytes>(repeating: Bytes())
    /// Packets that were not tried, by the raw value of the reason.
    public var skipped = InlineArray<5, UInt64>(repeating: 0)

    init() {
        assert(CompressionSkip.allCases.count == skipped.count)
        assert(Codec.allCases.allSatisfy { Int($0.rawValue) < units.count })
    }

    @inline(__always)
    mutating func noteSent(_ packet: Int, _ outbound: Outbound) {
        sent.plain &+= UInt64(packet)
        sent.wire &+= UInt64(outbound.datagram)
        if let codec = outbound.codec {
            note(codec, packet, outbound.datagram)
        } else if case .skipped(let reason) = outbound.attempt {
            skipped[reason.rawValue] &+= 1
        }
    }

    @inline(__always)
    mutating func noteReceived(_ packet: Int, _ datagram: Int, codec: Codec? = nil) {
        received.plain &+= UInt64(packet)
        received.wire &+= UInt64(datagram)
        if let codec { note(codec, packet, datagram) }
    }

    private mutating func note(_ codec: Codec, _ plain: Int, _ wire: Int) {
        let index = Int(codec.rawValue)
        units[index] &+= 1
        coded[index].plain &+= UInt64(plain)
        coded[index].wire &+= UInt64(wire)
    }
}
