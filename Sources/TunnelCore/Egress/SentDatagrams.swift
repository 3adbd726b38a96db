import BasicContainers

/// Sealed datagrams that may be sent again, the same bytes under the same counters: no nonce is used twice, nothing is sealed twice, and
/// the peer's replay window lets each in once.
///
/// Of each peer those of one lane are kept, in a ring by counter. Nothing is allocated before a peer is begun.
@safe
struct SentDatagrams: ~Copyable {
    /// A datagram that is kept.
    struct Kept {
        fileprivate let block: Int32
        let length: Int
        let trafficClass: UInt8
        /// When it left last; in the distant future if it waits for the link still.
        let departedAt: Instant
        let tries: Int
        /// Which of our streams it holds a unit of: those behind it need it. `nil`: of none.
        let stream: Int?
        /// It is not sent again, so that TCP sees that it was lost.
        var isLeft: Bool { tries == leftTries }
    }

    private static let leftTries = 0xff

    private struct Entry {
        /// Of 16,384 at most.
        var block: Int16 = -1
        var length: UInt16 = 0
        var trafficClass: UInt8 = 0
        var tries: UInt8 = 0
        var stream: Int8 = -1
        var departedAt = Instant.distantPast
    }

    private struct Line {
        var lane: ReceiverIndex?
        /// The lowest counter that may be kept, and the one after the highest.
        var first: UInt64 = 0
        var end: UInt64 = 0
        var ring = ContiguousArray<Entry>()
        /// Bytes that may still be sent again: a tenth of what was sent, and a little; below zero what streams have taken in advance.
        var credit = 0
    }

    private static let blockSize = 2048
    private static let slabBlocks = 512
    /// 32 MB for all peers.
    private static let mostSlabs = 32
    /// Counters, and so blocks, that one peer may have: 8 MB.
    private static let mostEntries = 4096
    private static let mostCredit = 256 * 1024

    private var lines = ContiguousArray<Line>()
    private var slabs = unsafe ContiguousArray<UnsafeMutableRawPointer>()
    private var next = ContiguousArray<Int32>()
    private var free: Int32 = -1
    private(set) var count = 0

    init() {}

    deinit {
        for index in unsafe slabs.indices { unsafe slabs[index].deallocate() }
    }

    /// Whether datagrams of a peer are kept.
    @inline(__always)
    func keeps(_ peer: PeerSlot) -> Bool { peer.offset < lines.count && lines[peer.offset].lane != nil }

    /// The lane of a peer whose datagrams are kept.
    func lane(of peer: PeerSlot) -> ReceiverIndex? { peer.offset < lines.count ? lines[peer.offset].lane : nil }

    /// Keeps the datagrams of a lane from now on, in the place of those of another one.
    mutating func begin(_ lane: ReceiverIndex, of peer: PeerSlot) {
        while lines.count <= peer.offset { lines.append(Line()) }
        guard lines[peer.offset].lane != lane else { return }
        end(peer)
        lines[peer.offset].lane = lane
        lines[peer.offset].first = 0
        lines[peer.offset].end = 0
        lines[peer.offset].credit = 16 * 1024
        if lines[peer.offset].ring.isEmpty {
            lines[peer.offset].ring = ContiguousArray(repeating: Entry(), count: Self.mostEntries)
        }
    }

    /// Keeps nothing of a peer any more.
    mutating func end(_ peer: PeerSlot) {
        guard peer.offset < lines.count, lines[peer.offset].lane != nil else { return }
        let line = peer.offset
        while lines[line].first < lines[line].end { forgetFirst(line) }
        lines[line].lane = nil
        lines[line].ring = []
        if count == 0 { freeAll() }
    }

    private mutating func freeAll() {
        for index in unsafe slabs.indices { unsafe slabs[index].deallocate() }
        unsafe slabs = unsafe []
        next = []
        free = -1
    }

    private mutating func forgetFirst(_ line: Int) {
        let place = Int(lines[line].first) & (Self.mostEntries - 1)
        let block = lines[line].ring[place].block
        if block >= 0 {
            next[Int(block)] = free
            free = Int32(block)
            count -= 1
            lines[line].ring[place].block = -1
        }
        lines[line].first += 1
    }

    private mutating func takeBlock() -> Int32? {
        if free < 0 {
            guard unsafe slabs.count < Self.mostSlabs else { return nil }
            let first = unsafe slabs.count * Self.slabBlocks
            unsafe slabs.append(.allocate(byteCount: Self.slabBlocks * Self.blockSize, alignment: 64))
            for block in first..<first + Self.slabBlocks {
                next.append(block + 1 < first + Self.slabBlocks ? Int32(block + 1) : -1)
            }
            free = Int32(first)
        }
        let block = free
        free = next[Int(block)]
        count += 1
        return block
    }

    private func start(of block: Int32) -> UnsafeMutableRawPointer {
        unsafe slabs[Int(block) / Self.slabBlocks] + Int(block) % Self.slabBlocks * Self.blockSize
    }

