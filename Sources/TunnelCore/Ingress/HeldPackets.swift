/// Copies of packets that wait on their way to the device, in memory that is allocated as it is needed, and which of them has waited
/// longest.
///
///     slab 0   │ block 0 ▸ block 1 ▸ block 5 │ block 2 │ …      a packet takes a block, or several
///
/// A packet is named by its first block, and its owner may join packets to lists by `next`.
@safe
struct HeldPackets: ~Copyable {
    struct Packet {
        /// Its place in the sequence of its flow, and that of what follows it.
        var sequence: UInt32 = 0
        var end: UInt32 = 0
        /// The flow's entry in the owner's table.
        var flow: Int32 = -1
        /// The next one of the owner's list.
        var next: Int32 = -1
        /// Of the datagram that completed it.
        var counter: UInt64 = 0
        var heldAt = Instant.distantPast
        var length = 0
        /// What brought it, in bytes, if the owner wants to know.
        var wire = 0
        var shape = MemberShape(layout: .none, segment: 0)
        /// It is in its flow's list of those that TCP sent again.
        var isAgain = false
        fileprivate(set) var older: Int32 = -1
        fileprivate(set) var newer: Int32 = -1
        /// It is one of those that have an age.
        fileprivate(set) var isAging = false
    }

    /// A list of packets by their places.
    struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
        var isEmpty: Bool { head < 0 }
    }

    @safe private struct Slab {
        let start = UnsafeMutableRawPointer.allocate(byteCount: slabBlocks * blockSize, alignment: 64)
    }

    static let blockSize = 2048
    private static let slabBlocks = 512
    private static let most = 32
    /// Blocks that there may be, 32 MB.
    static let capacity = most * slabBlocks

    private var slabs = ContiguousArray<Slab>()
    /// By block: the next one of the same packet, or of those that are free.
    private var chain = ContiguousArray<Int32>()
    /// By first block.
    private var packets = ContiguousArray<Packet>()
    private var free: Int32 = -1
    private var used = 0
    private var youngest: Int32 = -1
    /// The packet that has waited longest.
    private(set) var oldest: Int32 = -1

    init() {}

    deinit {
        for index in slabs.indices { unsafe slabs[index].start.deallocate() }
    }

    /// The blocks that a packet of so many bytes takes.
    static func blocks(for length: Int) -> Int { max((length + blockSize - 1) / blockSize, 1) }

    /// Blocks that no packet is in.
    var available: Int { Self.capacity - used }
    /// Bytes that are allocated for packets.
    var allocated: Int { slabs.count * Self.slabBlocks * Self.blockSize }

    subscript(place: Int32) -> Packet {
        @inline(__always) get { packets[Int(place)] }
        @inline(__always) _modify { yield &packets[Int(place)] }
    }

    /// Keeps a copy of a packet, for which there must be enough blocks available; where it is.
    mutating func append(_ bytes: RawSpan, _ packet: Packet) -> Int32 {
        let place = takeBlock()
        var block = place
        var start = 0
        while true {
            let part = bytes.extracting(start..<min(start + Self.blockSize, bytes.byteCount))
            var space = unsafe self.bytes(of: block)
            space.copy(part, to: 0)
            start += Self.blockSize
            guard start < bytes.byteCount else { break }
            let next = takeBlock()
            chain[Int(block)] = next
            block = next
        }
        packets[Int(place)] = packet
        packets[Int(place)].length = bytes.byteCount
        return place
    }

    /// Copies a packet to the start of `space`.
    func copy(_ place: Int32, to space: inout MutableRawSpan) {
        let length = packets[Int(place)].length
        var block = place
        for start in stride(from: 0, to: length, by: Self.blockSize) {
            unsafe space.copy(self.start(of: block), count: min(Self.blockSize, length - start), to: start)
            block = chain[Int(block)]
        }
    }

    /// Frees the blocks of a packet.
    mutating func remove(_ place: Int32) {
        stopAging(place)
        var block = place
        while block >= 0 {
            let next = chain[Int(block)]
            chain[Int(block)] = free
            free = block
            used -= 1
            block = next
        }
    }

    /// Gives back all memory if no packet is in it.
    mutating func trim() {
        guard used == 0, !slabs.isEmpty else { return }
        for index in slabs.indices { unsafe slabs[index].start.deallocate() }
        slabs = []
        chain = []
        packets = []
        free = -1
    }

    // MARK: Age

    /// From here on a packet, which is younger than all that have an age, is one of those that `oldest` is about.
    mutating func startAging(_ place: Int32) {
        packets[Int(place)].isAging = true
        packets[Int(place)].older = youngest
        packets[Int(place)].newer = -1
        if youngest < 0 { oldest = place } else { packets[Int(youngest)].newer = place }
        youngest = place
    }

    mutating func stopAging(_ place: Int32) {
        guard packets[Int(place)].isAging else { return }
        packets[Int(place)].isAging = false
        let (older, newer) = (packets[Int(place)].older, packets[Int(place)].newer)
        if older < 0 { oldest = newer } else { packets[Int(older)].newer = newer }
        if newer < 0 { youngest = older } else { packets[Int(newer)].older = older }
    }

    // MARK: Blocks

    private mutating func takeBlock() -> Int32 {
        if free < 0 { addSlab() }
        let block = free
        free = chain[Int(block)]
        chain[Int(block)] = -1
        used += 1
        return block
    }

    private mutating func addSlab() {
        precondition(slabs.count < Self.most)
        slabs.append(Slab())
        let first = chain.count
        packets.append(contentsOf: repeatElement(Packet(), count: Self.slabBlocks))
        for block in first..<first + Self.slabBlocks { chain.append(Int32(block + 1)) }
        chain[first + Self.slabBlocks - 1] = -1
        free = Int32(first)
    }

    /// The bytes of a block, good until it is freed, which the compiler can't know.
    @unsafe
    @_lifetime(immortal)
    private func bytes(of block: Int32) -> MutableRawSpan {
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: start(of: block), count: Self.blockSize)
        return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: bytes), copying: ())
    }

    /// Where a block starts.
    @unsafe private func start(of block: Int32) -> UnsafeMutableRawPointer {
        let slab = slabs[Int(block) / Self.slabBlocks]
        return unsafe slab.start + Int(block) % Self.slabBlocks * Self.blockSize
    }
}
