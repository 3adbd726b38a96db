/// The statistics of compression for one peer.
public struct CompressionStatistics: Codable, Hashable, Sendable {
    /// The value of `Compression` in the config.
    public var configured: String
    /// Whether the peer can read it in this session, so that it is used.
    public var active: Bool
    public var tx: ByteCounts
    public var rx: ByteCounts
    /// The units of each codec, by its name.
    public var codecs: [String: CodecStatistics]
    /// `nil`: the daemon is older than they are.
    public var bundles: BundleStatistics?
    public var skipped: SkipCounts
    /// What compression would have saved; absent while it is used, or nothing was looked at.
    public var wouldSave: WouldSaveStatistics?
    /// About what was sent of each service, the most first; absent if nothing was looked at.
    public var services: [ServiceStatistics]?

    public init(
        configured: String = "off", active: Bool = false, tx: ByteCounts = ByteCounts(),
        rx: ByteCounts = ByteCounts(), codecs: [String: CodecStatistics] = [:],
        bundles: BundleStatistics? = nil, skipped: SkipCounts = SkipCounts()
    ) {
        self.configured = configured
        self.active = active
        self.tx = tx
        self.rx = rx
        self.codecs = codecs
        self.bundles = bundles
        self.skipped = skipped
    }
}

/// What compression would have saved of packets that were sent plain, of which some were looked at.
public struct WouldSaveStatistics: Codable, Hashable, Sendable {
    /// Bytes that were looked at, and what compression would have taken off them.
    public var sampledBytes: UInt64
    public var savedBytes: UInt64
    public var services: [Service]

    public init(services: [Service]) {
        sampledBytes = services.reduce(0) { $0 + $1.sampledBytes }
        savedBytes = services.reduce(0) { $0 + $1.savedBytes }
        self.services = services
    }

    public struct Service: Codable, Hashable, Sendable {
        /// Protocol and port, `tcp/5432`.
        public var service: String
        public var sampledBytes: UInt64
        public var savedBytes: UInt64

        public init(service: String, sampledBytes: UInt64 = 0, savedBytes: UInt64 = 0) {
            self.service = service
            self.sampledBytes = sampledBytes
            self.savedBytes = savedBytes
        }
    }
}

/// About how many bytes of a service were sent, inside and on the wire.
public struct ServiceStatistics: Codable, Hashable, Sendable {
    /// Protocol and port, `tcp/5432`.
    public var service: String
    public var plainBytes: UInt64
    public var wireBytes: UInt64

    public init(service: String, plainBytes: UInt64, wireBytes: UInt64) {
        self.service = service
        self.plainBytes = plainBytes
        self.wireBytes = wireBytes
    }
}

/// Bytes of one direction inside and outside.
public struct ByteCounts: Codable, Hashable, Sendable {
    public var plainBytes: UInt64
    public var wireBytes: UInt64
    /// Plain over wire, rounded to thousandths; 1 while nothing went.
    public var ratio: Double

    /// Works out the ratio.
    public init(plainBytes: UInt64 = 0, wireBytes: UInt64 = 0) {
        self.plainBytes = plainBytes
        self.wireBytes = wireBytes
        ratio = wireBytes == 0 ? 1 : (Double(plainBytes) / Double(wireBytes) * 1000).rounded() / 1000
    }
}

/// Units that one codec made, in both directions.
public struct CodecStatistics: Codable, Hashable, Sendable {
    public var units: UInt64
    public var plainBytes: UInt64
    public var wireBytes: UInt64

    public init(units: UInt64 = 0, plainBytes: UInt64 = 0, wireBytes: UInt64 = 0) {
        self.units = units
        self.plainBytes = plainBytes
        self.wireBytes = wireBytes
    }
}

/// Datagrams that carried several packets, in both directions.
public struct BundleStatistics: Codable, Hashable, Sendable {
    public var datagrams: UInt64
    public var packets: UInt64
    public var plainBytes: UInt64
    public var wireBytes: UInt64

    public init(datagrams: UInt64 = 0, packets: UInt64 = 0, plainBytes: UInt64 = 0, wireBytes: UInt64 = 0) {
        self.datagrams = datagrams
        self.packets = packets
        self.plainBytes = plainBytes
        self.wireBytes = wireBytes
    }
}

/// Packets that were left as they are, by reason.
public struct SkipCounts: Codable, Hashable, Sendable {
    /// Already encrypted or compressed.
    public var encrypted: UInt64
    /// Packets of a protocol where length would tell a secret.
    public var exposed: UInt64
    public var small: UInt64
    /// Packets of a flow that didn't shrink before.
    public var backoff: UInt64
    /// The processor had no time for it.
    public var busy: UInt64

    public init(encrypted: UInt64 = 0, exposed: UInt64 = 0, small: UInt64 = 0, backoff: UInt64 = 0, busy: UInt64 = 0) {
        self.encrypted = encrypted
        self.exposed = exposed
        self.small = small
        self.backoff = backoff
        self.busy = busy
    }
}

extension SkipCounts {
    /// The counts by the names that they have in JSON.
    public var byReason: [(reason: String, count: UInt64)] {
        [("encrypted", encrypted), ("exposed", exposed), ("small", small), ("backoff", backoff), ("busy", busy)]
    }
}
