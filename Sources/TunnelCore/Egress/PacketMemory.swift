import BasicContainers

/// The ends of a list whose elements know which comes next, by number; -1: none.
struct ListEnds {
    var head: Int32 = -1
    var tail: Int32 = -1
    var isEmpty: Bool { head < 0 }
}

/// The memory of what waits for a link: places of one size, each for a packet or a sealed datagram.
///
/// Nothing is allocated before the first packet.
@safe
struct PacketMemory: ~Copyable {
    /// What is known of the packet in a place.
    struct Packet {
        var next: Int32 = -1
        var length: Int32 = 0
        /// The number of the place that a frame came from; of a sealed datagram, its traffic class.
        var origin: Int32 = 0
        var arrivedAt = Instant.distantPast
    }

    private static let placeCount = 4096
    private static let leastSize = 2048

    private var bytes = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    /// Of each place.
    private(set) var size = 0
    private var packets = ContiguousArray<Packet>()
    private var free: Int32 = -1
    private(set) var freeCount = 0

    init() {}

    deinit { unsafe bytes.deallocate() }

    @inline(__always) var isFull: Bool { free < 0 }
    @inline(__always) subscript(place: Int32) -> Packet { packets[Int(place)] }

    /// Makes places for packets of so many bytes, while nothing is in those that there are.
    mutating func grow(to length: Int) {
        // A place holds a packet, or the datagram that it becomes.
        size = max((length + Transport.overhead + Limits.padding + 63) & ~63, Self.leastSize)
        unsafe bytes.deallocate()
        unsafe bytes = .allocate(byteCount: Self.placeCount * size, alignment: 64)
        packets = ContiguousArray(repeating: Packet(), count: Self.placeCount)
        for place in 0..<Self.placeCount - 1 { packets[place].next = Int32(place + 1) }
        free = 0
        freeCount = Self.placeCount
    }

    /// Puts a packet, no larger than `size`, into a free place; `nil`: there is none.
    mutating func take(_ packet: RawSpan, from origin: Int32, at now: Instant) -> Int32? {
        guard free >= 0 else { return nil }
        let place = free
        free = packets[Int(place)].next
        freeCount -= 1
        packets[Int(place)] = Packet(length: Int32(packet.byteCount), origin: origin, arrivedAt: now)
        let start = unsafe start(of: place)
        unsafe packet.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe start.copyMemory(from: base, byteCount: source.count) }
        }
        return place
    }

    mutating func release(_ place: Int32) {
        packets[Int(place)].next = free
        free = place
        freeCount += 1
    }

    /// Where the bytes of a place start.
    @unsafe
    @inline(__always)
    func start(of place: Int32) -> UnsafeMutableRawPointer { unsafe bytes + Int(place) * size }

    // MARK: Lists

    /// Adds a packet at the end of a list.
    @inline(__always)
    mutating func append(_ place: Int32, to list: inout ListEnds) {
        if list.isEmpty { list.head = place } else { packets[Int(list.tail)].next = place }
        packets[Int(place)].next = -1
        list.tail = place
    }

    /// Takes the first packet of a list, which is not empty, out of it.
    @inline(__always)
    func takeFirst(of list: inout ListEnds) -> Int32 {
        let place = list.head
        list.head = packets[Int(place)].next
        if list.isEmpty { list.tail = -1 }
        return place
    }
}
