// The keys whose value is one of a few words; each word is the case's raw value.

extension Configuration {
    /// The compression towards a peer, and what of its compression we can read.
    public enum Compression: String, CaseIterable, Sendable {
        /// Plain WireGuard.
        case off
        /// Announces and decodes, but sends plain.
        case receive
        /// The gateway chooses codec, effort and unit for each flow.
        case auto
        case deflate
        case zstd
    }

    /// The scope of a unit: what it may mix.
    public enum CompressionScope: String, CaseIterable, Sendable {
        case flow
        /// Flows of the same peer may share a unit: better ratio, and lengths tell one flow about another.
        case peer
    }

    public enum Cipher: String, CaseIterable, Sendable {
        case chacha20poly1305
        /// AES-256-GCM where both ends have the instructions for it.
        case auto
        case aes256gcm
    }

    public enum Repair: String, CaseIterable, Sendable {
        /// What the path loses is sent again, where both ends are gateways that compress or shape.
        case auto
        case off
    }

    /// The key exchange that a quantum computer does not undo.
    public enum PostQuantum: String, CaseIterable, Sendable {
        case off
        /// With a peer that takes part in it; without it where that is not so.
        case prefer
        /// No packet passes without it.
        case require
    }

    /// Whether units refer to those before them.
    public enum History: String, CaseIterable, Sendable {
        /// In front of a thin link.
        case auto
        case off
    }

    /// What small units refer to: others of the same.
    public enum HistoryScope: String, CaseIterable, Sendable {
        case flow
        /// Flows from one address to another: better ratio, and lengths tell one flow about another.
        case hosts
        /// All flows to the peer.
        case peer
    }

    /// The parity that is sent beside data.
    public enum Parity: Hashable, Sendable, CustomStringConvertible {
        /// As much as pays on a path that loses.
        case auto
        case off
        /// Always so many hundredths.
        case percent(Int)

        public static let percents = 3...30

        public var description: String {
            switch self {
            case .auto: "auto"
            case .off: "off"
            case .percent(let percent): "\(percent)%"
            }
        }
    }

    public enum Mode: String, CaseIterable, Sendable {
        /// Layer 3: IP packets.
        case tun
        /// Layer 2: Ethernet frames.
        case tap
    }

    /// What the largest segment of TCP is lowered to.
    public enum SegmentClamp: Hashable, Sendable {
        /// To what fits into the tunnel.
        case auto
        case off
        case at(Int)
    }

    /// Batching by the kernel that can be switched off one by one.
    public enum Offload: String, CaseIterable, Sendable {
        /// Super-segments read from the TUN device.
        case tunTSO = "tun-tso"
        /// Super-segments written to it.
        case tunGRO = "tun-gro"
        /// Runs of datagrams sent with one call.
        case udpGSO = "udp-gso"
        /// Runs of datagrams received with one call.
        case udpGRO = "udp-gro"
    }

    /// The routing table that gets the routes of AllowedIPs.
    public enum RoutingTable: Hashable, Sendable {
        /// The main table, and for a default route a table of its own with rules, as wg-quick does it.
        case auto
        /// No routes are made.
        case off
        case number(UInt32)
    }
}

extension Configuration.RoutingTable: LosslessStringConvertible {
    /// Parses `auto`, `off` or a table's number from 1.
    public init?(_ text: some StringProtocol) {
        switch text.lowercased() {
        case "auto": self = .auto
        case "off": self = .off
        default:
            guard let number = UInt32(decimal: text), number > 0 else { return nil }
            self = .number(number)
        }
    }

    public var description: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .number(let number): "\(number)"
        }
    }
}

extension FixedWidthInteger {
    /// Parses digits alone: `init(_:)` would take a sign as well.
    init?(decimal text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        self.init(text)
    }
}
