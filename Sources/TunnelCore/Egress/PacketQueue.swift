import BasicContainers

/// Packets that wait in front of a link that is slower than what wants to go through it: FQ-CoDel (RFC 8290), first among peers and
/// then among the flows of a peer, in bytes on the wire. Flows that send little go first.
///
/// Packets wait here before they are compressed, so that units form from what waits. A unit that a link needs long for waits sealed, and
/// leaves datagram by datagram: flows that send little go between them. Nothing is allocated and nothing is looked at unless a rate
/// is set.
struct PacketQueue: ~Copyable {
    private let inPlace = InPlace()
    /// What the link takes next.
    enum Turn {
        /// Packets of a flow.
        case flow(Grant)
        /// A datagram of a unit to a peer.
        case datagram(PeerSlot)
    }

    /// A flow that may send now.
    struct Grant {
        let peer: PeerSlot
        let flow: Int32
        /// Bytes that it may put on the wire as one unit, more or less, and as packets that are not compressed, which gain nothing by
        /// leaving together.
        let unit: Int
        let plain: Int
        /// It goes between the datagrams of a unit, and waits for none of them.
        let isBesideUnit: Bool
        /// The link is not free yet: what comes of it waits, sealed.
        var isAhead = false
    }

    /// A packet that was taken out; its bytes are good until it is released.
    struct Waiting {
        let place: Int32
        let length: Int
        /// The number of the place that a frame came from; of a sealed datagram, its traffic class.
        let origin: Int32
        /// It waited too long for too long: it is to be marked, or dropped.
        let isCongested: Bool
    }

    /// What waits for one peer.
    struct Line {
        var shaper: Shaper?
        /// Its part of the flow table while anything waits; -1: nothing does.
        var table: Int32 = -1
        var turns = FlowQueues.Turns()
        var deficit = 0
        var count = 0
        var bytes = 0
        var next: Int32 = -1
        /// Sealed datagrams of a unit, in order, and the flow that they are of, whose packets must not overtake them.
        var sealed = ListEnds()
        var sealedFlow: Int32 = -1
        var log = QueueLog()
        /// What came out of the queue lately, in bytes of packets, and what became of it on the link.
        fileprivate var taken = 0
        fileprivate var sent = 0
        /// Bytes on the link that were sent to it, while anything was shaped.
        var charged: UInt64 = 0
        var isWaiting: Bool { count > 0 || !sealed.isEmpty }
    }

    /// What may wait for a peer, in time at its rate, and in bytes at least.
    private static let mostTime = Interval.milliseconds(400)
    private static let leastBytes = 64 * 1024
    /// What a link takes in a millisecond in front of which super-segments wait whole.
    private static let leastWhole = Int(Shaper.fast / 8000)
    /// Where packets shrink before they go on the link, more of them may wait: up to so many times as much, and so much.
    private static let mostShrunk = 4
    private static let mostBytes = 2 << 20
    /// Bytes on the link, of which what they were before says how much packets shrink.
    private static let recent = 64 * 1024
    /// Bytes that a datagram takes on the link besides itself and its headers of IP and UDP.
    var linkOverhead = 14
    private(set) var shaper: Shaper?
    private var shapedPeers = 0
    var memory = PacketMemory()
    var flows = FlowQueues()
    var lines = ContiguousArray<Line>()
    /// The peers that something waits for, in the order of their turns.
    var active = ListEnds()
    /// Since when something has waited without a break; it may be long past when nothing does.
    private var waitingSince = Instant.distantFuture
    /// Packets that wait, and sealed datagrams.
    private(set) var count = 0 { didSet { noteUse() } }
    var sealedCount = 0 { didSet { noteUse() } }
    /// Anything is shaped, or waits still. Stored: every packet asks, and more of the queue is looked at only if it is so.
    private(set) var isUsed = false
    /// What is sent is part of a grant, and is charged when that ends.
    private var isGranted = false

    // MARK: Settings

    /// Sets the rate of what all peers are sent, in bits a second; `nil`: as fast as it goes.
    mutating func setRate(_ rate: UInt64?) {
        if rate != shaper?.rate { shaper = rate.map { Shaper(rate: $0) } }
        noteUse()
    }

    /// Sets the rate of what one peer is sent.
    mutating func setRate(_ rate: UInt64?, of peer: PeerSlot) {
        grow(to: peer)
        let line = peer.offset
        guard rate != lines[line].shaper?.rate else { return }
        // What was sent before takes the time that it takes.
        if let rate, lines[line].shaper != nil {
            lines[line].shaper?.setRate(rate)
            return
        }
        shapedPeers += (rate == nil ? 0 : 1) - (lines[line].shaper == nil ? 0 : 1)
        lines[line].shaper = rate.map { Shaper(rate: $0) }
        noteUse()
    }

    private mutating func noteUse() { isUsed = shaper != nil || shapedPeers > 0 || count + sealedCount > 0 }

