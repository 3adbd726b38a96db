/// The flows of which packets wait, a table of them for each peer, and whose turn it is: deficit round robin in which flows that send
/// little come first (RFC 8290 §4).
///
/// A flow may have any of the eight places of the set that its name falls into, as in sch_cake: of ten flows none shares a place with another, where
/// one place for each name would make some share in 16 of 100 cases.
struct FlowQueues: ~Copyable {
    static let tableSize = 256
    /// Places of a set.
    private static let ways = 8
    /// What a round gives to each flow and each peer.
    static let quantum = 1500

    private enum Age: UInt8 { case idle, new, old }

    private struct Flow {
        var packets = ListEnds()
        var bytes = 0
        var deficit = 0
        var age = Age.idle
        var next: Int32 = -1
        var codel = CoDel()
        /// Packets of others may be in it, since no place of its set was free.
        var isShared = false
    }

    /// The flows of a peer that have something to send, in the order of their turns.
    struct Turns {
        fileprivate var new = ListEnds()
        fileprivate var old = ListEnds()
    }

    private var flows = ContiguousArray<Flow>()
    /// Whose each place is, or was last.
    private var names = ContiguousArray<UInt64>()
    private var freeTables: ContiguousArray<Int32> = []

    // MARK: Tables

    /// A table for a peer, in which nothing waits.
    mutating func openTable() -> Int32 {
        if freeTables.isEmpty {
            freeTables.append(Int32(flows.count / Self.tableSize))
            flows.append(contentsOf: repeatElement(Flow(), count: Self.tableSize))
            names.append(contentsOf: repeatElement(0, count: Self.tableSize))
        }
        return freeTables.removeLast()
    }

    /// Takes a table in which nothing waits back.
    mutating func close(_ table: Int32, _ turns: inout Turns) {
        // All others are as they were made, but for what their queues did last.
        while !turns.new.isEmpty { ageFirst(&turns) }
        while !turns.old.isEmpty {
            let flow = Int(turns.old.head)
            removeFirst(of: &turns.old)
            flows[flow] = Flow()
        }
        freeTables.append(table)
    }

    /// The flows of a table.
    func numbers(of table: Int32) -> Range<Int32> {
        let size = Int32(Self.tableSize)
        return table * size..<(table + 1) * size
    }

    /// The place of a flow in its table.
    @inline(__always)
    static func index(of flow: Int32) -> Int { Int(flow) % tableSize }

    /// The place for a packet of a flow, by its name. `kept` is the place of a flow of which something else waits.
    @inline(__always)
    mutating func find(_ name: UInt64, in table: Int32, keeping kept: Int32) -> Int32 {
        let place = table * Int32(Self.tableSize) + Int32(truncatingIfNeeded: (name &* 0x9e37_79b9_7f4a_7c15) >> 56)
        return names[Int(place)] == name ? place : findOther(name, place, keeping: kept)
    }

    @inline(never)
    private mutating func findOther(_ name: UInt64, _ place: Int32, keeping kept: Int32) -> Int32 {
        let first = place & ~Int32(Self.ways - 1)
        var free: Int32?
        for way in 0..<Int32(Self.ways) {
            let other = first | (place + way) & Int32(Self.ways - 1)
            if names[Int(other)] == name { return other }
            if free == nil, flows[Int(other)].age == .idle, other != kept { free = other }
        }
        // While packets of the flow may be in a place that it shares, others of it go nowhere else.
        let isInUse = flows[Int(place)].age != .idle || place == kept
        guard let free, !(isInUse && flows[Int(place)].isShared) else {
            flows[Int(place)].isShared = true
            return place
        }
        names[Int(free)] = name
        flows[Int(free)] = Flow()
        return free
    }

    // MARK: Packets

    /// Adds a packet to a flow.
    @inline(__always)
    mutating func append(_ place: Int32, to flow: Int32, in memory: inout PacketMemory) {
        memory.append(place, to: &flows[Int(flow)].packets)
        flows[Int(flow)].bytes += Int(memory[place].length)
    }

