/// Parity over the sealed datagrams that leave, block by block, of the peers that are sent parity.
///
///     counter   100  101  102  …  119 │ 120  121            the rows of a block follow its last datagram
///               └─── block, 20 ─────┘   row 0, row 1
///
/// A message may have more datagrams than a block takes: up to four blocks wait until their rows are sent. Nothing is allocated before a
/// peer is begun.
@safe
struct ParityBlocks: ~Copyable {
    /// A block, as PARITY tells of it.
    struct Block {
        fileprivate(set) var start: UInt64 = 0
        fileprivate(set) var mask: UInt64 = 0
        /// The bytes of the longest vector.
        fileprivate(set) var longest = 0
        fileprivate(set) var rows = 0
        var count: Int { mask.nonzeroBitCount }
    }

    @safe private struct Line {
        var lane: ReceiverIndex?
        var blocks = InlineArray<4, Block>(repeating: Block())
        /// The block that is open, the first that is closed and waits, and how many of those there are.
        var open = 0
        var first = 0
        var closed = 0
        var memory: UnsafeMutableRawPointer?
        /// Bytes of parity that may be sent.
        var credit = 0
    }

    private static let slots = 4
    /// Bytes of a row, and of the vector of a datagram at most.
    static let stride = 2048
    private static let rowsSize = ParityRecord.mostRows * stride
    private static let mostCredit = 32 * 1024

    private let code = ErasureCode()
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: stride, alignment: 64)
    private var lines = ContiguousArray<Line>()

    init() {}

    deinit {
        for index in lines.indices { unsafe lines[index].memory?.deallocate() }
        unsafe scratch.deallocate()
    }

    /// Whether there are blocks of a peer's.
    @inline(__always)
    func covers(_ peer: PeerSlot) -> Bool { peer.offset < lines.count && lines[peer.offset].lane != nil }

    /// Begins with what is sent to a peer on a lane, by the index that the peer knows it by.
    mutating func begin(_ lane: ReceiverIndex, of peer: PeerSlot) {
        while lines.count <= peer.offset { lines.append(Line()) }
        guard lines[peer.offset].lane != lane else { return }
        let memory =
            unsafe lines[peer.offset].memory ?? .allocate(byteCount: Self.slots * Self.rowsSize, alignment: 64)
        unsafe lines[peer.offset] = Line(lane: lane, memory: memory)
    }

    /// Ends it.
    mutating func end(_ peer: PeerSlot) {
        guard covers(peer) else { return }
        unsafe lines[peer.offset].memory?.deallocate()
        lines[peer.offset] = Line()
    }

    /// The part of the data that parity may be at most, in hundredths.
    struct Plan: Equatable {
        /// Rows of a block.
        var rows: Int
        /// Its datagrams.
        var size: Int
        var most: Int
    }

    /// Adds a datagram that leaves. What is no part of the lane, is too large or has no place is not covered.
    mutating func add(_ datagram: RawSpan, to peer: PeerSlot, _ plan: Plan) {
        let line = peer.offset
        let length = datagram.byteCount - Transport.headerSize
        let counter = datagram.little64(at: Transport.counter)
        guard lines[line].lane == ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver)),
            length > 0, length + ParityVector.headerSize <= Self.stride
        else { return }
        lines[line].credit = min(lines[line].credit + datagram.byteCount * plan.most / 100, Self.mostCredit)
        let open = lines[line].open
        if lines[line].blocks[open].mask != 0,
            counter < lines[line].blocks[open].start
                || counter - lines[line].blocks[open].start >= UInt64(ParityRecord.span)
        {
            close(peer)
        }
        guard lines[line].closed < Self.slots else { return }
        write(length, of: datagram)
        add(length + ParityVector.headerSize, at: counter, to: peer, plan)
        if lines[line].blocks[lines[line].open].count >= plan.size { close(peer) }
    }

    private func write(_ length: Int, of datagram: RawSpan) {
        unsafe scratch.storeBytes(of: UInt16(truncatingIfNeeded: length).littleEndian, as: UInt16.self)
        unsafe datagram.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe (scratch + ParityVector.headerSize).copyMemory(
                from: base + Transport.headerSize, byteCount: length)
        }
    }

    private mutating func add(_ count: Int, at counter: UInt64, to peer: PeerSlot, _ plan: Plan) {
        let line = peer.offset
        let open = lines[line].open
        guard let memory = unsafe lines[line].memory else { return }
        let rows = unsafe memory + open * Self.rowsSize
        if lines[line].blocks[open].mask == 0 {
            lines[line].blocks[open] = Block(start: counter, rows: plan.rows)
            unsafe rows.initializeMemory(as: UInt8.self, repeating: 0, count: plan.rows * Self.stride)
        }
        let position = Int(counter - lines[line].blocks[open].start)
        lines[line].blocks[open].mask |= 1 << UInt64(position)
        lines[line].blocks[open].longest = max(lines[line].blocks[open].longest, count)
        unsafe code.add(
            scratch, count: count, at: position,
            to: ErasureCode.Rows(start: rows, stride: Self.stride, count: lines[line].blocks[open].rows))
    }

    /// Closes the block that is open: its rows are due.
    mutating func close(_ peer: PeerSlot) {
        let line = peer.offset
        guard lines[line].closed < Self.slots, lines[line].blocks[lines[line].open].mask != 0 else { return }
        lines[line].closed += 1
        lines[line].open = (lines[line].open + 1) % Self.slots
        if lines[line].closed < Self.slots { lines[line].blocks[lines[line].open] = Block() }
    }

    /// The first of the blocks that are closed, with the rows that may be sent, perhaps none; `nil` if there is none.
    func firstClosed(of peer: PeerSlot) -> Block? {
        guard covers(peer), lines[peer.offset].closed > 0 else { return nil }
        var block = lines[peer.offset].blocks[lines[peer.offset].first]
        block.rows = max(min(block.rows, lines[peer.offset].credit / Self.wireSize(of: block)), 0)
        return block
    }

    /// Datagrams of the block that is open, if a row of it may be sent.
    func openCount(of peer: PeerSlot) -> Int {
        guard covers(peer), lines[peer.offset].closed == 0 else { return 0 }
        let block = lines[peer.offset].blocks[lines[peer.offset].open]
        return block.mask != 0 && lines[peer.offset].credit >= Self.wireSize(of: block) ? block.count : 0
    }

    private static func wireSize(of block: Block) -> Int {
        ParityRecord.headerSize + block.longest + Transport.overhead
    }

    /// A row of that block, good until it is removed.
    @unsafe
    func row(_ row: Int, of peer: PeerSlot) -> UnsafeRawPointer? {
        let line = peer.offset
        return unsafe lines[line].memory.map {
            unsafe UnsafeRawPointer($0 + lines[line].first * Self.rowsSize + row * Self.stride)
        }
    }

    /// Removes it, so many bytes of parity having been sent.
    mutating func removeFirst(of peer: PeerSlot, sent: Int) {
        let line = peer.offset
        guard lines[line].closed > 0 else { return }
        lines[line].credit -= sent
        lines[line].blocks[lines[line].first] = Block()
        lines[line].first = (lines[line].first + 1) % Self.slots
        lines[line].closed -= 1
    }
}
