import BasicContainers

/// Packets that one drain of the device brings, gathered by flow until they go out as one unit, or by peer as one bundle.
///
/// Nothing waits here for more to come: what is gathered leaves before the thread sleeps.
struct Gathering: ~Copyable {
    private let inPlace = InPlace()
    /// The purpose of a batch.
    enum Purpose {
        case unit(Codec, FlowTable.Flow)
        case bundle
        /// Packets larger than a datagram, and what follows them.
        case pack
    }

    /// Packets that leave together.
    struct Batch {
        let peer: PeerSlot
        let purpose: Purpose
        /// The flow whose packets it holds; `nil`: any that go to the peer.
        let flow: UInt64?
        let trafficClass: UInt8
        /// How many bytes it may have.
        let limit: Int
        /// The flows in it, one bit for each of 64 classes.
        fileprivate(set) var flows: UInt64
        fileprivate(set) var count = 0
        fileprivate(set) var packets = 0
        /// The size of the packets as they stand here, as the network inside sees them, and as WireGuard would send them.
        fileprivate(set) var bytes = 0
        fileprivate(set) var plain = 0
        fileprivate(set) var wire = 0
        /// The bytes that they need in a record besides their own.
        fileprivate(set) var overhead = 0
        fileprivate let age: UInt64

        fileprivate var isBundle: Bool { if case .bundle = purpose { true } else { false } }
        var isPack: Bool { if case .pack = purpose { true } else { false } }
    }

    private struct Entry {
        var offset: Int32 = 0
        var length: Int32 = 0
        var shape = MemberShape(layout: .none, segment: 0)
        /// The hash of the packet's flow.
        var flow: UInt64 = 0
    }

    /// How many batches there are at most between two packets, and how many places: one packet may open some more. The last is for a
    /// pack that comes of a batch whose packets go alone.
    static let most = 8
    static let capacity = 11
    private static let slotSize = 65_536 + headroom
    /// Bytes before the first packet of a batch: for a record's head, and what is before its first member.
    private static let headroom = 16

    private var arena = Arena(capacity: capacity * slotSize)
    private var entries = RigidArray<Entry>(capacity: capacity * Limits.recordPackets)
    private var batches = InlineArray<11, Batch?>(repeating: nil)
    private(set) var count = 0
    private var age: UInt64 = 0

    init() {
        for _ in 0..<Self.capacity * Limits.recordPackets {
            entries.append(Entry())
        }
    }

    /// The batch in a place.
    subscript(index: Int) -> Batch? { batches[index] }

    /// The unit that a flow's packets to a peer are gathered in, or that of all flows.
    @inline(__always)
    func unit(of flow: UInt64?, for peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        for index in batches.indices {
            if let batch = batches[index], batch.peer == peer, batch.flow == flow, !batch.isBundle, !batch.isPack {
                return index
            }
        }
        return nil
    }

    /// The bundle for a peer.
    @inline(__always)
    func bundle(for peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        for index in batches.indices {
            if let batch = batches[index], batch.peer == peer, batch.isBundle { return index }
        }
        return nil
    }

    /// The pack for a peer.
    @inline(__always)
    func pack(for peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        for index in batches.indices {
            if let batch = batches[index], batch.peer == peer, batch.isPack { return index }
        }
        return nil
    }

    /// Whether a batch of many flows may hold packets of this one, which must not be overtaken.
    @inline(__always)
    func mayHold(_ flow: UInt64, in index: Int) -> Bool {
        (batches[index]?.flows ?? 0) & Self.bit(of: flow) != 0
    }

    /// Whether two batches may hold packets of the same flow.
    func shareFlows(_ one: Int, _ other: Int) -> Bool {
        (batches[one]?.flows ?? 0) & (batches[other]?.flows ?? 0) != 0
    }

    /// Whether a batch has to leave before another one can be opened.
    var isFull: Bool { count >= Self.capacity - 1 }
    /// Whether there is no place for a pack.
    var hasNoPlace: Bool { count == Self.capacity }
    /// Whether a batch has to leave before the next packet comes.
    @inline(__always) var isOverfull: Bool { count > Self.most }

    /// The batch that was opened first, of a peer or of all.
    func oldest(of peer: PeerSlot? = nil) -> Int? {
        var oldest: Int?
        var age = UInt64.max
        for index in batches.indices {
            guard let batch = batches[index], batch.age < age, peer == nil || batch.peer == peer else { continue }
            oldest = index
            age = batch.age
        }
        return oldest
    }

    /// A free place, of which there is one unless `hasNoPlace`, becomes a batch.
    mutating func open(_ purpose: Purpose, of flow: UInt64?, for peer: PeerSlot, trafficClass: UInt8, limit: Int) -> Int
    {
        age += 1
        count += 1
        let index = batches.indices.first { batches[$0] == nil } ?? 0
        batches[index] = Batch(
            peer: peer, purpose: purpose, flow: flow, trafficClass: trafficClass,
            limit: min(limit, Self.slotSize - Self.headroom), flows: 0,
            age: age)
        return index
    }

