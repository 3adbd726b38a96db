import Addresses

/// The place of each Ethernet address: at which peer it was seen last, or that it was seen at this end; for each VLAN by itself
/// (IEEE 802.1Q §8.8.8, independent learning).
///
/// A fixed table of sets of eight, by a hash; what was not seen for five minutes is as good as not there. A peer has a
/// limited number of addresses, and an address that wanders between peers stays where it was.
struct MACTable: ~Copyable {
    /// The place of an address: on our own device, or at a peer.
    enum Place: Equatable {
        case here
        case peer(PeerSlot)

        init(_ number: Int32) { self = number == MACTable.here ? .here : .peer(PeerSlot(number)) }

        /// A number for each place.
        var number: Int32 {
            switch self {
            case .here: MACTable.here
            case .peer(let slot): slot.number
            }
        }
    }

    private struct Entry {
        /// The VLAN, then the address.
        var station: UInt64 = 0
        var place = MACTable.nowhere
        var seenAt = Instant.distantPast
        var movedAt = Instant.distantPast
    }

    /// The number of our own device's place, below those of all peers.
    private static let here: Int32 = -1
    private static let nowhere: Int32 = -2

    private static let sets = 2048
    private static let ways = 8
    static let lifetime = Interval.seconds(300)
    /// Addresses of one peer, and of our own device.
    static let mostOfPeer = 1024
    private static let mostHere = 4096
    /// An address moves to another place at most once in this time.
    private static let stay = Interval.seconds(1)

    private var entries: ContiguousArray<Entry>
    /// How many addresses each peer has, behind those that are here.
    private var counts: ContiguousArray<Int32> = [0]
    private var sweptAt = Instant.distantPast
    private let hash: KeyedHash

    /// Without `isUsed` it holds nothing and needs no memory.
    init(seed: UInt64, isUsed: Bool) {
        hash = KeyedHash(seed: seed)
        entries = ContiguousArray(repeating: Entry(), count: isUsed ? Self.sets * Self.ways : 0)
    }

    /// The place that a frame is for; `nil` if that is everybody, or not known.
    func place(for frame: EthernetFrame, at now: Instant) -> Place? { place(of: frame.destination, in: frame, at: now) }

    /// The place of an address in the VLAN of a frame.
    func place(of address: MACAddress, in frame: EthernetFrame, at now: Instant) -> Place? {
        guard !address.isGroup else { return nil }
        let station = Self.station(address, frame)
        for index in set(of: station) where entries[index].station == station && isAlive(index, at: now) {
            return Place(entries[index].place)
        }
        return nil
    }

    /// Notes that a frame's source was seen at a place; false if it can't be there: it was elsewhere a moment ago, or
    /// as many as may be are there.
    mutating func learn(_ frame: EthernetFrame, at place: Place, now: Instant) -> Bool {
        let place = place.number
        let station = Self.station(frame.source, frame)
        var free: Int?
        // What makes room: something of the same place rather than another's.
        var oldest = set(of: station).lowerBound
        for index in set(of: station) {
            guard isAlive(index, at: now) else {
                release(index)
                free = index
                continue
            }
            if entries[index].station == station { return see(index, at: place, now) }
            let isOwn = entries[index].place == place
            let hasOwn = entries[oldest].place == place
            if isOwn && !hasOwn || isOwn == hasOwn && entries[index].seenAt < entries[oldest].seenAt { oldest = index }
        }
        guard mayHaveMore(place, now) else { return false }
        let index = free ?? oldest
        release(index)
        entries[index] = Entry(station: station, place: place, seenAt: now, movedAt: now)
        counts[Int(place + 1)] += 1
        return true
    }

    /// Forgets the addresses of a peer.
    mutating func forget(_ peer: PeerSlot) {
        for index in entries.indices where entries[index].place == peer.number { release(index) }
    }

