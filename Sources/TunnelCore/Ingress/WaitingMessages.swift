/// Messages of peers that have had their share of a turn, opened, in the order in which they came. Each peer has a line, and the
/// lines take turns.
///
///     line of peer 3   ▸ message ▸ message        a message takes a block, or several
///     line of peer 7   ▸ message
///
/// No line has more blocks than are left for the others, so there is room for whoever comes next.
struct WaitingMessages: ~Copyable {
    struct Message {
        let peer: PeerSlot
        let length: Int
        /// It met congestion.
        let isMarked: Bool
    }

    private struct Block {
        /// The next block of the message, or of those that are free.
        var next: Int32 = -1
        // In the first block of a message.
        var length: Int32 = 0
        var isMarked = false
        var nextMessage: Int32 = -1
    }

    private struct Line {
        var head: Int32 = -1
        var tail: Int32 = -1
        var blocks = 0
        /// The peer whose turn is next.
        var next: Int32 = -1
    }

    private static let blockSize = 2048
    private static let capacity = 2048

    private var memory = Arena(capacity: capacity * blockSize)
    /// The message that was taken last.
    private var taken = Arena(capacity: Limits.packet)
    private var blocks = ContiguousArray(repeating: Block(), count: capacity)
    private var free: Int32 = 0
    private var freeCount = capacity
    private var lines = ContiguousArray<Line>()
    /// The peer whose turn it is, and the last one.
    private var first: Int32 = -1
    private var last: Int32 = -1

    init() {
        for place in 0..<Self.capacity - 1 { blocks[place].next = Int32(place + 1) }
    }

    var isEmpty: Bool { first < 0 }

    /// Whether messages of a peer wait.
    func holds(_ peer: PeerSlot) -> Bool { peer.offset < lines.count && lines[peer.offset].head >= 0 }

    /// Adds a copy of a message; false if there is no room for another one of its peer's.
    mutating func append(_ message: RawSpan, of peer: PeerSlot, isMarked: Bool) -> Bool {
        while lines.count <= peer.offset { lines.append(Line()) }
        let count = (message.byteCount + Self.blockSize - 1) / Self.blockSize
        guard lines[peer.offset].blocks + count <= freeCount - count, message.byteCount <= Limits.packet else {
            return false
        }
        let place = free
        blocks[Int(place)].length = Int32(message.byteCount)
        blocks[Int(place)].isMarked = isMarked
        blocks[Int(place)].nextMessage = -1
        for start in stride(from: 0, to: message.byteCount, by: Self.blockSize) {
            let part = message.extracting(start..<min(start + Self.blockSize, message.byteCount))
            let offset = Int(free) * Self.blockSize
            var space = memory[offset..<offset + Self.blockSize]
            space.copy(part, to: 0)
            free = blocks[Int(free)].next
        }
        freeCount -= count
        enqueue(place, count, of: peer)
        return true
    }

    private mutating func enqueue(_ place: Int32, _ count: Int, of peer: PeerSlot) {
        if lines[peer.offset].head < 0 {
            lines[peer.offset].head = place
            lines[peer.offset].next = -1
            if first < 0 { first = peer.number } else { lines[Int(last)].next = peer.number }
            last = peer.number
        } else {
            blocks[Int(lines[peer.offset].tail)].nextMessage = place
        }
        lines[peer.offset].tail = place
        lines[peer.offset].blocks += count
    }

    /// Takes out the first message of the peer whose turn it is, whose bytes are good until the next one is taken.
    mutating func take() -> Message? {
        guard first >= 0 else { return nil }
        let peer = PeerSlot(first)
        let place = lines[peer.offset].head
        let block = blocks[Int(place)]
        let length = Int(block.length)
        lines[peer.offset].head = block.nextMessage
        var from = place
        for start in stride(from: 0, to: length, by: Self.blockSize) {
            let offset = Int(from) * Self.blockSize
            // The compiler takes it to borrow all of us.
            var space = unsafe _overrideLifetime(taken[start..<min(start + Self.blockSize, length)], copying: ())
            space.copy(memory.bytes(offset..<offset + space.byteCount), to: 0)
            from = release(from, of: peer)
        }
        if lines[peer.offset].head < 0 { removeFirst() }
        return Message(peer: peer, length: length, isMarked: block.isMarked)
    }

    /// The bytes of a message that was taken.
    @_lifetime(borrow self)
    func bytes(of message: Message) -> RawSpan { taken.bytes(0..<message.length) }

    /// Lets the next peer have its turn.
    mutating func passOn(from peer: PeerSlot) {
        guard first == peer.number, last != peer.number else { return }
        removeFirst()
        lines[peer.offset].next = -1
        lines[Int(last)].next = peer.number
        last = peer.number
    }

    /// Drops what waits of a peer; how many messages that were.
    mutating func removeAll(of peer: PeerSlot) -> Int {
        guard holds(peer) else { return 0 }
        var before: Int32 = -1
        var number = first
        while number >= 0, number != peer.number {
            before = number
            number = lines[Int(number)].next
        }
        if before < 0 { removeFirst() } else { lines[Int(before)].next = lines[peer.offset].next }
        if last == peer.number { last = before }
        var count = 0
        while holds(peer) {
            let place = lines[peer.offset].head
            lines[peer.offset].head = blocks[Int(place)].nextMessage
            var from = place
            for _ in stride(from: 0, to: Int(blocks[Int(place)].length), by: Self.blockSize) {
                from = release(from, of: peer)
            }
            count += 1
        }
        return count
    }

    /// Frees a block; the next of its message.
    private mutating func release(_ block: Int32, of peer: PeerSlot) -> Int32 {
        let next = blocks[Int(block)].next
        blocks[Int(block)].next = free
        free = block
        freeCount += 1
        lines[peer.offset].blocks -= 1
        return next
    }

    private mutating func removeFirst() {
        first = lines[Int(first)].next
        if first < 0 { last = -1 }
    }
}
