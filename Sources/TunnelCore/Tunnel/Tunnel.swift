public import Addresses
import BasicContainers
import HeapModule
public import Keys

/// A WireGuard interface without its device, its sockets and its clock: packets and datagrams go in, packets, datagrams
/// and work for the handshake thread come out.
///
///     handlePacket ──▶ ┌────────┐ ──▶ outbox        datagrams for the wire
///     handleDatagram ▶ │ Tunnel │ ──▶ inbox         packets for the device
///     handleTimeout ─▶ │        │ ──▶ pollHandshake work that costs X25519
///     handle(result) ▶ └────────┘ ──▶ pollEvent     what a person may want to know
///
/// One thread owns it. After every input that thread sends the outbox, writes the inbox, passes handshake work on, and
/// asks `nextTimeout` how long to wait. When the device has nothing more, it calls `sendGathered` until that says no.
public struct Tunnel: ~Copyable {
    // What goes out.
    public var outbox = Outbox()
    public var inbox = Inbox()
    var jobs: [HandshakeJob] = []
    /// The next of them: there may be one for each of very many peers.
    var nextJob = 0
    var events: [TunnelEvent] = []
    static let mostEvents = 256
    /// How many there was no room for.
    public internal(set) var unnotedEvents: UInt64 = 0

    // Who we are.
    public internal(set) var privateKey: PrivateKey?
    public internal(set) var publicKey: PublicKey?
    var cookieChecker: CookieChecker?
    /// The MTU of the device, which padding must not exceed.
    public var mtu = 1420
    /// The largest payload of a datagram with frames, which may be larger themselves: what the path takes in one piece.
    public var framePayload = 1420
    /// The UDP port that datagrams leave from, by which they are known when a wrong route brings them back.
    public var port: UInt16 = 0
    /// The device is up. While it is down nothing is sent or received.
    public internal(set) var isUp = true

    // Who they are.
    var peers = UniqueArray<Peer>()
    var freeSlots: [Int32] = []
    var slots: [PublicKey: Int32] = [:]
    public internal(set) var allowedIPs = AllowedIPs()
    var nextGeneration: UInt32 = 0
    /// Where Ethernet addresses are.
    var addresses: MACTable
    var flooding = Tunnel.floods

    // What is between us.
    var chain: Chain
    var gathering = Gathering()
    /// What it carries.
    public let mode: TunnelMode
    let chachaImplementation: ChaChaImplementation
    /// This processor does AES-256-GCM well.
    let hasAES: Bool
    var sessions = SessionSlab()
    var indices = IndexTable()

    // Time and chance.
    var schedule = Heap<Wake>()
    var randomness: Randomness
    var jitter: UInt64
    var clockOffsets: ClockOffsets

    // Handshakes under way on the other thread, and until when we count as under load.
    var handshakesUnderWay = 0
    var underLoadUntil = Instant.distantPast
    /// Initiations whose senders have proved their address.
    var rateLimiter = RateLimiter(admitsWhenFull: false)
    /// Cookie replies, to addresses that may be forged: a flood is not reflected, and costs no more than its arrival.
    var cookieLimiter = RateLimiter(admitsWhenFull: true)
    /// Packets that went nowhere, whose senders are to be told.
    var refused: [Refusal] = []
    /// ICMP errors to hosts behind us.
    var refusals = TokenBucket(every: .milliseconds(10), atOnce: 50)
    /// ICMP errors from outside, to find out whom they are about.
    var rejections = TokenBucket(every: .milliseconds(500), atOnce: 8)

    /// Datagrams and packets that belong to no peer, dropped.
    public internal(set) var drops = DropCounters()

    /// A tunnel without key and peers; `randomness` is a seed in tests.
    public init(
        randomness: Randomness = .system, chacha: ChaChaImplementation = .libsodium,
        hasAES: Bool = CipherSuite.hasAESInstructions, mode: TunnelMode = .packets
    ) {
        self.mode = mode
        var randomness = randomness
        let number = UInt64(randomness.number()) << 32 | UInt64(randomness.number())
        jitter = number | 1
        chain = Chain(seed: number, carriesFrames: mode != .packets)
        addresses = MACTable(seed: number, isUsed: mode != .packets)
        self.randomness = randomness
        // Of a copy: what a test's seed yields later is what it was.
        clockOffsets = ClockOffsets(randomness)
        chachaImplementation = chacha
        self.hasAES = hasAES
    }

    // MARK: In

    /// A turn of the owning thread begins, before which it slept for `idle`: `auto` compresses only while there is time.
    public mutating func beginTurn(at now: Now, idle: Interval) {
        chain.governor.beginTurn(at: now.instant, idle: idle)
    }

    // MARK: Out

    /// The next piece of work for the handshake thread; its result comes back through `handle`.
    public mutating func pollHandshake() -> HandshakeJob? {
        guard nextJob < jobs.count else {
            jobs.removeAll(keepingCapacity: nextJob <= 64)
            nextJob = 0
            return nil
        }
        nextJob += 1
        return jobs[nextJob - 1]
    }

    /// The next thing that happened and that a person may want to know.
    public mutating func pollEvent() -> TunnelEvent? {
        guard !events.isEmpty else { return nil }
        return events.removeFirst()
    }

    /// When `handleTimeout` wants to be called, at the latest; `nil` if nothing is due ever.
    public var nextTimeout: Instant? { schedule.min?.at }

    /// Notes something for the log, unless nobody has read it for long.
    mutating func note(_ event: TunnelEvent) {
        if events.count < Self.mostEvents { events.append(event) } else { unnotedEvents &+= 1 }
    }
}

/// A peer's place in the schedule. One whose instant the peer no longer has is stale and means nothing.
struct Wake: Comparable {
    let at: Instant
    let slot: Int32

    static func < (a: Wake, b: Wake) -> Bool { a.at < b.at }
}

/// What a person may want to know.
public enum TunnelEvent: Sendable, Equatable {
    /// A session was made.
    case handshakeDone(PublicKey, Path, initiator: Bool)
    /// An initiation was not answered and is sent again: how many in a row were not, and why, if that is known.
    case handshakeUnanswered(PublicKey, attempt: Int, cause: PeerProblem? = nil)
    /// Something keeps a peer from being reached, and was not known before.
    case troubled(PublicKey, PeerProblem)
    /// `packets` of a peer were dropped since this was said last, the last one from this source: none of its AllowedIPs.
    case sourceRefused(PublicKey, IPAddress, packets: Int)
    /// No answer for 90 s; `dropped` packets had waited for it.
    case handshakeGivenUp(PublicKey, dropped: Int)
    /// A handshake message was wrong. The key is the sender's, if it proved it.
    case handshakeFailed(HandshakeFailure, PublicKey?, Path?)
    /// A peer says what it decodes; the cipher is what data to it is sealed with from now on.
    case peerAnnounced(PublicKey, CodecSet, CipherSuite, version: UInt8)
    /// A peer takes no Ethernet frames, which are all that we have: nothing is sent to it.
    case ethernetRefused(PublicKey)
    /// A peer carries Ethernet frames, and we packets: it drops them.
    case packetsRefused(PublicKey)
    /// A peer can't do AES-256-GCM, which its configuration here demands: nothing is sent to it.
    case cipherRefused(PublicKey)
    /// A peer has said nothing of AES-256-GCM, which its configuration here demands: nothing is sent to it.
    case cipherUnknown(PublicKey)
    /// A peer talks from somewhere else.
    case roamed(PublicKey, Path)
    /// All keys of a peer were wiped after a long silence.
    case wiped(PublicKey)
}