    /// The rate of what a peer is sent, if it has one of its own.
    func rate(of peer: PeerSlot) -> UInt64? { peer.offset < lines.count ? lines[peer.offset].shaper?.rate : nil }

    /// Whether what goes to a peer waits here.
    @inline(__always)
    func holds(_ peer: PeerSlot) -> Bool {
        guard isUsed else { return false }
        guard peer.offset < lines.count else { return shaper != nil }
        return shaper != nil || lines[peer.offset].shaper != nil || lines[peer.offset].isWaiting
    }

    /// Whether what goes to a peer waits for a link of less than 100 Mbit/s.
    @inline(__always)
    func isThin(to peer: PeerSlot) -> Bool {
        holds(peer) && inMillisecond(for: peer) < 12_500
    }

    /// Bytes on the link that a peer was sent so far.
    func charged(to peer: PeerSlot) -> UInt64 { peer.offset < lines.count ? lines[peer.offset].charged : 0 }

    /// Packets that wait for a peer, and their bytes.
    func backlog(of peer: PeerSlot) -> (packets: Int, bytes: Int) {
        peer.offset < lines.count ? (lines[peer.offset].count, lines[peer.offset].bytes) : (0, 0)
    }

    /// Whether anything waits for a peer, sealed or not.
    func isWaiting(for peer: PeerSlot) -> Bool { peer.offset < lines.count && lines[peer.offset].isWaiting }

    private mutating func grow(to peer: PeerSlot) {
        while lines.count <= peer.offset { lines.append(Line()) }
    }

    // MARK: In

    /// Packets that were dropped since the queue is full, and of which peer.
    struct Dropped {
        let peer: PeerSlot
        var packets = 1
    }

    /// Adds a packet of a flow. What was dropped for that, perhaps this one.
    mutating func append(
        _ packet: RawSpan, of flow: UInt64, from origin: Int32, to peer: PeerSlot, at now: Instant
    ) -> Dropped? {
        grow(to: peer)
        if packet.byteCount > memory.size, count + sealedCount == 0 { memory.grow(to: packet.byteCount) }
        guard packet.byteCount <= memory.size else { return Dropped(peer: peer) }
        var dropped: Dropped?
        if lines[peer.offset].bytes > mostBytes(for: peer) {
            dropped = dropOfLongest(of: peer)
        } else if memory.isFull {
            dropped = longestLine().flatMap { dropOfLongest(of: $0) }
        }
        guard let place = memory.take(packet, from: origin, at: now) else { return Dropped(peer: peer) }
        append(place, of: flow, to: peer, at: now)
        return dropped
    }

    /// Adds a super-segment of a flow, which stands for some packets, as it is, if the link is so fast that it takes it in a
    /// millisecond; false: its packets are to be added one by one.
    mutating func append(
        _ packet: RawSpan, as virtio: VirtioHeader, packets: Int, of flow: UInt64, to peer: PeerSlot, at now: Instant
    ) -> Bool {
        grow(to: peer)
        if memory.size == 0 { memory.grow(to: 0) }
        let least = max(packet.byteCount + packet.byteCount / 8, Self.leastWhole)
        guard inMillisecond(for: peer) >= least, lines[peer.offset].bytes <= mostBytes(for: peer),
            let place = memory.take(packet, as: virtio, packets: packets, at: now)
        else { return false }
        append(place, of: flow, to: peer, at: now)
        return true
    }

    private mutating func append(_ place: Int32, of flow: UInt64, to peer: PeerSlot, at now: Instant) {
        if count + sealedCount == 0 { waitingSince = now }
        let line = peer.offset
        if lines[line].table < 0 { open(peer) }
        let number = flows.find(flow, in: lines[line].table, keeping: lines[line].sealedFlow)
        flows.append(place, to: number, in: &memory)
        let packet = memory[place]
        lines[line].bytes += Int(packet.length)
        lines[line].count += Int(packet.packets)
        count += Int(packet.packets)
        lines[line].log.noteActive(FlowQueues.index(of: number))
        flows.schedule(number, isNew: number != lines[line].sealedFlow, &lines[line].turns)
    }

    private func mostBytes(for peer: PeerSlot) -> Int {
        let line = lines[peer.offset]
        let most = (line.shaper ?? shaper)?.bytes(in: Self.mostTime) ?? 0
        guard most < Self.mostBytes, line.sent >= Self.recent / 4, line.taken > line.sent else {
            return max(most, Self.leastBytes)
        }
        let shrunk = min(most * line.taken / line.sent, most * Self.mostShrunk)
        return max(min(shrunk, Self.mostBytes), Self.leastBytes)
    }

    /// Notes what became of packets of so many bytes on the link to a peer.
    mutating func noteShrunk(_ taken: Int, to sent: Int, for peer: PeerSlot) {
        lines[peer.offset].taken += taken
        lines[peer.offset].sent += sent
        guard lines[peer.offset].sent >= Self.recent else { return }
        lines[peer.offset].taken /= 2
        lines[peer.offset].sent /= 2
    }

