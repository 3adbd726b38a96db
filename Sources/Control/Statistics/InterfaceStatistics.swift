// What `GET /v1/stats` and `gatewayctl stats --json` carry. The names are a contract: scripts rely on them.
// Fields may be added; none is renamed or removed.

/// One interface and its peers at one moment.
///
/// `rxBytes` and `txBytes` count as `wg` counts; `plainBytes` is what the inner network saw, `wireBytes` what that
/// became as UDP payload.
public struct InterfaceStatistics: Codable, Hashable, Sendable {
    public var interface: String
    /// Base64; absent while the interface has no key.
    public var publicKey: String?
    public var listenPort: UInt16
    /// 0 is none.
    public var fwmark: UInt32
    public var uptimeSeconds: UInt64
    public var peers: [PeerStatistics]
    public var drops: InterfaceDrops
    /// Questions of ARP and neighbour discovery that were answered here; absent but with `ARPProxy`.
    public var answeredNeighbours: UInt64?
    /// What is wrong with other ports of its bridge; absent but with `Mode = tap`.
    public var bridgeTroubles: [BridgePortTrouble]?

    public init(
        interface: String, publicKey: String?, listenPort: UInt16, fwmark: UInt32 = 0, uptimeSeconds: UInt64 = 0,
        peers: [PeerStatistics] = [], drops: InterfaceDrops = InterfaceDrops()
    ) {
        self.interface = interface
        self.publicKey = publicKey
        self.listenPort = listenPort
        self.fwmark = fwmark
        self.uptimeSeconds = uptimeSeconds
        self.peers = peers
        self.drops = drops
    }
}

/// One peer of an interface.
public struct PeerStatistics: Codable, Hashable, Sendable {
    /// Base64.
    public var publicKey: String
    public var name: String?
    /// The endpoint where it was last heard from, or is configured to be; absent if neither is known.
    public var endpoint: String?
    public var allowedIPs: [String]
    /// The Ethernet addresses that were learned at the peer; absent but with `Mode = tap`.
    public var addresses: [String]?
    /// Whether there is one; never which.
    public var presharedKey: Bool
    /// Seconds; 0 is off.
    public var persistentKeepalive: UInt16
    /// Seconds since 1970; 0 is never.
    public var latestHandshake: Int64
    public var rxBytes: UInt64
    public var txBytes: UInt64
    /// The cipher of now: `chacha20poly1305` or `aes256gcm`.
    public var cipher: String
    /// 0 while unknown.
    public var rttMicroseconds: UInt64
    /// The loss, of a thousand datagrams.
    public var lossPermille: UInt32
    public var compression: CompressionStatistics
    public var drops: PeerDrops
    /// Why nothing is sent to the peer, if its configuration asks for what can't be; absent if all is well.
    public var error: String?
    /// The name that is configured as its endpoint; absent if that is an address.
    public var endpointName: String?
    /// The problem that kept the peer from being reached last; absent if nothing did.
    public var lastProblem: String?
    /// When that was seen last, in seconds since 1970.
    public var lastProblemTime: Int64?
    /// What waits in front of a link with a rate; absent if nothing is shaped.
    public var queue: QueueStatistics?
    /// The repair of what the path loses; absent if the peer takes no part in it.
    public var repair: RepairStatistics?
    /// Units that refer to those before them; absent if the peer takes none.
    public var history: HistoryStatistics?
    /// Sessions that were made; `nil`: the daemon is older than the count.
    public var handshakes: UInt64?
    /// Whether the peer is a gateway that says so to us; absent if that is not known, or it was not asked.
    public var isGateway: Bool?
    /// How large datagrams to the peer may be; absent until something was sent to it.
    public var pathMTU: PathMTUStatistics?
    /// The last problem as a word for programs; absent if there was none.
    public var lastProblemCode: String?
    /// The key exchange that the current session was made with: `x25519`, or `x25519+mlkem768`; absent without a session.
    public var keyExchange: String?
    /// Seconds since a key of the second kind was agreed on, and the bytes that went into that so far; absent if there is none.
    public var keyExchangeAge: UInt64?
    public var keyExchangeBytes: UInt64?
    /// `prefer` or `require`; absent if it is not wanted, and so are those below.
    public var keyExchangeWanted: String?
    /// How far it is.
    public var keyExchangeStage: KeyExchangeStage?
    /// What this end said of keys in a row and nothing answered; its answers that nothing followed.
    public var keyExchangeUnanswered: UInt32?
    public var keyExchangeInVain: UInt32?

