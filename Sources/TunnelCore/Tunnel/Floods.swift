import BasicContainers

/// Frames on their way to all peers for which the outbox had no room at once: copies of them, and where to go on when it was sent.
struct Floods: ~Copyable {
    /// One of them.
    struct Flood {
        fileprivate let place: Range<Int>
        let ingress: MACTable.Place
        /// The number of the first peer that it has not been sent to.
        fileprivate(set) var next: Int
    }

    /// What one input may bring: the frames of a record, or those that one of the device stands for with a header each.
    private static let most = 2 * Limits.recordPackets
    private static let capacity = 256 * 1024

    private var arena: Arena
    private var list = RigidArray<Flood>(capacity: most)
    private var used = 0
    /// The first that goes on.
    private var first = 0

    /// Without `isUsed` it holds nothing and needs no memory.
    init(isUsed: Bool) { arena = Arena(capacity: isUsed ? Self.capacity : 1) }

    @inline(__always) var isEmpty: Bool { list.count == 0 }

    /// The one that goes on.
    var current: Flood? { first < list.count ? list[first] : nil }

    /// The bytes of the frame, for as long as nothing else is done with it.
    @_lifetime(borrow self)
    func bytes(of flood: Flood) -> RawSpan { arena.bytes(flood.place) }

    /// Keeps a copy of a frame that goes on at the peer `next`, behind those that are there; false if there is no room.
    mutating func append(_ frame: RawSpan, from ingress: MACTable.Place, next: Int) -> Bool {
        guard list.count < Self.most, frame.byteCount <= arena.capacity - used else { return false }
        var space = arena[used..<used + frame.byteCount]
        space.copy(frame, to: 0)
        list.append(Flood(place: used..<used + frame.byteCount, ingress: ingress, next: next))
        used += frame.byteCount
        return true
    }

    /// The current one has come to the peer `next`.
    mutating func move(to next: Int) { list[first].next = next }

    /// The current one has been sent to all.
    mutating func removeFirst() {
        first += 1
        guard first == list.count else { return }
        list.removeAll()
        first = 0
        used = 0
    }
}