    // MARK: Too much

    private func longestLine() -> PeerSlot? {
        var longest: PeerSlot?
        var number = active.head
        while number >= 0 {
            if lines[Int(number)].bytes > longest.map({ lines[$0.offset].bytes }) ?? 0 { longest = PeerSlot(number) }
            number = lines[Int(number)].next
        }
        return longest
    }

    /// Drops the first packet of the flow of a peer of which most waits.
    private mutating func dropOfLongest(of peer: PeerSlot) -> Dropped? {
        guard lines[peer.offset].table >= 0, let longest = flows.longest(in: lines[peer.offset].table),
            let place = takeFirst(of: longest, peer)
        else { return nil }
        let packets = memory[place].packets
        memory.release(place)
        return Dropped(peer: peer, packets: Int(packets))
    }

    /// Drops all that waits for a peer; how many packets that was.
    mutating func removeAll(for peer: PeerSlot) -> Int {
        guard peer.offset < lines.count, lines[peer.offset].table >= 0 else { return 0 }
        var dropped = 0
        for flow in flows.numbers(of: lines[peer.offset].table) {
            while let place = takeFirst(of: flow, peer) {
                dropped += Int(memory[place].packets)
                memory.release(place)
            }
        }
        while let datagram = popSealed(of: peer) {
            release(datagram)
            dropped += 1
        }
        return dropped
    }

    private mutating func takeFirst(of flow: Int32, _ peer: PeerSlot) -> Int32? {
        guard let place = flows.takeFirst(of: flow, in: memory) else { return nil }
        let packet = memory[place]
        lines[peer.offset].bytes -= Int(packet.length)
        lines[peer.offset].count -= Int(packet.packets)
        count -= Int(packet.packets)
        return place
    }

    // MARK: Out

    /// Takes the next packet of a flow out; `release` must follow. `nil`: none waits.
    mutating func pop(_ grant: Grant, _ setting: CoDel.Setting, at now: Instant) -> Waiting? {
        guard let place = takeFirst(of: grant.flow, grant.peer) else { return nil }
        let packet = memory[place]
        let sojourn = now - packet.arrivedAt
        lines[grant.peer.offset].log.noteDelay(sojourn, at: now)
        let isCongested = flows.judge(sojourn, in: grant.flow, setting, at: now)
        return Waiting(place: place, length: Int(packet.length), origin: packet.origin, isCongested: isCongested)
    }

    /// The bytes of the next packet of a flow.
    func nextLength(of grant: Grant) -> Int? {
        flows.first(of: grant.flow).map { Int(memory[$0].length) }
    }

    /// The bytes of a packet that was taken out, good until it is released, which the compiler can't know.
    @unsafe
    @_lifetime(immortal)
    func bytes(of packet: Waiting) -> MutableRawSpan {
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: memory.start(of: packet.place), count: packet.length)
        return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: bytes), copying: ())
    }

    /// How a packet that was taken out is to be cut; `nil`: it is one packet.
    @inline(__always)
    func virtio(of packet: Waiting) -> VirtioHeader? { memory.virtio(of: packet.place) }

    /// Where they start.
    @unsafe func start(of packet: Waiting) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(memory.start(of: packet.place))
    }

    mutating func release(_ packet: Waiting) { memory.release(packet.place) }

    // MARK: What it cost

    /// What is sent from here on is part of a grant.
    mutating func begin() { isGranted = true }

    /// A grant ends: charges its flow and peer with the bytes on the link that came of it, and the links, unless it waits for them still.
    mutating func end(_ grant: Grant, _ bytes: Int, isHeld: Bool, at now: Instant) {
        isGranted = false
        if !isHeld { charge(bytes, to: grant.peer, at: now) }
        flows.charge(bytes, to: grant.flow)
        lines[grant.peer.offset].deficit -= bytes
        guard lines[grant.peer.offset].deficit <= 0 else { return }
        rotate(grant.peer)
    }

    /// Charges the links with datagrams to a peer that leave now, be it without having waited.
    mutating func charge(_ bytes: Int, datagrams: Int, to peer: PeerSlot, at now: Instant) {
        guard !isGranted else { return }
        charge(bytes + datagrams * (Transport.outerHeaders + linkOverhead), to: peer, at: now)
    }

    private mutating func charge(_ whole: Int, to peer: PeerSlot, at now: Instant) {
        let waiting = count + sealedCount > 0 ? waitingSince : now
        shaper?.charge(whole, at: now, waiting: waiting)
        guard peer.offset < lines.count else { return }
        lines[peer.offset].charged &+= UInt64(max(whole, 0))
        lines[peer.offset].shaper?.charge(whole, at: now, waiting: waiting)
    }

    // MARK: What was seen

    /// What was seen of the packets to a peer lately.
    func log(of peer: PeerSlot, at now: Instant) -> QueueLog.Summary? {
        peer.offset < lines.count ? lines[peer.offset].log.summary(at: now) : nil
    }
}
