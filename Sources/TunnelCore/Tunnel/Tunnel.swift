public import Addresses
import BasicContainers
public import Keys

/// A WireGuard interface without its device, its sockets and its clock: packets and datagrams go in, packets, datagrams
/// and work for the handshake thread come out.
///
///     handlePacket ──▶ ┌────────┐ ──▶ outbox        datagrams for the wire
///     handleDatagram ▶ │ Tunnel │ ──▶ inbox         packets for the device
///     handleTimeout ─▶ │        │ ──▶ pollHandshake work that costs X25519
///     handle(result) ▶ └────────┘ ──▶ pollEvent     what a person may want to know
///
/// It routes, by AllowedIPs or Ethernet addresses one way and by receiver index the other; what becomes of a packet then is the
/// `Peer`'s business, with the `Services` that all peers share.
///
/// One thread owns it, as a `TunnelDriver`. After every input that thread sends the outbox, writes the inbox, passes handshake
/// work on, and asks `nextTimeout` how long to wait. When the device has nothing more, it calls `sendGathered` until that says no.
public struct Tunnel: ~Copyable {
    /// Packets or frames.
    public let mode: TunnelMode
    public internal(set) var privateKey: PrivateKey?
    public internal(set) var publicKey: PublicKey?

    var peers = PeerTable()
    public internal(set) var allowedIPs = AllowedIPs()
    /// Where Ethernet addresses are, and how many frames may go to everybody.
    var addresses: MACTable
    /// Whose IP addresses are where, and how many questions about them were answered here.
    var neighbours: NeighbourTable
    var answeredNeighbours: UInt64 = 0
    var flooding = TokenBucket.floods
    var floods: Floods
    /// Some of it waits until the outbox was sent.
    @usableFromInline var isFlooding = false
    var admission = HandshakeAdmission()
    /// ICMP errors from outside, to find out whom they are about.
    var rejections = TokenBucket(every: .milliseconds(500), atOnce: 8)
    /// What the largest segment of TCP is lowered to.
    public var segmentClamp = SegmentClamp.fitting
    /// ICMP errors about datagrams that were too big, and those of them that were about no peer.
    var tooBigs = TokenBucket(every: .milliseconds(20), atOnce: 16)
    public internal(set) var ignoredTooBigs: UInt64 = 0
    @usableFromInline var services: Services

    /// A tunnel without key and peers; `randomness` is a seed in tests.
    public init(
        randomness: Randomness = .system, chacha: ChaChaImplementation = .libsodium,
        hasAES: Bool = CipherSuite.hasAESInstructions, mode: TunnelMode = .packets
    ) {
        self.mode = mode
        services = Services(mode.cargo, Ciphers(chacha: chacha, hasAES: hasAES), randomness: randomness)
        addresses = MACTable(seed: services.seed, isUsed: mode != .packets)
        neighbours = NeighbourTable(seed: services.seed)
        floods = Floods(isUsed: mode != .packets)
    }

    // MARK: Settings

    /// The MTU of the device, which padding must not exceed.
    public var mtu: Int {
        get { services.egress.sizes.mtu }
        set { services.egress.sizes.mtu = newValue }
    }

    /// The largest payload of a datagram with frames, which may be larger themselves: what the path takes in one piece.
    public var framePayload: Int {
        get { services.egress.sizes.framePayload }
        set { services.egress.sizes.framePayload = newValue }
    }

    /// The UDP port that datagrams leave from, by which they are known when a wrong route brings them back.
    public var port: UInt16 {
        get { services.port }
        set { services.port = newValue }
    }

    /// The device is up. While it is down nothing is sent or received.
    public var isUp: Bool { services.isUp }

    /// The device went up or down, as its owner sees it. Down: sessions end, what waited is dropped, timers stop.
    /// Up: peers with a persistent keepalive or with packets that wait are greeted; the others wait for traffic.
    public mutating func setUp(_ isUp: Bool, at now: Now) {
        guard isUp != services.isUp else { return }
        services.now = now
        services.isUp = isUp
        if !isUp { services.indices.removeReserved() }
        for slot in peers.all {
            if isUp { peers[slot].wake(&services) } else { peers[slot].quiet(&services) }
        }
    }

    // MARK: Turns

    /// A turn of the owning thread begins, before which it slept for `idle`: `auto` compresses only while there is time,
    /// and what a peer has made us do before a rest is not held against it.
    public mutating func beginTurn(at now: Now, idle: Interval) {
        services.egress.governor.beginTurn(at: now.instant, idle: idle)
        if idle >= Limits.rest { services.ingress.idleAt = now.instant }
    }

    /// When `handleTimeout` wants to be called, at the latest; `nil` if nothing is due ever.
    public var nextTimeout: Instant? {
        var next = services.schedule.next
        if services.egress.queue.isUsed, let send = services.egress.queue.nextSend(at: services.now.instant) {
            next = min(next ?? send, send)
        }
        if services.ingress.reorder.hasReady { next = min(next ?? services.ingress.readyAt, services.ingress.readyAt) }
        if let expiry = services.ingress.reorder.nextExpiry { next = min(next ?? expiry, expiry) }
        if let units = nextUnits { next = min(next ?? units, units) }
        return next
    }

    /// Does what is due, as long as the outbox and the inbox have room: whoever calls it sends and calls again until `nextTimeout` lies ahead.
    public mutating func handleTimeout(at now: Now) {
        services.now = now
        while services.egress.outbox.hasRoom, let wake = services.schedule.poll(at: now.instant) {
            let before = peers[wake.peer].drops.total
            peers[wake.peer].handleTimeout(scheduledAt: wake.at, &services)
            if services.trace.isOn {
                traceDrops(peers[wake.peer].drops.last, Int(peers[wake.peer].drops.total &- before), of: wake.peer)
            }
            makeRoomToGather()
            releaseUnits(of: wake.peer)
            releaseHeld(of: wake.peer)
        }
        handleUnits(at: now.instant)
        services.ingress.reorder.expire(at: now.instant)
        deliverReady()
        sendQueued()
    }

    // MARK: Out

    /// Datagrams for the wire, and packets for the device: the edge sends and writes them, and clears both.
    @inlinable
    public var outbox: Outbox {
        @inline(__always) _read { yield services.egress.outbox }
        @inline(__always) _modify { yield &services.egress.outbox }
    }

    @inlinable
    public var inbox: Inbox {
        @inline(__always) _read { yield services.ingress.inbox }
        @inline(__always) _modify { yield &services.ingress.inbox }
    }

    /// The next piece of work for the handshake thread; its result comes back through `handle`.
    public mutating func pollHandshake() -> HandshakeJob? { services.jobs.poll() }

    /// The next packet that went nowhere and whose sender is to be told; by `answer`, or by the owner itself.
    public mutating func pollRefusal() -> Refusal? { services.ingress.refusals.poll() }

    /// Tells a sender through the device that its packet goes nowhere, with room in the inbox. `source` is who says so; if it
    /// is `nil`, the address that the packet was for.
    public mutating func answer(_ refusal: Refusal, from source: IPAddress?) {
        services.ingress.answer(refusal, from: source)
    }

    /// The next thing that happened and that a person may want to know.
    public mutating func pollEvent() -> TunnelEvent? { services.pollEvent() }

    /// Datagrams and packets that belong to no peer, dropped.
    public var drops: DropCounters { services.drops }
}
