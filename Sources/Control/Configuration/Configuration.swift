public import Addresses
public import Keys

/// A config file, read and typed. Values that the file leaves out have their defaults.
public struct Configuration: Sendable {
    /// The path it was read from; a relative `PrivateKeyFile` is relative to its folder.
    public var file: String
    public var interface: Interface
    /// The peers in the order of the file. No two share a public key or a prefix.
    public var peers: [Peer]

    public init(file: String, interface: Interface, peers: [Peer] = []) {
        self.file = file
        self.interface = interface
        self.peers = peers
    }
}

extension Configuration {
    /// The `[Interface]` section: this end.
    public struct Interface: Sendable {
        public var name: InterfaceName
        public var privateKey: PrivateKeySource
        /// 0 lets the system choose.
        public var listenPort: UInt16 = 0
        /// The mark on our own datagrams; 0 is none.
        public var fwmark: UInt32 = 0
        public var addresses: [InterfaceAddress] = []
        public var dnsServers: [IPAddress] = []
        /// Search domains: what stands in `DNS` and is no address.
        public var dnsSearch: [String] = []
        /// `nil` derives it from the path; a TAP has 1500.
        public var mtu: Int?
        public var table: RoutingTable = .auto
        /// Shell text in the order of the file; `%i` stands for the interface's name and is not yet replaced.
        public var preUp: [String] = []
        public var postUp: [String] = []
        public var preDown: [String] = []
        public var postDown: [String] = []
        public var savesConfiguration = false
        public var mode: Mode = .tun
        /// The bridge that a TAP interface joins; it must be there.
        public var bridge: InterfaceName?
        /// With `Mode = tap`: what came from a peer goes to other peers as well.
        public var isHub = false
        /// With `Mode = tap`: ARP and neighbour discovery are answered here where the answer is known.
        public var answersNeighbours = false
        /// The offloads that may be used; each is still probed.
        public var offloads = Set(Offload.allCases)
        /// The endpoint at which metrics are served over TCP; `nil` is off.
        public var metricsListen: Endpoint?
        /// How fast all peers together are sent to; `nil` is as fast as it goes.
        public var rate: LinkRate?
        /// Bytes that a datagram takes on the link besides itself and its headers of IP and UDP.
        public var linkOverhead = 14
        /// Memory for units that refer to those before them, in MB.
        public var historyMemory = 64
        /// What the largest segment that TCP inside agrees on is lowered to.
        public var clampMSS = SegmentClamp.auto

        public init(name: InterfaceName, privateKey: PrivateKeySource) {
            self.name = name
            self.privateKey = privateKey
        }
    }

    /// The place of the private key.
    public enum PrivateKeySource: Sendable {
        case inline(PrivateKey)
        /// A path as written, perhaps relative to the config file's folder; `loadPrivateKey()` reads it.
        case file(String)
        /// There is no file: a key may come later, over a socket, and lives in memory alone.
        case unset
    }
}

extension Configuration {
    /// A `[Peer]` section: one other end.
    public struct Peer: Sendable {
        public var publicKey: PublicKey
        public var presharedKey: PresharedKey?
        /// The public key that is to take the place of the other: the peer has said so.
        public var publicKeyNext: PublicKey?
        /// The one that is to take its place, and was offered to the peer.
        public var presharedKeyNext: PresharedKey?
        /// The one whose place it has taken, and which the peer may use still; zeros: there was none.
        public var presharedKeyPrevious: PresharedKey?
        /// May be empty: such a peer can shake hands but nothing is routed to it.
        public var allowedIPs: [Prefix] = []
        public var endpoint: HostAndPort?
        /// The persistent keepalive in whole seconds, 1 to 65535; `nil` is off.
        public var persistentKeepalive: Duration?
        /// A name for people, unique in the file.
        public var name: String?
        public var compression: Compression = .off
        public var compressionScope: CompressionScope = .flow
        /// The traffic that is never compressed; `nil` is the built-in list (known-encrypted ports, towards tcp 80, 8080, 3128).
        public var compressionSkip: [TrafficSelector]?
        /// The only traffic that is compressed; `nil` is everything that isn't skipped.
        public var compressionOnly: [TrafficSelector]?
        public var cipher: Cipher = .chacha20poly1305
        /// With `Mode = tap`: the only sources of frames that are believed; `nil` is any.
        public var allowedMACs: [MACAddress]?
        /// How fast it is sent to; `nil` is as fast as it goes.
        public var rate: LinkRate?
        /// Between which rates the one that the link takes is found; `nil`: it is not looked for.
        public var autoRate: AutoRate?
        /// How fast we can be sent to by it, which it is told.
        public var downRate: LinkRate?
        /// What the path loses is sent again.
        public var repair: Repair = .auto
        public var parity: Parity = .auto
        /// Units refer to those before them.
        public var history: History = .off
        public var historyScope: HistoryScope = .flow
        public var postQuantum: PostQuantum = .off
        /// How long a key of that exchange is used, in whole seconds.
        public var postQuantumRekey: Duration = Peer.usualPostQuantumRekey

        public static let usualPostQuantumRekey = Duration.seconds(3600)

        public init(publicKey: PublicKey) { self.publicKey = publicKey }

        /// Whether the peer gets a HELLO: its section asks for more than WireGuard.
        public var asksForMoreThanWireGuard: Bool {
            compression != .off || cipher != .chacha20poly1305 || downRate != nil || autoRate != nil
                || postQuantum != .off
        }
    }
}