    /// The addresses at a peer, in order.
    func addresses(of peer: PeerSlot, at now: Instant) -> [MACAddress] {
        var found: Set<MACAddress> = []
        for index in entries.indices where entries[index].place == peer.number && isAlive(index, at: now) {
            found.insert(MACAddress(entries[index].station))
        }
        return found.sorted { $0.bits < $1.bits }
    }

    /// All addresses at peers with their peers, in no order; one that was seen in several VLANs several times.
    func stations(at now: Instant) -> [(peer: PeerSlot, address: MACAddress)] {
        entries.indices.filter { entries[$0].place >= 0 && isAlive($0, at: now) }.map {
            (PeerSlot(entries[$0].place), MACAddress(entries[$0].station))
        }
    }

    /// How many there may be.
    var count: Int { entries.count { $0.place != Self.nowhere } }

    // MARK: Inside

    private mutating func see(_ index: Int, at place: Int32, _ now: Instant) -> Bool {
        if entries[index].place != place {
            guard now - entries[index].movedAt >= Self.stay, mayHaveMore(place, now) else { return false }
            counts[Int(entries[index].place + 1)] -= 1
            counts[Int(place + 1)] += 1
            entries[index].place = place
            entries[index].movedAt = now
        }
        entries[index].seenAt = now
        return true
    }

    private mutating func mayHaveMore(_ place: Int32, _ now: Instant) -> Bool {
        let most = place == Self.here ? Self.mostHere : Self.mostOfPeer
        while counts.count <= Int(place + 1) { counts.append(0) }
        if counts[Int(place + 1)] >= most, now - sweptAt >= .seconds(1) {
            sweptAt = now
            for index in entries.indices where !isAlive(index, at: now) { release(index) }
        }
        return counts[Int(place + 1)] < most
    }

    private mutating func release(_ index: Int) {
        let place = entries[index].place
        guard place != Self.nowhere else { return }
        counts[Int(place + 1)] -= 1
        entries[index] = Entry()
    }

    private func isAlive(_ index: Int, at now: Instant) -> Bool {
        entries[index].place != Self.nowhere && now - entries[index].seenAt < Self.lifetime
    }

    private static func station(_ address: MACAddress, _ frame: EthernetFrame) -> UInt64 {
        UInt64(frame.vlan) << 48 | address.bits
    }

    private func set(of station: UInt64) -> Range<Int> {
        guard !entries.isEmpty else { return 0..<0 }
        let start = (Int(truncatingIfNeeded: hash.fold(station, 0, round: 0)) & (Self.sets - 1)) * Self.ways
        return start..<start + Self.ways
    }
}

// What a new process takes over.
extension MACTable {
    /// `place` gives a peer's slot the number by which it is known there.
    func write(to state: inout StateWriter, at now: Instant, _ place: (PeerSlot) -> Int?) {
        let alive = entries.indices.filter { isAlive($0, at: now) }
        state.put(UInt32(alive.count))
        for index in alive {
            let number = entries[index].place == Self.here ? -1 : place(PeerSlot(entries[index].place)) ?? -1
            state.put(Int32(clamping: number))
            state.put(entries[index].station)
            state.put(entries[index].seenAt)
        }
    }

    mutating func read(_ state: inout StateReader, _ slot: (Int) -> PeerSlot?) throws(StateProblem) {
        for _ in 0..<(try state.count(eachAtLeast: 20)) {
            let number = try state.number(Int32.self)
            let station = try state.number(UInt64.self)
            let seenAt = try state.instant()
            var place = Self.here
            if number >= 0 {
                guard let slot = slot(Int(number)) else { throw .implausible("a place") }
                place = slot.number
            }
            guard mayHaveMore(place, seenAt),
                let index = set(of: station).first(where: { entries[$0].place == Self.nowhere })
            else { continue }
            entries[index] = Entry(station: station, place: place, seenAt: seenAt, movedAt: seenAt)
            counts[Int(place + 1)] += 1
        }
    }
}
