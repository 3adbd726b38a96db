/// The last datagrams of each peer that sends parity, sealed as they came, and the rows that could not be used yet: lost datagrams are
/// had back from both.
///
///     100   101   102   lost   104 … 119   row 0   row 1        103 = row 0 − 100 − 101 − 102 − 104 − …
///
/// What is had back is opened like any other: it is authentic only if it was. Nothing is allocated before a peer sends parity, and for no
/// more than 64 peers.
@safe
struct ParityWindow: ~Copyable {
    /// A datagram that was had back.
    struct Rebuilt {
        /// The index by which we know the lane.
        let lane: ReceiverIndex
        let counter: UInt64
        /// Of the whole datagram.
        let length: Int
        fileprivate let buffer: Int
    }

    private struct Entry {
        var counter = UInt64.max
        var arrivedAt = Instant.distantPast
        /// Of its vector.
        var length = 0
        var buffer = 0
    }

    /// The rows of a block that have come.
    private struct Block {
        var start: UInt64 = 0
        /// 0: it is none.
        var mask: UInt64 = 0
        var rows = 0
        /// A bit for each row that is there.
        var come: UInt8 = 0
        var longest = 0

        func contains(_ counter: UInt64) -> Bool {
            counter >= start && counter - start < 64 && mask & (1 << (counter - start)) != 0
        }
    }

    @safe private struct Line {
        var lane: ReceiverIndex?
        /// What came before was not kept.
        var since: UInt64 = 0
        var usedAt = Instant.distantPast
        var entries = ContiguousArray<Entry>()
        var spare = 0
        var blocks = InlineArray<4, Block>(repeating: Block())
        var next = 0
        var memory: UnsafeMutableRawPointer?
        var rebuilt = ContiguousArray<UInt64>()
    }

    private static let kept = 128
    private static let blocks = 4
    static let stride = ParityBlocks.stride
    private static let rowsSize = ParityRecord.mostRows * stride
    /// The datagrams, one that is not authentic yet, the rows, what is computed, and what it gives.
    private static let memorySize = (kept + 1) * stride + (blocks + 2) * rowsSize
    private static let mostLines = 64
    private static let patience = Interval.seconds(10)

    private let code = ErasureCode()
    private var lines = ContiguousArray<Line>()
    private var followed = 0

    init() {}

    deinit {
        for index in lines.indices { unsafe lines[index].memory?.deallocate() }
    }

    /// Whether a peer's datagrams are kept.
    @inline(__always)
    func follows(_ peer: PeerSlot) -> Bool {
        followed > 0 && peer.offset < lines.count && lines[peer.offset].lane != nil
    }

    /// Forgets all of a peer.
    mutating func end(_ peer: PeerSlot) {
        guard follows(peer) else { return }
        unsafe lines[peer.offset].memory?.deallocate()
        lines[peer.offset] = Line()
        followed -= 1
    }

    private mutating func begin(_ lane: ReceiverIndex, of peer: PeerSlot, from counter: UInt64) -> Bool {
        while lines.count <= peer.offset { lines.append(Line()) }
        guard lines[peer.offset].lane != lane else { return true }
        if !follows(peer) {
            guard followed < Self.mostLines else { return false }
            followed += 1
            unsafe lines[peer.offset].memory = .allocate(byteCount: Self.memorySize, alignment: 64)
            lines[peer.offset].rebuilt.reserveCapacity(Self.blocks * ParityRecord.mostRows)
        }
        lines[peer.offset].lane = lane
        lines[peer.offset].since = counter
        lines[peer.offset].rebuilt.removeAll(keepingCapacity: true)
        lines[peer.offset].blocks = InlineArray(repeating: Block())
        lines[peer.offset].entries = ContiguousArray((0..<Self.kept).map { Entry(buffer: $0) })
        lines[peer.offset].spare = Self.kept
        return true
    }

    // MARK: Datagrams

