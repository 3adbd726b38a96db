import BasicContainers

/// The ends of a list whose elements know which comes next, by number; -1: none.
struct ListEnds {
    var head: Int32 = -1
    var tail: Int32 = -1
    var isEmpty: Bool { head < 0 }
}

/// The memory of what waits for a link: places of one size, each for a packet or a sealed datagram, and behind them a few large ones,
/// each for a super-segment.
///
/// Nothing is allocated before the first packet, and no large place before the first super-segment.
@safe
struct PacketMemory: ~Copyable {
    /// What is known of the packet in a place.
    struct Packet {
        var next: Int32 = -1
        var length: Int32 = 0
        /// The number of the place that a frame came from; of a sealed datagram, its traffic class.
        var origin: Int32 = 0
        /// How many packets it stands for.
        var packets: Int32 = 1
        var arrivedAt = Instant.distantPast
    }

    private static let placeCount = 4096
    private static let leastSize = 2048
    private static let largeCount = 128
    /// As large as what the device is read into, since the memory of the two is exchanged.
    static let largeSize = Limits.deviceRead
    /// Where a packet starts in a large place: behind the header that it was read with.
    private static let largeStart = VirtioHeader.size

    private var bytes = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    /// Of each place.
    private(set) var size = 0
    private var packets = ContiguousArray<Packet>()
    private var free: Int32 = -1
    /// Free places, without the large ones.
    private(set) var freeCount = 0
    private var large = RigidArray<Arena>(capacity: 0)
    /// How the packet in each large place is to be cut.
    private var shapes = ContiguousArray<VirtioHeader>()
    private var freeLarge: Int32 = -1
    /// Whoever reads the device gives the memory that it has read into for another; and the place that waits for it.
    private var isGiven = false
    private var given: Int32 = -1

    init() {}

    deinit { unsafe bytes.deallocate() }

    @inline(__always) var isFull: Bool { free < 0 && freeLarge < 0 }
    @inline(__always) subscript(place: Int32) -> Packet { packets[Int(place)] }

    /// Makes places for packets of so many bytes, while nothing is in those that there are.
    mutating func grow(to length: Int) {
        // A place holds a packet, or the datagram that it becomes.
        size = max((length + Transport.overhead + Limits.padding + 63) & ~63, Self.leastSize)
        unsafe bytes.deallocate()
        unsafe bytes = .allocate(byteCount: Self.placeCount * size, alignment: 64)
        packets = ContiguousArray(repeating: Packet(), count: Self.placeCount + Self.largeCount)
        free = chain(0..<Self.placeCount)
        freeCount = Self.placeCount
        if hasLarge { freeLarge = chain(Self.placeCount..<packets.count) }
    }

    /// Whether a large place was ever used.
    var hasLarge: Bool { !shapes.isEmpty }

    /// Makes a list of places; its head.
    private mutating func chain(_ places: Range<Int>) -> Int32 {
        for place in places { packets[place].next = place + 1 < places.upperBound ? Int32(place + 1) : -1 }
        return Int32(places.lowerBound)
    }

    /// Puts a packet, no larger than `size`, into a free place, be it a large one; `nil`: there is none.
    mutating func take(_ packet: RawSpan, from origin: Int32, at now: Instant) -> Int32? {
        guard free >= 0 else {
            let known = Packet(length: Int32(packet.byteCount), origin: origin, arrivedAt: now)
            let place = takeLarge(packet, known, VirtioHeader())
            if let place { copy(packet, to: place) }
            return place
        }
        let place = free
        free = packets[Int(place)].next
        freeCount -= 1
        packets[Int(place)] = Packet(length: Int32(packet.byteCount), origin: origin, arrivedAt: now)
        copy(packet, to: place)
        return place
    }

    /// Puts a super-segment, which stands for some packets, into a free large place; `nil`: there is none.
    mutating func take(_ packet: RawSpan, as virtio: VirtioHeader, packets count: Int, at now: Instant) -> Int32? {
        if !hasLarge {
            shapes = ContiguousArray(repeating: VirtioHeader(), count: Self.largeCount)
            large = RigidArray(capacity: Self.largeCount)
            for _ in 0..<Self.largeCount { large.append(Arena(capacity: Self.largeSize)) }
            freeLarge = chain(Self.placeCount..<packets.count)
        }
        let place = takeLarge(
            packet, Packet(length: Int32(packet.byteCount), packets: Int32(count), arrivedAt: now), virtio)
        if isGiven { given = place ?? -1 } else if let place { copy(packet, to: place) }
        return place
    }

    /// What is read from the device until `exchange` may stay in the memory that it was read into.
    @inline(__always)
    mutating func expectExchange() { isGiven = true }

    /// Exchanges the memory of the super-segment that was put in since, if one was, for what it was read into: nothing is copied.
    @inline(__always)
    mutating func exchange(_ read: inout Arena) {
        isGiven = false
        guard given >= 0 else { return }
        swap(&large[Int(given) - Self.placeCount], &read)
        given = -1
    }

    private mutating func takeLarge(_ packet: RawSpan, _ known: Packet, _ virtio: VirtioHeader) -> Int32? {
        guard freeLarge >= 0, packet.byteCount <= Self.largeSize - Self.largeStart else { return nil }
        let place = freeLarge
        freeLarge = packets[Int(place)].next
        packets[Int(place)] = known
        shapes[Int(place) - Self.placeCount] = virtio
        return place
    }

    private func copy(_ packet: RawSpan, to place: Int32) {
        let start = unsafe start(of: place)
        unsafe packet.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe start.copyMemory(from: base, byteCount: source.count) }
        }
    }

    /// How the packet in a place is to be cut; `nil`: it is one packet.
    @inline(__always)
    func virtio(of place: Int32) -> VirtioHeader? {
        guard place >= Self.placeCount else { return nil }
        let virtio = shapes[Int(place) - Self.placeCount]
        return virtio.kind == .none ? nil : virtio
    }

    mutating func release(_ place: Int32) {
        if place < Self.placeCount {
            packets[Int(place)].next = free
            free = place
            freeCount += 1
        } else {
            packets[Int(place)].next = freeLarge
            freeLarge = place
        }
    }

    /// Where the bytes of a place start.
    @unsafe
    @inline(__always)
    func start(of place: Int32) -> UnsafeMutableRawPointer {
        let number = Int(place) - Self.placeCount
        guard number >= 0 else { return unsafe bytes + Int(place) * size }
        return unsafe large[number].pointer(at: Self.largeStart)
    }

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