    /// Keeps a datagram that leaves now; `horizon`: what left before is needed no more. `stream`: it holds a unit of that one.
    mutating func append(
        _ datagram: RawSpan, of stream: Int? = nil, to peer: PeerSlot, trafficClass: UInt8, at now: Instant,
        horizon: Instant
    ) {
        let line = peer.offset
        let lane = ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver))
        let counter = datagram.little64(at: Transport.counter)
        guard lane == lines[line].lane, counter >= lines[line].end else { return }
        while lines[line].first < lines[line].end,
            counter - lines[line].first >= UInt64(Self.mostEntries) || isOld(line, horizon)
        { forgetFirst(line) }
        if lines[line].first == lines[line].end {
            lines[line].first = counter
            lines[line].end = counter
        }
        // Counters between are not of this kind, and there is nothing of them.
        while lines[line].end < counter {
            lines[line].ring[Int(lines[line].end) & (Self.mostEntries - 1)] = Entry(departedAt: now)
            lines[line].end += 1
        }
        let place = Int(counter) & (Self.mostEntries - 1)
        lines[line].end = counter + 1
        guard datagram.byteCount <= Self.blockSize, let block = takeBlock() else {
            lines[line].ring[place] = Entry(departedAt: now)
            return
        }
        lines[line].ring[place] = Entry(
            block: Int16(truncatingIfNeeded: block), length: UInt16(datagram.byteCount), trafficClass: trafficClass,
            stream: stream.map { Int8(truncatingIfNeeded: $0) } ?? -1, departedAt: now)
        let start = unsafe start(of: block)
        unsafe datagram.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { unsafe start.copyMemory(from: base, byteCount: bytes.count) }
        }
    }

    private func isOld(_ line: Int, _ horizon: Instant) -> Bool {
        lines[line].ring[Int(lines[line].first) & (Self.mostEntries - 1)].departedAt < horizon
    }

    /// Adds what may be sent again for data of so many bytes: nothing for what is only said.
    mutating func earn(_ bytes: Int, of peer: PeerSlot) {
        lines[peer.offset].credit = min(lines[peer.offset].credit + bytes / 10, Self.mostCredit)
    }

    /// The counters that were ever given to a peer's datagrams, as far as they may still be known.
    func counters(of peer: PeerSlot) -> Range<UInt64> { lines[peer.offset].first..<lines[peer.offset].end }

    /// Notes that datagrams wait for the link still, or that one of them left.
    mutating func noteDeparture(_ counters: Range<UInt64>, of peer: PeerSlot, at instant: Instant) {
        let line = peer.offset
        for counter in counters.clamped(to: lines[line].first..<lines[line].end) {
            lines[line].ring[Int(counter) & (Self.mostEntries - 1)].departedAt = instant
        }
    }

    /// Notes when a datagram that waited left.
    mutating func noteDeparture(of counter: UInt64, on lane: ReceiverIndex?, to peer: PeerSlot, at now: Instant) {
        guard keeps(peer), lines[peer.offset].lane == lane else { return }
        noteDeparture(counter..<counter + 1, of: peer, at: now)
    }

    /// When a counter left last; `nil` if it isn't known any more, or waits still.
    func departure(of counter: UInt64, to peer: PeerSlot) -> Instant? {
        guard keeps(peer), counters(of: peer).contains(counter) else { return nil }
        let entry = lines[peer.offset].ring[Int(counter) & (Self.mostEntries - 1)]
        // Of a counter that went to something that is not kept it is not known: its entry has the time of what came next.
        return entry.block >= 0 && entry.tries == 0 && entry.departedAt != .distantFuture ? entry.departedAt : nil
    }

    /// The datagram with a counter; `nil` if there is none any more.
    func find(_ counter: UInt64, of peer: PeerSlot) -> Kept? {
        guard counters(of: peer).contains(counter) else { return nil }
        let entry = lines[peer.offset].ring[Int(counter) & (Self.mostEntries - 1)]
        guard entry.block >= 0 else { return nil }
        return Kept(
            block: Int32(entry.block), length: Int(entry.length), trafficClass: entry.trafficClass,
            departedAt: entry.departedAt, tries: Int(entry.tries), stream: entry.stream < 0 ? nil : Int(entry.stream))
    }

    /// Takes what it costs to send a datagram again; false if that would be too much. A stream would break, so it may be in debt.
    mutating func pay(for kept: Kept, _ counter: UInt64, of peer: PeerSlot, at now: Instant) -> Bool {
        let line = peer.offset
        guard lines[line].credit >= kept.length - (kept.stream == nil ? 0 : Self.mostCredit) else { return false }
        lines[line].credit -= kept.length
        let place = Int(counter) & (Self.mostEntries - 1)
        lines[line].ring[place].departedAt = now
        lines[line].ring[place].tries = min(lines[line].ring[place].tries + 1, UInt8(Self.leftTries - 1))
        return true
    }

    /// Leaves a datagram that is kept as lost as it is.
    mutating func leave(_ counter: UInt64, of peer: PeerSlot) {
        lines[peer.offset].ring[Int(counter) & (Self.mostEntries - 1)].tries = UInt8(Self.leftTries)
    }

    /// Where its bytes start, good until another one is added.
    @unsafe func start(of kept: Kept) -> UnsafeRawPointer { unsafe UnsafeRawPointer(start(of: kept.block)) }
}
