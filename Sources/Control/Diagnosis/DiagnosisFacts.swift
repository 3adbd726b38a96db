/// What a daemon knows that a diagnosis needs: the answer to `GET /v1/diagnose`. Beside the statistics, what it was told to make, and
/// what happened lately.
public struct DiagnosisFacts: Codable, Hashable, Sendable {
    public var version: String
    public var statistics: InterfaceStatistics
    /// The interface's addresses, as the file has them.
    public var addresses: [String]
    /// `Table` of the file: `auto`, `off` or a number.
    public var table: String
    /// `tun` or `tap`.
    public var mode: String
    /// The largest packet inside.
    public var mtu: Int
    /// Offloads of the kernel by their names in the file, and whether they are used.
    public var offloads: [String: Bool]
    /// Those of them that the file leaves out.
    public var offloadsLeftOut: [String]
    /// The other ports of the bridge that the interface is a port of.
    public var ports: [BridgePortFacts]?
    /// The last events of kinds that tell of trouble.
    public var events: [GatewayEvent]
    /// When this was asked, in seconds since 1970.
    public var now: Int64

    public init(
        version: String = Release.version, statistics: InterfaceStatistics, addresses: [String] = [],
        table: String = "auto",
        mode: String = "tun", mtu: Int = 1420, offloads: [String: Bool] = [:], offloadsLeftOut: [String] = [],
        ports: [BridgePortFacts]? = nil, events: [GatewayEvent] = [], now: Int64
    ) {
        self.version = version
        self.statistics = statistics
        self.addresses = addresses
        self.table = table
        self.mode = mode
        self.mtu = mtu
        self.offloads = offloads
        self.offloadsLeftOut = offloadsLeftOut
        self.ports = ports
        self.events = events
        self.now = now
    }
}

/// The answer to `POST /v1/peers/PEER/ping`.
public struct PingReply: Codable, Hashable, Sendable {
    /// There is a session with the peer.
    public var session: Bool
    /// The peer is a gateway that answers PING records; absent while it has not said so.
    public var gateway: Bool?
    /// How long the way there and back took; absent if no answer came, or none was asked for.
    public var microseconds: UInt64?

    public init(session: Bool, gateway: Bool?, microseconds: UInt64? = nil) {
        self.session = session
        self.gateway = gateway
        self.microseconds = microseconds
    }
}

/// What the machine says, beside the daemon: gathered by `gatewayctl` where it may look.
public struct HostFacts: Sendable {
    /// Where the kernel would send a packet.
    public struct Route: Hashable, Sendable {
        /// `nil`: nowhere.
        public var device: String?
        /// The kernel's words.
        public var text: String

        public init(device: String?, text: String) {
            self.device = device
            self.text = text
        }
    }

    /// A ping through the tunnel to an address of the peer's.
    public struct InnerPing: Sendable {
        public var target: String
        public var isAnswered: Bool
        /// The largest packet that came back, if a packet of the MTU's size did not; `nil` if it did, or that was not looked for.
        public var largest: Int?

        public init(target: String, isAnswered: Bool, largest: Int? = nil) {
            self.target = target
            self.isAnswered = isAnswered
            self.largest = largest
        }
    }

    /// Whether the interface is there, and up.
    public var exists = true
    public var isUp = true
    /// Its addresses, without lengths.
    public var addresses: [String] = []
    /// For each AllowedIPs of a peer, where a packet to it goes.
    public var routes: [String: Route] = [:]
    /// For each endpoint, where a datagram to it goes.
    public var wayOut: [String: Route] = [:]
    /// Interfaces with addresses besides the loopback and this one.
    public var networks: [String] = []
    /// `ip_forward` and its counterpart of IPv6.
    public var forwardsV4: Bool?
    public var forwardsV6: Bool?
    /// Packets for others that came while nothing is forwarded (`InAddrErrors`), and packets that the reverse path filter dropped, both
    /// within the moment in which it was looked.
    public var unforwarded: UInt64 = 0
    public var reversePathDrops: UInt64 = 0
    /// The interfaces of which the reverse path filter is strict.
    public var strict: [String] = []
    /// Rules and policies of nftables that dropped a packet of the tunnel while it was looked, and chains that drop what no rule lets
    /// through.
    public var firewallDrops: [String] = []
    public var firewallPolicies: [String] = []
    /// The part of the time for which the data thread had a processor, and that for which it was ready and waited for one.
    public var load: Double?
    public var waits: Double?
    /// By public key.
    public var pings: [String: PingReply] = [:]
    public var innerPings: [String: InnerPing] = [:]
    /// What could not be looked at, and why.
    public var unseen: [String] = []

    public init() {}
}