    public init(
        publicKey: String, name: String? = nil, endpoint: String? = nil, allowedIPs: [String] = [],
        addresses: [String]? = nil, presharedKey: Bool = false, persistentKeepalive: UInt16 = 0,
        latestHandshake: Int64 = 0, rxBytes: UInt64 = 0,
        txBytes: UInt64 = 0, cipher: String = "chacha20poly1305", rttMicroseconds: UInt64 = 0,
        lossPermille: UInt32 = 0, compression: CompressionStatistics = CompressionStatistics(),
        drops: PeerDrops = PeerDrops(), error: String? = nil, endpointName: String? = nil,
        lastProblem: String? = nil, lastProblemTime: Int64? = nil, queue: QueueStatistics? = nil,
        repair: RepairStatistics? = nil
    ) {
        self.publicKey = publicKey
        self.name = name
        self.endpoint = endpoint
        self.allowedIPs = allowedIPs
        self.addresses = addresses
        self.presharedKey = presharedKey
        self.persistentKeepalive = persistentKeepalive
        self.latestHandshake = latestHandshake
        self.rxBytes = rxBytes
        self.txBytes = txBytes
        self.cipher = cipher
        self.rttMicroseconds = rttMicroseconds
        self.lossPermille = lossPermille
        self.compression = compression
        self.drops = drops
        self.error = error
        self.endpointName = endpointName
        self.lastProblem = lastProblem
        self.lastProblemTime = lastProblemTime
        self.queue = queue
        self.repair = repair
    }
}

/// How large the IP packets outside may be that carry datagrams to a peer.
public struct PathMTUStatistics: Codable, Hashable, Sendable {
    /// In bytes, with the headers of IP and UDP.
    public var mtu: UInt64
    /// How it is known: `route`, `probes` or `icmp`.
    public var source: String
    /// The state of the search (RFC 8899): `disabled`, `base`, `searching`, `complete` or `error`.
    public var state: String
    /// How often large datagrams vanished without a word.
    public var blackHoles: UInt64
    /// ICMP errors that were not believed.
    public var ignoredICMP: UInt64

    public init(mtu: UInt64, source: String, state: String, blackHoles: UInt64, ignoredICMP: UInt64) {
        self.mtu = mtu
        self.source = source
        self.state = state
        self.blackHoles = blackHoles
        self.ignoredICMP = ignoredICMP
    }
}

/// Units that refer to those before them, of one peer, both ways.
public struct HistoryStatistics: Codable, Hashable, Sendable {
    /// Streams of the machine now: those that we send, and decoders for those of peers; and the bytes that they take.
    public var streams: UInt64 = 0
    public var decoders: UInt64 = 0
    public var memoryBytes: UInt64 = 0
    /// Of what we sent: units, their packets and what they became on the wire; streams that the peer could not go on with.
    public var txUnits: UInt64 = 0
    public var txPlainBytes: UInt64 = 0
    public var txWireBytes: UInt64 = 0
    public var broken: UInt64 = 0
    /// Of what the peer sent: the same; units for which one before them came no more; units that were not what they said.
    public var rxUnits: UInt64 = 0
    public var rxPlainBytes: UInt64 = 0
    public var rxWireBytes: UInt64 = 0
    public var lost: UInt64 = 0
    public var wrong: UInt64 = 0
    /// Dictionaries of the machine now: those that our units refer to, and those that peers' do. Since 2.1.
    public var dictionaries: UInt64? = 0
    public var peerDictionaries: UInt64? = 0
    /// Units that could refer to a dictionary, their packets and what they became on the wire, both ways.
    public var txRecalls: UInt64? = 0
    public var txRecallPlainBytes: UInt64? = 0
    public var txRecallWireBytes: UInt64? = 0
    /// Bytes on the wire that they took less than without, and units that the peer said it has made part of its dictionaries.
    public var txRecallSavedBytes: UInt64? = 0
    public var txLearned: UInt64? = 0
    public var rxRecalls: UInt64? = 0
    public var rxRecallPlainBytes: UInt64? = 0
    public var rxRecallWireBytes: UInt64? = 0