    /// Takes the first packet of a flow out; `nil`: none waits.
    @inline(__always)
    mutating func takeFirst(of flow: Int32, in memory: borrowing PacketMemory) -> Int32? {
        guard !flows[Int(flow)].packets.isEmpty else { return nil }
        let place = memory.takeFirst(of: &flows[Int(flow)].packets)
        flows[Int(flow)].bytes -= Int(memory[place].length)
        return place
    }

    /// The first packet of a flow.
    @inline(__always)
    func first(of flow: Int32) -> Int32? {
        let place = flows[Int(flow)].packets.head
        return place < 0 ? nil : place
    }

    /// Whether the packet that was taken out of a flow had waited too long for too long.
    @inline(__always)
    mutating func judge(_ sojourn: Interval, in flow: Int32, _ setting: CoDel.Setting, at now: Instant) -> Bool {
        flows[Int(flow)].codel.judge(sojourn, isLast: flows[Int(flow)].packets.isEmpty, setting, at: now)
    }

    /// The flow of a table of which most waits.
    func longest(in table: Int32) -> Int32? {
        numbers(of: table).max { flows[Int($0)].bytes < flows[Int($1)].bytes }
    }

    // MARK: Turns

    /// Gives a flow that something waits of a turn, if it has none: before the old ones, or behind them.
    @inline(__always)
    mutating func schedule(_ flow: Int32, isNew: Bool, _ turns: inout Turns) {
        guard flows[Int(flow)].age == .idle else { return }
        guard isNew else { return append(flow, .old, to: &turns.old) }
        flows[Int(flow)].deficit = Self.quantum
        append(flow, .new, to: &turns.new)
    }

    /// The flow whose turn it is: those that are new first; whether it is one of the others.
    mutating func next(_ turns: inout Turns) -> (flow: Int32, isOld: Bool)? {
        if let flow = nextNew(&turns) { return (flow, false) }
        while true {
            let number = turns.old.head
            guard number >= 0 else { return nil }
            let flow = Int(number)
            if flows[flow].deficit <= 0 {
                flows[flow].deficit += Self.quantum
                removeFirst(of: &turns.old)
                append(number, .old, to: &turns.old)
            } else if flows[flow].packets.isEmpty {
                removeFirst(of: &turns.old)
                flows[flow].age = .idle
            } else {
                return (number, true)
            }
        }
    }

    /// The next of the flows that are new.
    mutating func nextNew(_ turns: inout Turns) -> Int32? {
        while true {
            let number = turns.new.head
            guard number >= 0 else { return nil }
            let flow = Int(number)
            if flows[flow].deficit <= 0 {
                flows[flow].deficit += Self.quantum
                ageFirst(&turns)
            } else if !flows[flow].packets.isEmpty {
                return number
            } else if !turns.old.isEmpty {
                // It goes through the old ones once, so that it can't be new again and again.
                ageFirst(&turns)
            } else {
                removeFirst(of: &turns.new)
                flows[flow].age = .idle
            }
        }
    }

    /// Puts a flow, if it is the first of the new ones, behind the old ones.
    mutating func age(_ flow: Int32, _ turns: inout Turns) {
        guard turns.new.head == flow else { return }
        ageFirst(&turns)
    }

    /// Charges a flow with bytes.
    mutating func charge(_ bytes: Int, to flow: Int32) { flows[Int(flow)].deficit -= bytes }

    private mutating func ageFirst(_ turns: inout Turns) {
        let flow = turns.new.head
        removeFirst(of: &turns.new)
        append(flow, .old, to: &turns.old)
    }

    private mutating func append(_ flow: Int32, _ age: Age, to list: inout ListEnds) {
        flows[Int(flow)].age = age
        flows[Int(flow)].next = -1
        if list.isEmpty { list.head = flow } else { flows[Int(list.tail)].next = flow }
        list.tail = flow
    }

    private func removeFirst(of list: inout ListEnds) {
        list.head = flows[Int(list.head)].next
        if list.isEmpty { list.tail = -1 }
    }
}
