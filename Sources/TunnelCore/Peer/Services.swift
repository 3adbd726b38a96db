import HeapModule
import Keys

/// The services that the peers of a tunnel share: each of them uses it while it does something, one after the other.
@usableFromInline
struct Services: ~Copyable {
    private let inPlace = InPlace()
    /// The time, as the owner of the tunnel handed it in with the input that is being handled.
    var now = Now(instant: .distantPast, wall: WallTime(seconds: 0, nanoseconds: 0))
    var sessions = SessionSlab()
    var indices = IndexTable()
    @usableFromInline var egress: Egress
    @usableFromInline var ingress: Ingress
    var jobs = HandshakeJobs()
    var schedule = Schedule()
    var randomness: Randomness
    /// What somebody watches.
    var trace = Trace()
    var samples = PlainSamples()
    var shares = ServiceShares()
    var clockOffsets: ClockOffsets
    let ciphers: Ciphers
    /// The UDP port that datagrams leave from.
    var port: UInt16 = 0
    /// The device is up, and there is a private key: sessions may be asked for.
    var isUp = true
    var hasIdentity = false
    /// Our own key, by which two ends that both begin something know who goes on.
    var publicKey: PublicKey?
    /// Datagrams and packets that belong to no peer, dropped.
    var drops = DropCounters()
    /// Peers of which a packet was dropped while another one was added to the queue.
    var dropsOfOthers: [PacketQueue.Dropped] = []
    /// Peers whose way there is to be asked for: the MTU of the interface that it begins with.
    var routeQuestions: [PeerSlot] = []
    private var events: [TunnelEvent] = []
    private static let mostEvents = 256
    /// Events that there was no room for.
    private(set) var unnotedEvents: UInt64 = 0
    private var jitter: UInt64

    init(_ cargo: Cargo, _ ciphers: Ciphers, randomness: Randomness) {
        var randomness = randomness
        let seed = UInt64(randomness.number()) << 32 | UInt64(randomness.number())
        self.seed = seed
        jitter = seed | 1
        egress = Egress(seed: seed, cargo)
        ingress = Ingress(cargo, seed: seed)
        self.ciphers = ciphers
        self.randomness = randomness
        // From a copy of the generator: what a test's seed yields later is what it was.
        clockOffsets = ClockOffsets(randomness)
    }

    /// The secret of tables that are indexed by hashes, which an outsider must not know.
    let seed: UInt64

    var cargo: Cargo { @inline(__always) get { egress.cargo } }

    /// Wipes sessions and frees their indices.
    mutating func end(_ ended: Keypairs.Ended) {
        for index in ended.indices {
            guard let session = ended[index] else { continue }
            if let local = sessions[session].wireGuard.localIndex { indices.remove(local) }
            if let local = sessions[session].aes.localIndex { indices.remove(local) }
            sessions.remove(session)
        }
    }

    /// Notes something for the log, unless nobody has read it for long.
    mutating func note(_ event: TunnelEvent) {
        if events.count < Self.mostEvents { events.append(event) } else { unnotedEvents &+= 1 }
    }

    /// Notes what somebody did wrong whom we do not know. He may do so very often: there is always room for news of peers.
    mutating func noteStranger(_ failure: HandshakeFailure, _ path: Path) {
        guard events.count < Self.mostEvents / 4 else {
            unnotedEvents &+= 1
            return
        }
        events.append(.handshakeFailed(failure, nil, path))
    }

    mutating func pollEvent() -> TunnelEvent? { events.isEmpty ? nil : events.removeFirst() }

    /// Up to 333 ms, so that two ends do not keep colliding. It need not be unpredictable.
    @inline(__always)
    mutating func randomJitter() -> Interval {
        jitter ^= jitter << 13
        jitter ^= jitter >> 7
        jitter ^= jitter << 17
        return Interval(nanoseconds: Int64(jitter % UInt64(Limits.rekeyJitter.nanoseconds)))
    }
}

/// The ciphers of this machine.
struct Ciphers {
    let chacha: ChaChaImplementation
    /// This processor does AES-256-GCM well.
    let hasAES: Bool
}

/// Work for the handshake thread that nobody has fetched yet: there may be some for each of very many peers.
struct HandshakeJobs {
    private var jobs: [HandshakeJob] = []
    private var next = 0

    var count: Int { jobs.count }

    mutating func append(_ job: HandshakeJob) { jobs.append(job) }

    mutating func poll() -> HandshakeJob? {
        guard next < jobs.count else {
            jobs.removeAll(keepingCapacity: next <= 64)
            next = 0
            return nil
        }
        next += 1
        return jobs[next - 1]
    }
}

/// When each peer wants to be looked at. An entry whose instant the peer no longer has is stale and means nothing.
struct Schedule: ~Copyable {
    struct Wake: Comparable {
        let at: Instant
        let peer: PeerSlot

        static func < (a: Wake, b: Wake) -> Bool { a.at < b.at }
    }

    private var heap = Heap<Wake>()

    init() {}

    /// The first of all; `nil` if nothing is due ever.
    var next: Instant? { heap.min?.at }

    mutating func add(_ peer: PeerSlot, at instant: Instant) { heap.insert(Wake(at: instant, peer: peer)) }

    /// Takes the first entry out if it is due.
    mutating func poll(at now: Instant) -> Wake? {
        guard let wake = heap.min, wake.at <= now else { return nil }
        heap.removeMin()
        return wake
    }
}