    /// Copies a datagram before it is opened, where it is; `keep` must follow if it is authentic.
    mutating func stash(_ datagram: RawSpan, of peer: PeerSlot) {
        let length = datagram.byteCount - Transport.headerSize
        guard length > 0, length + ParityVector.headerSize <= Self.stride,
            let memory = unsafe lines[peer.offset].memory
        else { return }
        let vector = unsafe memory + lines[peer.offset].spare * Self.stride
        unsafe vector.storeBytes(of: UInt16(truncatingIfNeeded: length).littleEndian, as: UInt16.self)
        unsafe datagram.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe (vector + ParityVector.headerSize).copyMemory(
                from: base + Transport.headerSize, byteCount: length)
        }
    }

    /// Keeps the one that was copied last. True if parity waits for it.
    mutating func keep(
        _ counter: UInt64, on lane: ReceiverIndex?, length: Int, of peer: PeerSlot, at now: Instant
    ) -> Bool {
        let line = peer.offset
        guard lines[line].lane == lane, length + ParityVector.headerSize - Transport.headerSize <= Self.stride else {
            return false
        }
        if now - lines[line].usedAt > Self.patience {
            end(peer)
            return false
        }
        let place = Int(truncatingIfNeeded: counter) & (Self.kept - 1)
        let old = lines[line].entries[place].buffer
        lines[line].entries[place] = Entry(
            counter: counter, arrivedAt: now, length: length - Transport.headerSize + ParityVector.headerSize,
            buffer: lines[line].spare)
        lines[line].spare = old
        for index in 0..<Self.blocks where lines[line].blocks[index].contains(counter) { return true }
        return false
    }

    // MARK: Parity

    /// Takes a row. How long ago the first datagram of its block came, if that is known.
    mutating func take(
        _ parity: ParityRecord, _ row: RawSpan, on lane: ReceiverIndex, of peer: PeerSlot, at now: Instant
    ) -> Interval? {
        guard row.byteCount <= Self.stride, begin(lane, of: peer, from: parity.end) else { return nil }
        let line = peer.offset
        lines[line].usedAt = now
        guard parity.start >= lines[line].since, let memory = unsafe lines[line].memory else { return nil }
        let index = block(of: parity, line)
        guard lines[line].blocks[index].come & (1 << UInt8(parity.row)) == 0 else { return nil }
        lines[line].blocks[index].come |= 1 << UInt8(parity.row)
        lines[line].blocks[index].longest = max(lines[line].blocks[index].longest, row.byteCount)
        let start = unsafe memory + Self.rows(of: index) + parity.row * Self.stride
        unsafe row.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe start.copyMemory(from: base, byteCount: bytes.count)
            unsafe (start + bytes.count).initializeMemory(
                as: UInt8.self, repeating: 0, count: Self.stride - bytes.count)
        }
        let first = lines[line].entries[Int(truncatingIfNeeded: parity.start) & (Self.kept - 1)]
        return first.counter == parity.start ? now - first.arrivedAt : nil
    }

    private static func rows(of block: Int) -> Int { (kept + 1) * stride + block * rowsSize }

    /// The place of the block that a row is of: its own, or that of the oldest one.
    private mutating func block(of parity: ParityRecord, _ line: Int) -> Int {
        for index in 0..<Self.blocks {
            let block = lines[line].blocks[index]
            if block.mask == parity.mask, block.start == parity.start { return index }
        }
        let index = lines[line].next
        lines[line].next = (index + 1) % Self.blocks
        lines[line].blocks[index] = Block(start: parity.start, mask: parity.mask, rows: parity.rows)
        return index
    }

    /// Has back what can be had. A block of which more is missing than all its rows give, if there is one: its counters.
    mutating func solve(_ peer: PeerSlot, at now: Instant) -> Range<UInt64>? {
        var hopeless: Range<UInt64>?
        for index in 0..<Self.blocks where lines[peer.offset].blocks[index].mask != 0 {
            let block = lines[peer.offset].blocks[index]
            var missing = ErasureCode.Few()
            var isSolvable = true
            for position in 0..<ParityRecord.span where block.mask & (1 << UInt64(position)) != 0 {
                if !has(block.start + UInt64(position), peer.offset) {
                    isSolvable = missing.append(position) && isSolvable
                }
            }
            if isSolvable, missing.count <= block.come.nonzeroBitCount {
                if missing.count > 0 { rebuild(missing, of: index, peer.offset, at: now) }
                lines[peer.offset].blocks[index].mask = 0
            } else if block.come.nonzeroBitCount == block.rows {
                hopeless = block.start..<block.start + UInt64(64 - block.mask.leadingZeroBitCount)
            }
        }
        return hopeless
    }

    private func has(_ counter: UInt64, _ line: Int) -> Bool {
        lines[line].entries[Int(truncatingIfNeeded: counter) & (Self.kept - 1)].counter == counter
    }

    private mutating func rebuild(_ missing: ErasureCode.Few, of index: Int, _ line: Int, at now: Instant) {
        let block = lines[line].blocks[index]
        guard let memory = unsafe lines[line].memory else { return }
        let sums = unsafe memory + Self.rows(of: Self.blocks)
        let results = unsafe memory + Self.rows(of: Self.blocks + 1)
        unsafe sums.copyMemory(from: memory + Self.rows(of: index), byteCount: Self.rowsSize)
        let rows = unsafe ErasureCode.Rows(start: sums, stride: Self.stride, count: block.rows)
        // In this field to take away is to add.
        for position in 0..<ParityRecord.span where block.mask & (1 << UInt64(position)) != 0 {
            let entry = lines[line].entries[Int(truncatingIfNeeded: block.start + UInt64(position)) & (Self.kept - 1)]
            guard entry.counter == block.start + UInt64(position) else { continue }
            unsafe code.add(memory + entry.buffer * Self.stride, count: entry.length, at: position, to: rows)
        }
        var used = ErasureCode.Few()
        for row in 0..<block.rows where block.come & (1 << UInt8(row)) != 0 && used.count < missing.count {
            _ = used.append(row)
        }
        guard unsafe ErasureCode.solve(missing, from: used, of: rows, count: block.longest, into: results) else {
            return
        }
        for number in 0..<missing.count {
            let vector = unsafe results + number * Self.stride
            let length = unsafe Int(UInt16(littleEndian: vector.load(as: UInt16.self)))
            guard length >= Transport.tagSize, length + ParityVector.headerSize <= block.longest else { continue }
            let counter = block.start + UInt64(missing[number])
            let place = Int(truncatingIfNeeded: counter) & (Self.kept - 1)
            let buffer = lines[line].entries[place].buffer
            unsafe (memory + buffer * Self.stride).copyMemory(from: vector, byteCount: length + ParityVector.headerSize)
            lines[line].entries[place] = Entry(
                counter: counter, arrivedAt: now, length: length + ParityVector.headerSize, buffer: buffer)
            if lines[line].rebuilt.count < lines[line].rebuilt.capacity { lines[line].rebuilt.append(counter) }
        }
    }

    // MARK: What was had back

    /// Whether something of a peer's was had back.
    @inline(__always)
    func hasRebuilt(of peer: PeerSlot) -> Bool { follows(peer) && !lines[peer.offset].rebuilt.isEmpty }

    /// Takes what was had back first; it is good until the next row or datagram is taken.
    mutating func popRebuilt(of peer: PeerSlot) -> Rebuilt? {
        let line = peer.offset
        while hasRebuilt(of: peer), let lane = lines[line].lane {
            let counter = lines[line].rebuilt.removeFirst()
            let entry = lines[line].entries[Int(truncatingIfNeeded: counter) & (Self.kept - 1)]
            guard entry.counter == counter else { continue }
            return Rebuilt(
                lane: lane, counter: counter, length: entry.length - ParityVector.headerSize + Transport.headerSize,
                buffer: entry.buffer)
        }
        return nil
    }

    /// Writes the datagram to the start of `space`, as it was sealed.
    func write(_ rebuilt: Rebuilt, of peer: PeerSlot, to space: inout MutableRawSpan) {
        guard let memory = unsafe lines[peer.offset].memory else { return }
        space.store(little: Transport.type, at: 0)
        space.store(little: rebuilt.lane.rawValue, at: Transport.receiver)
        space.store(little: rebuilt.counter, at: Transport.counter)
        unsafe space.copy(
            UnsafeRawPointer(memory + rebuilt.buffer * Self.stride + ParityVector.headerSize),
            count: rebuilt.length - Transport.headerSize, to: Transport.headerSize)
    }
}
