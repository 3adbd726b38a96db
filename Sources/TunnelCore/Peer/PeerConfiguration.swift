public import Addresses
public import Keys

/// The cipher that the operator wants towards a peer.
public enum CipherPolicy: Sendable, Equatable {
    /// WireGuard's.
    case chacha20poly1305
    /// AES-256-GCM if both ends want it and have the instructions, else WireGuard's.
    case auto
    /// AES-256-GCM or nothing: packets wait for the peer's HELLO.
    case aes256gcm
}

/// The operator's settings of a peer.
public struct PeerConfiguration: Sendable {
    public var presharedKey: PresharedKey?
    /// Another one that the peer may answer with: one of the two takes the place of the other.
    public var otherPresharedKey: PresharedKey?
    /// The public key that is to take the place of the peer's: both are taken.
    public var nextPublicKey: PublicKey?
    public var endpoint: Endpoint?
    public var allowedIPs: [Prefix]
    /// `nil`: none.
    public var persistentKeepalive: Interval?
    public var compression: CompressionPolicy
    public var cipher = CipherPolicy.chacha20poly1305
    /// The only sources of frames that are believed; `nil`: any.
    public var allowedMACs: [MACAddress]?
    /// False: as an end of a version before CONFIRM does, it says HELLO on every session. For tests.
    var confirms = true
    /// How fast it is sent to, in bits a second on the wire; `nil`: as fast as it goes.
    public var rate: UInt64?
    /// Between which rates the one at which it is sent to is found, in bits a second; `nil`: it is not looked for.
    public var rateBounds: ClosedRange<UInt64>?
    /// How fast we can be sent to by it, in kbit/s on the wire, which it is told; `nil`: it is told nothing.
    public var downRate: UInt32?
    /// It is taken what is larger than a datagram, in pieces; false as versions before PACK.
    public var packs = false
    /// Keys may take the place of others over the tunnel; false as versions before ROTATE.
    public var rotates = false
    /// What the path loses is sent again, if the peer takes part in that.
    public var repairs = true
    /// The key exchange that a quantum computer does not undo, and after how long it is done again.
    public var keyExchange = KeyExchangePolicy.off
    public var keyExchangeRekey = Interval.seconds(3600)
    /// How much parity goes with data.
    public var parity = ParityWish.automatic
    /// Units may refer to those before them, where what is lost is sent again.
    public var history = false
    /// What they may refer to.
    public var historyScope = HistoryScope.flow

    public init(
        presharedKey: PresharedKey? = nil, endpoint: Endpoint? = nil, allowedIPs: [Prefix] = [],
        persistentKeepalive: Interval? = nil, compression: CompressionPolicy = .off
    ) {
        self.presharedKey = presharedKey
        self.endpoint = endpoint
        self.allowedIPs = allowedIPs
        self.persistentKeepalive = persistentKeepalive
        self.compression = compression
    }
}
