/// The TCP flows whose order is followed: which sequence number comes next in each, and which packets wait for that.
///
/// A table of sets with four entries each; a flow of which a packet is held keeps its entry, else the one that was used longest ago goes.
struct OrderedFlows: ~Copyable {
    struct Flow {
        /// The flow's hash; 0: the entry is nobody's.
        fileprivate var name: UInt64 = 0
        fileprivate var usedAt = Instant.distantPast
        fileprivate(set) var peer: Int32 = -1
        /// The sequence number that comes next, if it is known.
        var next: UInt32 = 0
        var isKnown = false
        /// What waits, by sequence number.
        fileprivate(set) var waiting = HeldPackets.List()
        /// The packet of those that was added last but not to an end: the next one is likely to follow it.
        fileprivate var hint: Int32 = -1
        /// Their counters may be in another order.
        fileprivate(set) var isMixed = false
        /// What TCP sent again while something waits, as it came.
        fileprivate(set) var again = HeldPackets.List()
        /// How many are ready.
        var ready = 0
        /// The flows of the same peer of which packets wait.
        fileprivate var before: Int32 = -1
        fileprivate(set) var after: Int32 = -1
        fileprivate var isHeld: Bool { ready > 0 || !waiting.isEmpty }
    }

    private static let tableSize = 4096
    /// Entries that a flow may have.
    private static let ways = 4

    /// Made when it is used for the first time.
    private var flows = ContiguousArray<Flow>()
    /// By peer: the first flow of which packets wait.
    private var firsts = ContiguousArray<Int32>()

    init() {}

    subscript(index: Int) -> Flow {
        @inline(__always) get { flows[index] }
        @inline(__always) _modify { yield &flows[index] }
    }

    /// The first flow of a peer of which packets wait, its followers are named by `after`; negative: there is none.
    func first(of peer: PeerSlot) -> Int32 { peer.offset < firsts.count ? firsts[peer.offset] : -1 }

    /// The entry of a flow.
    func find(_ name: UInt64) -> Int? {
        guard !flows.isEmpty else { return nil }
        let first = Int(truncatingIfNeeded: name) & (Self.tableSize - Self.ways)
        for index in first..<first + Self.ways where flows[index].name == name { return index }
        return nil
    }

    /// The entry of a flow, perhaps that of another one of which nothing is held; `nil` if there is none.
    mutating func entry(_ name: UInt64, of peer: PeerSlot, at now: Instant) -> Int? {
        if let index = find(name) {
            flows[index].usedAt = now
            return index
        }
        if flows.isEmpty { flows = ContiguousArray(repeating: Flow(), count: Self.tableSize) }
        while firsts.count <= peer.offset { firsts.append(-1) }
        let first = Int(truncatingIfNeeded: name) & (Self.tableSize - Self.ways)
        var oldest: Int?
        for index in first..<first + Self.ways where !flows[index].isHeld {
            if flows[index].usedAt < oldest.map({ flows[$0].usedAt }) ?? .distantFuture { oldest = index }
        }
        guard let oldest else { return nil }
        flows[oldest] = Flow(name: name, usedAt: now, peer: peer.number)
        return oldest
    }

    /// Forgets a flow of which nothing is held.
    mutating func forget(_ index: Int) { flows[index] = Flow() }

    /// Forgets all flows of a peer of which nothing is held.
    mutating func forgetAll(of peer: PeerSlot) {
        for index in flows.indices where flows[index].peer == peer.number { forget(index) }
    }

    // MARK: What waits

    /// Adds a packet to those of a flow that wait, in its place by sequence number.
    mutating func insert(_ place: Int32, into index: Int, _ held: inout HeldPackets) {
        var list = flows[index].waiting
        let packet = held[place]
        if list.isEmpty {
            list = HeldPackets.List(head: place, tail: place)
            addToWaiting(index)
        } else if packet.isBehind(held[list.tail]) {
            if packet.counter < held[list.tail].counter { flows[index].isMixed = true }
            held[list.tail].next = place
            list.tail = place
        } else if !packet.isBehind(held[list.head]) {
            if packet.counter > held[list.head].counter { flows[index].isMixed = true }
            held[place].next = list.head
            list.head = place
        } else {
            let hint = flows[index].hint
            var before = hint >= 0 && packet.isBehind(held[hint]) ? hint : list.head
            while packet.isBehind(held[held[before].next]) { before = held[before].next }
            let after = held[before].next
            if packet.counter < held[before].counter || packet.counter > held[after].counter {
                flows[index].isMixed = true
            }
            held[place].next = after
            held[before].next = place
            flows[index].hint = place
        }
        flows[index].waiting = list
    }

    /// Takes the first packet of a flow from those that wait, of which there must be one.
    mutating func removeFirst(of index: Int, _ held: inout HeldPackets) -> Int32 {
        let place = flows[index].waiting.head
        flows[index].waiting.head = held[place].next
        held[place].next = -1
        if flows[index].hint == place { flows[index].hint = -1 }
        if flows[index].waiting.isEmpty {
            flows[index].waiting.tail = -1
            flows[index].isMixed = false
            removeFromWaiting(index)
        }
        return place
    }

    /// Adds a packet that TCP sent again while something waits.
    mutating func append(again place: Int32, to index: Int, _ held: inout HeldPackets) {
        held[place].isAgain = true
        if flows[index].again.isEmpty {
            flows[index].again.head = place
        } else {
            held[flows[index].again.tail].next = place
        }
        flows[index].again.tail = place
    }

    /// Takes the first of those out, of which there must be one.
    mutating func removeFirstAgain(of index: Int, _ held: inout HeldPackets) -> Int32 {
        let place = flows[index].again.head
        flows[index].again.head = held[place].next
        if flows[index].again.isEmpty { flows[index].again.tail = -1 }
        held[place].next = -1
        return place
    }

    private mutating func addToWaiting(_ index: Int) {
        let peer = Int(flows[index].peer)
        let after = firsts[peer]
        flows[index].before = -1
        flows[index].after = after
        if after >= 0 { flows[Int(after)].before = Int32(index) }
        firsts[peer] = Int32(index)
    }

    private mutating func removeFromWaiting(_ index: Int) {
        let (before, after) = (flows[index].before, flows[index].after)
        if before < 0 { firsts[Int(flows[index].peer)] = after } else { flows[Int(before)].after = after }
        if after >= 0 { flows[Int(after)].before = before }
    }
}

extension HeldPackets.Packet {
    /// Whether it belongs behind another one of its flow; one with the same number does.
    func isBehind(_ other: HeldPackets.Packet) -> Bool {
        Int32(bitPattern: sequence &- other.sequence) >= 0
    }
}
