import BasicContainers

/// Packets that wait in front of a link that is slower than what wants to go through it: FQ-CoDel (RFC 8290), first among peers and
/// then among the flows of a peer, in bytes on the wire. Flows that send little go first.
///
/// Packets wait here before they are compressed, so that units form from what waits. A unit that a link needs long for waits sealed, and
/// leaves datagram by datagram: flows that send little go between them. Nothing is allocated and nothing is looked at unless a rate
/// is set.
@safe
struct PacketQueue: ~Copyable {
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
        fileprivate let flow: Int32
        /// Bytes that it may put on the wire as one unit, more or less, and as packets that are not compressed, which gain nothing by
        /// leaving together.
        let unit: Int
        let plain: Int
        /// It goes between the datagrams of a unit, and waits for none of them.
        fileprivate let isBesideUnit: Bool
        /// The link is not free yet: what comes of it waits, sealed.
        fileprivate var isAhead = false
    }

    /// A packet that was taken out; its bytes are good until it is released.
    struct Waiting {
        fileprivate let place: Int32
        let length: Int
        /// The number of the place that a frame came from; of a sealed datagram, its traffic class.
        let origin: Int32
        /// It waited too long for too long: it is to be marked, or dropped.
        let isCongested: Bool
    }

    private struct Packet {
        var next: Int32 = -1
        var length: Int32 = 0
        var origin: Int32 = 0
        var arrivedAt = Instant.distantPast
    }

    private enum Age: UInt8 { case idle, new, old }

    private struct Flow {
        var packets = List()
        var bytes = 0
        var deficit = 0
        var age = Age.idle
        var next: Int32 = -1
        var codel = CoDel()
    }

    /// A list by the places of its ends.
    private struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
        var isEmpty: Bool { head < 0 }
    }

    /// What waits for one peer.
    private struct Line {
        var shaper: Shaper?
        /// Its part of the flow table while anything waits; -1: nothing does.
        var table: Int32 = -1
        var new = List()
        var old = List()
        var deficit = 0
        var count = 0
        var bytes = 0
        var next: Int32 = -1
        /// Sealed datagrams of a unit, in order, and the flow that they are of, whose packets must not overtake them.
        var sealed = List()
        var sealedFlow: Int32 = -1
        var log = QueueLog()
        var isWaiting: Bool { count > 0 || !sealed.isEmpty }
    }

    static let tableSize = 256
    private static let packetCount = 4096
    private static let leastStride = 2048
    /// What a round gives to each flow and each peer.
    private static let quantum = 1500
    /// What may wait for a peer, in time at its rate, and in bytes at least.
    private static let mostTime = Interval.milliseconds(400)
    private static let leastBytes = 64 * 1024
    /// What one grant takes of a link's time: with a unit, which gains by being large, and without.
    private static let unitTime = Interval.milliseconds(20)
    private static let plainTime = Interval.milliseconds(1)
    private static let unitLeast = 1500
    /// How long before a link is free a unit for it is made at the most, and what a link takes at most in `plainTime` for which that is done.
    private static let ahead = Interval.milliseconds(20)
    private static let thin = 6250

    /// Bytes that a datagram takes on the link besides itself and its headers of IP and UDP.
    var linkOverhead = 14
    private(set) var shaper: Shaper?
    private var shapedPeers = 0
    /// Made when it is used for the first time.
    private var memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    private var stride = 0
    private var packets = ContiguousArray<Packet>()
    private var free: Int32 = -1
    private var flows = ContiguousArray<Flow>()
    private var freeTables: ContiguousArray<Int32> = []
    private var lines = ContiguousArray<Line>()
    private var active = List()
    /// Since when something has waited without a break; it may be long past when nothing does.
    private var waitingSince = Instant.distantFuture
    /// Packets that wait, and sealed datagrams.
    private(set) var count = 0
    private var sealedCount = 0
    private var freeCount = 0
    /// What is sent is part of a grant, and is charged when that ends.
    private var isGranted = false

    init() {}

    deinit { unsafe memory.deallocate() }

    // MARK: Settings

    /// Sets the rate of what all peers are sent, in bits a second; `nil`: as fast as it goes.
    mutating func setRate(_ rate: UInt64?) {
        if rate != shaper?.rate { shaper = rate.map { Shaper(rate: $0) } }
    }

    /// Sets the rate of what one peer is sent.
    mutating func setRate(_ rate: UInt64?, of peer: PeerSlot) {
        grow(to: peer)
        let line = peer.offset
        guard rate != lines[line].shaper?.rate else { return }
        shapedPeers += (rate == nil ? 0 : 1) - (lines[line].shaper == nil ? 0 : 1)
        lines[line].shaper = rate.map { Shaper(rate: $0) }
    }

    /// The rate of what a peer is sent, if it has one of its own.
    func rate(of peer: PeerSlot) -> UInt64? { peer.offset < lines.count ? lines[peer.offset].shaper?.rate : nil }

    /// Whether anything is shaped, or waits still.
    @inline(__always) var isUsed: Bool { shaper != nil || shapedPeers > 0 || count + sealedCount > 0 }

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
        holds(peer) && bytes(for: peer, in: .milliseconds(1)) < 12_500
    }

    /// Packets that wait for a peer, and their bytes.
    func backlog(of peer: PeerSlot) -> (packets: Int, bytes: Int) {
        peer.offset < lines.count ? (lines[peer.offset].count, lines[peer.offset].bytes) : (0, 0)
    }

    private mutating func grow(to peer: PeerSlot) {
        while lines.count <= peer.offset { lines.append(Line()) }
    }

    /// Makes memory for packets of `size` bytes and less, while nothing waits in what there is.
    private mutating func prepare(for size: Int) {
        guard size > stride, count + sealedCount == 0 else { return }
        // A place holds a packet, or the datagram that it becomes.
        stride = max((size + Transport.overhead + Limits.padding + 63) & ~63, Self.leastStride)
        unsafe memory.deallocate()
        unsafe memory = .allocate(byteCount: Self.packetCount * stride, alignment: 64)
        packets = ContiguousArray(repeating: Packet(), count: Self.packetCount)
        for place in 0..<Self.packetCount - 1 { packets[place].next = Int32(place + 1) }
        free = 0
        freeCount = Self.packetCount
    }

    private mutating func takePlace(for packet: Packet) -> Int32? {
        guard free >= 0 else { return nil }
        let place = free
        free = packets[Int(place)].next
        freeCount -= 1
        packets[Int(place)] = packet
        return place
    }

    /// A list with one more packet at its end.
    private mutating func list(_ list: List, adding place: Int32) -> List {
        if !list.isEmpty { packets[Int(list.tail)].next = place }
        return List(head: list.isEmpty ? place : list.head, tail: place)
    }

    // MARK: In

    /// Adds a packet of a flow. A peer of which a packet was dropped for that, perhaps this one: the queue is full.
    mutating func append(
        _ packet: RawSpan, of flow: UInt64, from origin: Int32, to peer: PeerSlot, at now: Instant
    ) -> PeerSlot? {
        grow(to: peer)
        prepare(for: packet.byteCount)
        guard packet.byteCount <= stride else { return peer }
        var dropped: PeerSlot?
        if lines[peer.offset].bytes > mostBytes(for: peer) {
            dropped = dropOfLongest(of: peer)
        } else if free < 0 {
            dropped = longestLine().flatMap { dropOfLongest(of: $0) }
        }
        if count + sealedCount == 0 { waitingSince = now }
        let waiting = Packet(length: Int32(packet.byteCount), origin: origin, arrivedAt: now)
        guard let place = takePlace(for: waiting) else { return peer }
        write(packet, to: place)
        enqueue(place, packet.byteCount, of: flow, to: peer)
        return dropped
    }

    private mutating func write(_ packet: RawSpan, to place: Int32) {
        let start = unsafe memory + Int(place) * stride
        unsafe packet.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { unsafe start.copyMemory(from: base, byteCount: bytes.count) }
        }
    }

    private mutating func enqueue(_ place: Int32, _ length: Int, of flow: UInt64, to peer: PeerSlot) {
        let line = peer.offset
        if lines[line].table < 0 { open(peer) }
        let number =
            lines[line].table * Int32(Self.tableSize) + Int32(truncatingIfNeeded: (flow &* 0x9e37_79b9_7f4a_7c15) >> 56)
        let index = Int(number)
        flows[index].packets = list(flows[index].packets, adding: place)
        flows[index].bytes += length
        lines[line].bytes += length
        lines[line].count += 1
        count += 1
        lines[line].log.noteActive(index % Self.tableSize)
        guard flows[index].age == .idle else { return }
        guard number != lines[line].sealedFlow else { return addToOld(number, line) }
        flows[index].age = .new
        flows[index].deficit = Self.quantum
        flows[index].next = -1
        if lines[line].new.isEmpty {
            lines[line].new.head = number
        } else {
            flows[Int(lines[line].new.tail)].next = number
        }
        lines[line].new.tail = number
    }

    /// Gives a peer a part of the flow table and a place among those that have something to send.
    private mutating func open(_ peer: PeerSlot) {
        if freeTables.isEmpty {
            freeTables.append(Int32(flows.count / Self.tableSize))
            flows.append(contentsOf: repeatElement(Flow(), count: Self.tableSize))
        }
        lines[peer.offset].table = freeTables.removeLast()
        lines[peer.offset].deficit = Self.quantum
        lines[peer.offset].next = -1
        if active.isEmpty { active.head = peer.number } else { lines[Int(active.tail)].next = peer.number }
        active.tail = peer.number
    }

    private func mostBytes(for peer: PeerSlot) -> Int {
        let shaper = lines[peer.offset].shaper ?? self.shaper
        return max(shaper?.bytes(in: Self.mostTime) ?? 0, Self.leastBytes)
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
    private mutating func dropOfLongest(of peer: PeerSlot) -> PeerSlot? {
        guard lines[peer.offset].table >= 0 else { return nil }
        let first = Int(lines[peer.offset].table) * Self.tableSize
        guard let longest = (first..<first + Self.tableSize).max(by: { flows[$0].bytes < flows[$1].bytes }),
            let place = takeFirst(of: longest, peer)
        else { return nil }
        release(place)
        return peer
    }

    /// Drops all that waits for a peer; how many packets that was.
    mutating func removeAll(for peer: PeerSlot) -> Int {
        guard peer.offset < lines.count, lines[peer.offset].table >= 0 else { return 0 }
        let first = Int(lines[peer.offset].table) * Self.tableSize
        var dropped = 0
        for flow in first..<first + Self.tableSize {
            while let place = takeFirst(of: flow, peer) {
                release(place)
                dropped += 1
            }
        }
        while let datagram = popSealed(of: peer) {
            release(datagram)
            dropped += 1
        }
        return dropped
    }

    private mutating func takeFirst(of flow: Int, _ peer: PeerSlot) -> Int32? {
        let place = flows[flow].packets.head
        guard place >= 0 else { return nil }
        flows[flow].packets.head = packets[Int(place)].next
        if flows[flow].packets.isEmpty { flows[flow].packets.tail = -1 }
        let length = Int(packets[Int(place)].length)
        flows[flow].bytes -= length
        lines[peer.offset].bytes -= length
        lines[peer.offset].count -= 1
        count -= 1
        return place
    }

    private mutating func release(_ place: Int32) {
        packets[Int(place)].next = free
        free = place
        freeCount += 1
    }

    // MARK: Out

    /// When something may be sent, at the earliest; `nil` if nothing waits.
    func nextSend(at now: Instant) -> Instant? {
        guard count + sealedCount > 0 else { return nil }
        let shared = shaper?.freeAt ?? .distantPast
        var earliest = Instant.distantFuture
        var number = active.head
        while number >= 0, earliest > now {
            earliest = min(earliest, lines[Int(number)].shaper?.freeAt ?? .distantPast)
            number = lines[Int(number)].next
        }
        return max(shared, earliest)
    }

    /// What leaves next, if the link is free: flows that are new, then what is left of a unit, then the flow whose turn it is.
    mutating func next(at now: Instant) -> Turn? {
        guard count + sealedCount > 0, shaper?.isFree(at: now) != false else { return nil }
        if sealedCount > 0, let turn = nextBesideUnit(at: now) { return turn }
        // Each peer is looked at until its deficit is made up; peers that must wait for their own rate are passed over.
        var passes = 0
        var number = active.head
        while number >= 0 {
            let line = Int(number)
            let following = lines[line].next
            guard lines[line].isWaiting else {
                close(PeerSlot(number))
                number = following
                continue
            }
            let isFree = lines[line].shaper?.isFree(at: now) != false
            if isFree, lines[line].deficit > 0, let flow = nextFlow(of: PeerSlot(number)) {
                let unit = bytes(for: PeerSlot(number), in: Self.unitTime)
                return .flow(
                    Grant(
                        peer: PeerSlot(number), flow: flow, unit: min(max(unit, Self.unitLeast), Limits.unit),
                        plain: bytes(for: PeerSlot(number), in: Self.plainTime), isBesideUnit: false))
            }
            if isFree, lines[line].deficit <= 0 { lines[line].deficit += Self.quantum }
            number = following
            // A round is over: another one, if somebody only has to make up for what it had.
            if number < 0, passes < 128, hasFree(at: now) {
                passes += 1
                number = active.head
            }
        }
        return nil
    }

    /// What leaves next when a thin link is free again, which is soon, if nothing is sealed for it: to be coded while the link is busy.
    mutating func nextAhead(at now: Instant) -> Grant? {
        guard sealedCount == 0, count > 0, let free = nextSend(at: now), free > now, free < now + Self.ahead,
            case .flow(var grant)? = next(at: free), bytes(for: grant.peer, in: Self.plainTime) < Self.thin
        else { return nil }
        grant.isAhead = true
        return grant
    }

    /// A new flow of a peer that may be sent to, else the next datagram of a unit.
    private mutating func nextBesideUnit(at now: Instant) -> Turn? {
        var datagram: PeerSlot?
        var number = active.head
        while number >= 0 {
            let peer = PeerSlot(number)
            if lines[Int(number)].shaper?.isFree(at: now) != false {
                if let flow = nextNewFlow(of: peer) {
                    return .flow(Grant(peer: peer, flow: flow, unit: Self.unitLeast, plain: 0, isBesideUnit: true))
                }
                if datagram == nil, !lines[Int(number)].sealed.isEmpty { datagram = peer }
            }
            number = lines[Int(number)].next
        }
        return datagram.map { .datagram($0) }
    }

    private func hasFree(at now: Instant) -> Bool {
        var number = active.head
        while number >= 0 {
            if lines[Int(number)].count > 0, lines[Int(number)].shaper?.isFree(at: now) != false { return true }
            number = lines[Int(number)].next
        }
        return false
    }

    /// What the links on the way to a peer take in a time.
    private func bytes(for peer: PeerSlot, in time: Interval) -> Int {
        let own = peer.offset < lines.count ? lines[peer.offset].shaper : nil
        return min(shaper?.bytes(in: time) ?? .max, own?.bytes(in: time) ?? .max)
    }

    /// The flow of a peer whose turn it is: those that are new first (RFC 8290 §4.2).
    private mutating func nextFlow(of peer: PeerSlot) -> Int32? {
        if let flow = nextNewFlow(of: peer) { return flow }
        let line = peer.offset
        while true {
            let number = lines[line].old.head
            guard number >= 0 else { return nil }
            let flow = Int(number)
            if flows[flow].deficit <= 0 {
                flows[flow].deficit += Self.quantum
                moveToOld(number, isNew: false, line)
            } else if flows[flow].packets.isEmpty {
                removeHead(isNew: false, line)
                flows[flow].age = .idle
            } else {
                lines[line].log.noteBulk(flow % Self.tableSize)
                return number
            }
        }
    }

    private mutating func nextNewFlow(of peer: PeerSlot) -> Int32? {
        let line = peer.offset
        while true {
            let number = lines[line].new.head
            guard number >= 0 else { return nil }
            let flow = Int(number)
            if flows[flow].deficit <= 0 {
                flows[flow].deficit += Self.quantum
                moveToOld(number, isNew: true, line)
            } else if !flows[flow].packets.isEmpty {
                return number
            } else if !lines[line].old.isEmpty {
                // It goes through the old ones once, so that it can't be new again and again.
                moveToOld(number, isNew: true, line)
            } else {
                removeHead(isNew: true, line)
                flows[flow].age = .idle
            }
        }
    }

    private mutating func removeHead(isNew: Bool, _ line: Int) {
        if isNew {
            lines[line].new.head = flows[Int(lines[line].new.head)].next
            if lines[line].new.isEmpty { lines[line].new.tail = -1 }
        } else {
            lines[line].old.head = flows[Int(lines[line].old.head)].next
            if lines[line].old.isEmpty { lines[line].old.tail = -1 }
        }
    }

    private mutating func moveToOld(_ number: Int32, isNew: Bool, _ line: Int) {
        removeHead(isNew: isNew, line)
        addToOld(number, line)
    }

    private mutating func addToOld(_ number: Int32, _ line: Int) {
        flows[Int(number)].age = .old
        flows[Int(number)].next = -1
        if lines[line].old.isEmpty {
            lines[line].old.head = number
        } else {
            flows[Int(lines[line].old.tail)].next = number
        }
        lines[line].old.tail = number
    }

    /// Takes a peer for which nothing waits from those that have something to send.
    private mutating func close(_ peer: PeerSlot) {
        var previous: Int32 = -1
        var number = active.head
        while number >= 0, number != peer.number {
            previous = number
            number = lines[Int(number)].next
        }
        guard number >= 0 else { return }
        let next = lines[Int(number)].next
        if previous < 0 { active.head = next } else { lines[Int(previous)].next = next }
        if active.tail == number { active.tail = previous }
        let first = Int(lines[peer.offset].table) * Self.tableSize
        for flow in first..<first + Self.tableSize { flows[flow] = Flow() }
        freeTables.append(lines[peer.offset].table)
        lines[peer.offset].table = -1
        lines[peer.offset].new = List()
        lines[peer.offset].old = List()
    }

    /// Takes the next packet of a flow out; `release` must follow. `nil`: none waits.
    mutating func pop(_ grant: Grant, _ setting: CoDel.Setting, at now: Instant) -> Waiting? {
        let flow = Int(grant.flow)
        guard let place = takeFirst(of: flow, grant.peer) else { return nil }
        let packet = packets[Int(place)]
        let sojourn = now - packet.arrivedAt
        lines[grant.peer.offset].log.noteDelay(sojourn, at: now)
        let isCongested = flows[flow].codel.judge(sojourn, isLast: flows[flow].packets.isEmpty, setting, at: now)
        return Waiting(place: place, length: Int(packet.length), origin: packet.origin, isCongested: isCongested)
    }

    /// The bytes of the next packet of a flow.
    func nextLength(of grant: Grant) -> Int? {
        let place = flows[Int(grant.flow)].packets.head
        return place < 0 ? nil : Int(packets[Int(place)].length)
    }

    /// The bytes of a packet that was taken out, good until it is released, which the compiler can't know.
    @unsafe
    @_lifetime(immortal)
    func bytes(of packet: Waiting) -> MutableRawSpan {
        let start = unsafe memory + Int(packet.place) * stride
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: start, count: packet.length)
        return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: bytes), copying: ())
    }

    /// Where they start.
    @unsafe func start(of packet: Waiting) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(memory + Int(packet.place) * stride)
    }

    mutating func release(_ packet: Waiting) { release(packet.place) }

    // MARK: Sealed datagrams

    /// Takes what a grant has appended to an outbox since `mark` back and keeps it, to leave datagram by datagram, if the links on the way
    /// to the peer need more than a moment for it; false if it stays there.
    mutating func hold(_ outbox: inout Outbox, since mark: Outbox.Mark, of grant: Grant, cost: Int) -> Bool {
        let datagrams = Int(outbox.appended.datagrams &- mark.appended.datagrams)
        let peer = grant.peer
        let isLong = datagrams > 1 && !grant.isBesideUnit && cost > bytes(for: peer, in: Self.plainTime)
        guard isLong || grant.isAhead, datagrams <= freeCount,
            lines[peer.offset].table >= 0, outbox.largest(since: mark) <= stride
        else { return false }
        var sealed = lines[peer.offset].sealed
        for index in mark.run..<outbox.count {
            let run = outbox[index]
            var offset = run.offset
            while offset < run.offset + run.length {
                let size = min(run.segment, run.offset + run.length - offset)
                if offset >= mark.used {
                    let packet = Packet(length: Int32(size), origin: Int32(run.trafficClass))
                    if let place = takePlace(for: packet) {
                        write(outbox.bytes(offset..<offset + size), to: place)
                        sealed = list(sealed, adding: place)
                        sealedCount += 1
                    }
                }
                offset += size
            }
        }
        lines[peer.offset].sealed = sealed
        lines[peer.offset].sealedFlow = grant.flow
        if flows[Int(grant.flow)].age == .new { moveToOld(grant.flow, isNew: true, peer.offset) }
        outbox.truncate(to: mark)
        return true
    }

    /// Takes the next sealed datagram to a peer out; `release` must follow.
    mutating func popSealed(of peer: PeerSlot) -> Waiting? {
        let place = lines[peer.offset].sealed.head
        guard place >= 0 else { return nil }
        let packet = packets[Int(place)]
        lines[peer.offset].sealed.head = packet.next
        if packet.next < 0 {
            lines[peer.offset].sealed.tail = -1
            lines[peer.offset].sealedFlow = -1
        }
        sealedCount -= 1
        return Waiting(place: place, length: Int(packet.length), origin: packet.origin, isCongested: false)
    }

    // MARK: What it cost

    /// What is sent from here on is part of a grant.
    mutating func begin() { isGranted = true }

    /// A grant ends: charges its flow and peer with the bytes on the link that came of it, and the links, unless it waits for them still.
    mutating func end(_ grant: Grant, _ bytes: Int, isHeld: Bool, at now: Instant) {
        isGranted = false
        if !isHeld { charge(bytes, to: grant.peer, at: now) }
        flows[Int(grant.flow)].deficit -= bytes
        lines[grant.peer.offset].deficit -= bytes
        guard lines[grant.peer.offset].deficit <= 0 else { return }
        rotate(grant.peer)
    }

    /// Puts a peer that has had its part behind the others.
    private mutating func rotate(_ peer: PeerSlot) {
        guard active.head == peer.number, active.tail != peer.number else { return }
        active.head = lines[peer.offset].next
        lines[Int(active.tail)].next = peer.number
        lines[peer.offset].next = -1
        active.tail = peer.number
    }

    /// Charges the links with datagrams to a peer that leave now, be it without having waited.
    mutating func charge(_ bytes: Int, datagrams: Int, to peer: PeerSlot, at now: Instant) {
        guard !isGranted else { return }
        charge(bytes + datagrams * (Transport.outerHeaders + linkOverhead), to: peer, at: now)
    }

    private mutating func charge(_ whole: Int, to peer: PeerSlot, at now: Instant) {
        let waiting = count + sealedCount > 0 ? waitingSince : now
        shaper?.charge(whole, at: now, waiting: waiting)
        if peer.offset < lines.count { lines[peer.offset].shaper?.charge(whole, at: now, waiting: waiting) }
    }

    // MARK: What was seen

    /// What was seen of the packets to a peer lately.
    func log(of peer: PeerSlot, at now: Instant) -> QueueLog.Summary? {
        peer.offset < lines.count ? lines[peer.offset].log.summary(at: now) : nil
    }
}