    public init() {}
}

/// The repair of what the path to a peer loses, both ways.
public struct RepairStatistics: Codable, Hashable, Sendable {
    /// Of what we sent: datagrams that were sent again, and their bytes.
    public var resent: UInt64 = 0
    public var resentBytes: UInt64 = 0
    /// Losses that TCP was let see, since a queue on the path was full.
    public var told: UInt64 = 0
    /// Datagrams that the peer missed and that were there no more, or would have been too many.
    public var gone: UInt64 = 0
    /// Of what the peer sent: datagrams that were asked for, those of them that came, and those that did not.
    public var lost: UInt64 = 0
    public var repaired: UInt64 = 0
    public var givenUp: UInt64 = 0
    /// Those of them that parity gave back, without being asked for.
    public var rebuilt: UInt64 = 0
    /// Of what we sent: rows of parity, and their bytes.
    public var parity: UInt64 = 0
    public var parityBytes: UInt64 = 0
    /// TCP packets that wait for a repair now, that ever did, and how long those of the last seconds waited, half of them and 99 of a
    /// hundred at most, in microseconds.
    public var heldPackets: UInt64 = 0
    public var held: UInt64 = 0
    public var heldMicrosecondsP50: UInt64 = 0
    public var heldMicrosecondsP99: UInt64 = 0

    public init() {}
}

/// What waits for a peer in front of a link with a rate.
public struct QueueStatistics: Codable, Hashable, Sendable {
    /// The peer's own rate in bits a second; 0: it has none, and waits for the interface's.
    public var rate: UInt64
    public var packets: UInt64
    public var bytes: UInt64
    /// Packets that were marked since their flow's queue stood.
    public var marks: UInt64
    /// The rate that the peer itself says it can be sent to, in bits a second; absent if it says none.
    public var toldRate: UInt64?
    /// With `Rate = auto`: the bounds between which `rate` is found, in bits a second; and that the peer says nothing of what arrives, so that
    /// it is the lower one.
    public var autoLeast: UInt64?
    public var autoMost: UInt64?
    public var autoUnheard: Bool?
    /// How long packets waited in the last five to ten seconds, half of them and 99 of a hundred at most, in microseconds.
    public var delayMicrosecondsP50: UInt64?
    public var delayMicrosecondsP99: UInt64?
    /// Flows in that time whose packets went through at once, and flows of which a queue stood.
    public var sparseFlows: UInt64?
    public var bulkFlows: UInt64?

    public init(rate: UInt64, packets: UInt64, bytes: UInt64, marks: UInt64) {
        self.rate = rate
        self.packets = packets
        self.bytes = bytes
        self.marks = marks
    }
}

/// Packets and datagrams of a peer that went no further, by reason.
public struct PeerDrops: Codable, Hashable, Sendable {
    /// Counters that were seen before, or are too old to tell.
    public var replay: UInt64 = 0
    /// The inner source address is not the peer's.
    public var allowedIPs: UInt64 = 0
    /// Authentic, but neither a packet nor a record that we announced.
    public var malformed: UInt64 = 0
    /// Datagrams that were forged or damaged.
    public var authentication: UInt64 = 0
    /// Datagrams for a session that has reached its end.
    public var expired: UInt64 = 0
    /// A fragment for which other peers' units left no room.
    public var incomplete: UInt64 = 0
    /// Congestion outside, on a packet that cannot carry the mark.
    public var congestion: UInt64 = 0
    /// Waited for a session in vain.
    public var noSession: UInt64 = 0
    /// The peer's endpoint is not known.
    public var noEndpoint: UInt64 = 0
    /// The tunnel's own datagrams: the peer's endpoint is routed into the tunnel.
    public var loop: UInt64 = 0
    /// A frame that is too short or too long.
    public var frame: UInt64 = 0
    /// The source of a frame is not among the peer's AllowedMACs.
    public var allowedMACs: UInt64 = 0
    /// The source of a frame appears at several peers in turn, or the peer has as many as it may.
    public var learning: UInt64 = 0
    /// A frame for everybody beyond the rate for that.
    public var storm: UInt64 = 0
    /// A frame for a peer that takes none.
    public var noEthernet: UInt64 = 0
    /// A record, to which this end has not said that it takes any; `nil`: the daemon is older than the count.
    public var unannounced: UInt64?
    /// A datagram for which the way to the peer had no room; `nil` as above.
    public var queueFull: UInt64?
    /// A unit or bundle that would be decoded to more than the peer's budget, or a frame that would be copied to too many; `nil` as
    /// above.
    public var budget: UInt64?
    /// A message that found no room to wait in, after the peer had had its part of a turn; `nil` as above.
    public var backlog: UInt64?
    /// A flow's queue in front of a link with a rate stood, and the packet could not be marked.
    public var queueDelay: UInt64?
    /// A packet that the path does not take and that may not be divided; its sender was told what fits.
    public var tooBig: UInt64?
    /// A packet that came on a session without the key exchange that `PostQuantum = require` demands.
    public var keyExchange: UInt64?