    /// Whether a packet fits into a batch; the first one of all always does.
    @inline(__always)
    func takes(_ packet: GatheredPacket, in index: Int) -> Bool {
        guard let batch = batches[index], batch.trafficClass == packet.trafficClass else { return false }
        let length = packet.bytes.byteCount
        return batch.packets + packet.shape.packets(of: length) <= Limits.recordPackets
            && batch.bytes + length + batch.overhead + packet.shape.overhead <= batch.limit
    }

    /// Adds a packet that fits. `wire` is what WireGuard would need for it.
    mutating func append(_ packet: GatheredPacket, wire: Int, to index: Int) {
        guard var batch = batches[index] else { return }
        let (bytes, shape) = (packet.bytes, packet.shape)
        let offset = index * Self.slotSize + Self.headroom + batch.bytes
        var space = arena[offset..<offset + bytes.byteCount]
        space.copy(bytes, to: 0)
        entries[index * Limits.recordPackets + batch.count] = Entry(
            offset: Int32(offset), length: Int32(bytes.byteCount), shape: shape, flow: packet.flow.hash)
        batch.flows |= Self.bit(of: packet.flow.hash)
        batch.count += 1
        batch.packets += shape.packets(of: bytes.byteCount)
        batch.bytes += bytes.byteCount
        batch.plain += shape.plainBytes(of: bytes.byteCount)
        batch.wire += wire
        batch.overhead += shape.overhead
        batches[index] = batch
    }

    /// A batch may hold packets of any flow: that of one could not be seen.
    mutating func noteAnyFlow(in index: Int) { batches[index]?.flows = .max }

    /// Drops the first packet of a batch to which nothing is added any more, or the first few if they are one for the device; how many those
    /// were.
    mutating func dropFirst(of index: Int) -> Int {
        guard var batch = batches[index], batch.count > 0 else { return 0 }
        let start = index * Limits.recordPackets
        let first = entries[start]
        let length = Int(first.length)
        let (packets, plain) = (first.shape.packets(of: length), first.shape.plainBytes(of: length))
        for entry in start..<start + batch.count - 1 { entries[entry] = entries[entry + 1] }
        batch.wire -= batch.wire * plain / max(batch.plain, 1)
        batch.count -= 1
        batch.packets -= packets
        batch.plain -= plain
        batch.bytes -= length
        batches[index] = batch
        return packets
    }

    mutating func close(_ index: Int) {
        batches[index] = nil
        count -= 1
    }

    /// Forgets what was gathered for a peer.
    mutating func removeAll(for peer: PeerSlot) {
        for index in batches.indices where batches[index]?.peer == peer { close(index) }
    }

    /// The hash of the flow of a packet of a batch.
    func flow(_ packet: Int, of index: Int) -> UInt64 { entries[index * Limits.recordPackets + packet].flow }

    /// The shape of a packet of a batch.
    func shape(_ packet: Int, of index: Int) -> MemberShape { entries[index * Limits.recordPackets + packet].shape }

    /// A packet of a batch: good until the batch is closed, which the compiler cannot know.
    @unsafe
    @_lifetime(immortal)
    func packet(_ packet: Int, of index: Int) -> MutableRawSpan {
        let entry = entries[index * Limits.recordPackets + packet]
        let start = unsafe arena.pointer(at: Int(entry.offset))
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: start, count: Int(entry.length))
        return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: bytes), copying: ())
    }

    /// Writes the record that is a pack of one packet around it, where it stands; its start, good until the batch is closed, and its size.
    @unsafe
    mutating func writePackOfOne(_ index: Int, parameter: UInt8) -> (start: UnsafeRawPointer, size: Int) {
        let entry = entries[index * Limits.recordPackets]
        let form = Members.formSize(entry.shape)
        let start = Int(entry.offset) - form - Record.headerSize
        let length = form + Int(entry.length)
        var record = arena[start..<start + Record.headerSize + length]
        Record.writeHeader(.pack, parameter: parameter, length: length, to: &record)
        Members.writeForm(entry.shape, to: &record, at: Record.headerSize)
        return unsafe (UnsafeRawPointer(arena.pointer(at: start)), Record.headerSize + length)
    }

    /// The bytes of a packet of a batch, to read.
    @_lifetime(borrow self)
    func bytes(_ packet: Int, of index: Int) -> RawSpan {
        let entry = entries[index * Limits.recordPackets + packet]
        return arena.bytes(Int(entry.offset)..<Int(entry.offset) + Int(entry.length))
    }

    @inline(__always)
    private static func bit(of flow: UInt64) -> UInt64 { 1 << (flow >> 58) }
}
