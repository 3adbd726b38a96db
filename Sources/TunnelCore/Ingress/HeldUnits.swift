/// Units of streams that wait, as they came, for those before them: what was lost is sent again, and they are decoded in their order.
struct HeldUnits: ~Copyable {
    /// A unit that waits.
    struct Unit {
        /// Its number in its stream.
        let number: UInt16
        /// Of the datagram that completed it, and the lane that that came on.
        let counter: UInt64
        let lane: ReceiverIndex?
        let isMarked: Bool
        /// The bytes of its datagrams, as UDP payload.
        let wire: Int
        let heldAt: Instant
        let length: Int
    }

    /// Units of one stream, and bytes of one peer's.
    static let mostOfStream = 1024

    private var held = HeldPackets()
    private var lists = InlineArray<64, HeldPackets.List>(repeating: HeldPackets.List())
    private var counts = InlineArray<64, Int32>(repeating: 0)
    private var blocks = InlineArray<64, Int32>(repeating: 0)
    private(set) var count = 0

    init() {}

    func isEmpty(_ stream: Int) -> Bool { lists[stream].isEmpty }

    /// The first that waits of a stream.
    func first(of stream: Int) -> Unit? {
        guard !lists[stream].isEmpty else { return nil }
        let packet = held[lists[stream].head]
        return Unit(
            number: UInt16(truncatingIfNeeded: packet.sequence), counter: packet.counter,
            lane: ReceiverIndex(rawValue: packet.end), isMarked: packet.isAgain, wire: packet.wire,
            heldAt: packet.heldAt, length: packet.length)
    }

    /// Keeps a copy of a unit, in its order behind `next`; false if there is no room, or it is there.
    mutating func insert(_ record: RawSpan, _ unit: Unit, of stream: Int, next: UInt16) -> Bool {
        let size = HeldPackets.blocks(for: record.byteCount)
        guard counts[stream] < Self.mostOfStream, Int(blocks[stream]) + size <= held.available - size else {
            return false
        }
        let distance = unit.number &- next
        func ahead(_ place: Int32) -> UInt16 { UInt16(truncatingIfNeeded: held[place].sequence) &- next }
        var before: Int32 = -1
        var after = lists[stream].head
        if !lists[stream].isEmpty, ahead(lists[stream].tail) < distance {
            before = lists[stream].tail
            after = -1
        }
        while after >= 0, ahead(after) < distance {
            before = after
            after = held[after].next
        }
        if after >= 0, ahead(after) == distance { return false }
        var packet = HeldPackets.Packet()
        packet.sequence = UInt32(unit.number)
        packet.end = unit.lane?.rawValue ?? 0
        packet.counter = unit.counter
        packet.heldAt = unit.heldAt
        packet.isAgain = unit.isMarked
        packet.wire = unit.wire
        let place = held.append(record, packet)
        held[place].next = after
        if before < 0 { lists[stream].head = place } else { held[before].next = place }
        if after < 0 { lists[stream].tail = place }
        counts[stream] += 1
        blocks[stream] += Int32(size)
        count += 1
        return true
    }

    /// Moves the first of a stream to the start of `space`.
    mutating func popFirst(of stream: Int, into space: inout MutableRawSpan) {
        guard !lists[stream].isEmpty else { return }
        held.copy(lists[stream].head, to: &space)
        removeFirst(of: stream)
    }

    private mutating func removeFirst(of stream: Int) {
        let place = lists[stream].head
        lists[stream].head = held[place].next
        if lists[stream].isEmpty { lists[stream].tail = -1 }
        counts[stream] -= 1
        blocks[stream] -= Int32(HeldPackets.blocks(for: held[place].length))
        count -= 1
        held.remove(place)
    }

    /// Gives back the memory if nothing waits.
    mutating func trim() { held.trim() }

    /// Drops all of a stream; how many those were.
    mutating func removeAll(of stream: Int) -> Int {
        let count = Int(counts[stream])
        while !lists[stream].isEmpty { removeFirst(of: stream) }
        return count
    }
}