    public init() {}
}

extension PeerDrops {
    /// The counts by the names that they have in JSON.
    public var byReason: [(reason: String, count: UInt64)] {
        [
            ("replay", replay), ("allowedIPs", allowedIPs), ("malformed", malformed),
            ("authentication", authentication), ("expired", expired), ("incomplete", incomplete),
            ("congestion", congestion), ("noSession", noSession), ("noEndpoint", noEndpoint), ("loop", loop),
            ("frame", frame), ("allowedMACs", allowedMACs), ("learning", learning), ("storm", storm),
            ("noEthernet", noEthernet), ("unannounced", unannounced ?? 0), ("queueFull", queueFull ?? 0),
            ("budget", budget ?? 0), ("backlog", backlog ?? 0), ("queueDelay", queueDelay ?? 0),
            ("tooBig", tooBig ?? 0), ("keyExchange", keyExchange ?? 0),
        ]
    }
}

/// Packets and datagrams that belong to no peer, by reason.
public struct InterfaceDrops: Codable, Hashable, Sendable {
    /// A packet from inside that no AllowedIPs has.
    public var noPeer: UInt64 = 0
    /// A frame from inside that is no IP packet.
    public var notIP: UInt64 = 0
    /// A datagram that is no WireGuard message.
    public var malformed: UInt64 = 0
    /// A datagram for a session that isn't.
    public var unknownIndex: UInt64 = 0
    /// A handshake message from somebody who doesn't know our public key.
    public var mac1: UInt64 = 0
    /// A handshake message that did not prove its sender, or was a replay.
    public var handshake: UInt64 = 0
    /// A handshake message over the limits.
    public var rateLimited: UInt64 = 0
    /// No room in a fixed buffer.
    public var overflow: UInt64 = 0
    /// Units of which not all fragments came.
    public var incomplete: UInt64 = 0
    /// Datagrams that the kernel dropped because the socket's buffer was full.
    public var kernelReceive: UInt64 = 0
    /// Packets that the kernel dropped because the interface's queue was full.
    public var kernelTransmit: UInt64 = 0
    /// Datagrams that the kernel would not send.
    public var send: UInt64 = 0
    /// Packets that the device would not take.
    public var device: UInt64 = 0
    /// A frame from inside that is too short or too long.
    public var frame: UInt64 = 0
    /// A frame from inside for everybody beyond the rate for that.
    public var storm: UInt64 = 0
    /// Datagrams that the kernel dropped because their checksum was wrong; `nil`: the daemon is older than the count.
    public var checksum: UInt64?
    /// A packet from inside for a group, that no AllowedIPs has; `nil` as above.
    public var multicast: UInt64?

    public init() {}
}

extension InterfaceDrops {
    /// The counts by the names that they have in JSON.
    public var byReason: [(reason: String, count: UInt64)] {
        [
            ("noPeer", noPeer), ("notIP", notIP), ("malformed", malformed), ("unknownIndex", unknownIndex),
            ("mac1", mac1), ("handshake", handshake), ("rateLimited", rateLimited), ("overflow", overflow),
            ("incomplete", incomplete), ("kernelReceive", kernelReceive), ("kernelTransmit", kernelTransmit),
            ("send", send), ("device", device), ("frame", frame), ("storm", storm), ("checksum", checksum ?? 0),
            ("multicast", multicast ?? 0),
        ]
    }
}
