import Addresses

/// The Ethernet addresses of IP addresses, as their owners said in ARP and neighbour discovery that passed, with the place where they said it; for
/// each VLAN by itself.
///
/// A fixed table of sets of eight, by a hash; what was not said for two minutes is as good as not there, so that a host which is gone is looked
/// for. A place has a limited number of addresses, and makes room for further ones at its own cost first.
struct NeighbourTable: ~Copyable {
    /// What is known of an address.
    struct Neighbour {
        let address: MACAddress
        let place: MACTable.Place
        /// Whether it is a router; `nil`: it did not say.
        let isRouter: Bool?
    }

    private struct Entry {
        var ip: UInt128 = 0
        /// The VLANs, and which version of IP.
        var network: UInt64 = 0
        var address = MACAddress(0)
        var place: MACTable.Place?
        var isRouter: Bool?
        var seenAt = Instant.distantPast
    }

    private static let sets = 1024
    private static let ways = 8
    static let lifetime = Interval.seconds(120)
    /// Addresses of one place.
    static let mostOfPlace = 1024

    private var entries: ContiguousArray<Entry> = []
    /// How many addresses each peer has, behind those that are here.
    private var counts: ContiguousArray<Int32> = []
    private var sweptAt = Instant.distantPast
    private let hash: KeyedHash

    init(seed: UInt64) { hash = KeyedHash(seed: seed) }

    /// Whether anything is learned.
    @inline(__always) var isUsed: Bool { !entries.isEmpty }

    /// Begins to learn, or forgets all and needs no memory.
    mutating func use(_ isUsed: Bool) {
        guard isUsed != self.isUsed else { return }
        entries = isUsed ? ContiguousArray(repeating: Entry(), count: Self.sets * Self.ways) : []
        counts = []
    }

    /// What is known of an address in the VLANs of a frame.
    func find(_ ip: IPAddress, vlans: UInt32, at now: Instant) -> Neighbour? {
        let (bits, network) = Self.name(ip, vlans)
        for index in set(of: bits, network) where entries[index].ip == bits && entries[index].network == network {
            guard let place = entries[index].place, now - entries[index].seenAt < Self.lifetime else { return nil }
            return Neighbour(address: entries[index].address, place: place, isRouter: entries[index].isRouter)
        }
        return nil
    }

    /// Notes that somebody said that an address is its own. What it says nothing of stays as it was.
    mutating func learn(_ ip: IPAddress, vlans: UInt32, _ neighbour: Neighbour, at now: Instant) {
        let (bits, network) = Self.name(ip, vlans)
        let set = set(of: bits, network)
        guard !set.isEmpty else { return }
        var chosen = set.lowerBound
        var isKnown = false
        for index in set {
            if entries[index].place != nil, now - entries[index].seenAt >= Self.lifetime { release(index) }
            if entries[index].place != nil, entries[index].ip == bits, entries[index].network == network {
                chosen = index
                isKnown = true
                break
            }
            if rank(index, neighbour.place) < rank(chosen, neighbour.place) { chosen = index }
        }
        let isSame = isKnown && entries[chosen].address == neighbour.address
        let isRouter = neighbour.isRouter ?? (isSame ? entries[chosen].isRouter : nil)
        guard entries[chosen].place == neighbour.place || mayHaveMore(neighbour.place, now) else { return }
        release(chosen)
        counts[Int(neighbour.place.number + 1)] += 1
        entries[chosen] = Entry(
            ip: bits, network: network, address: neighbour.address, place: neighbour.place, isRouter: isRouter,
            seenAt: now)
    }

    /// Forgets the addresses of a peer.
    mutating func forget(_ peer: PeerSlot) {
        for index in entries.indices where entries[index].place == .peer(peer) { release(index) }
    }

    /// How many there may be.
    var count: Int { entries.count { $0.place != nil } }

    // MARK: Inside

    /// What goes first: a free place, then one of the same place's, then another's, each by its age.
    private func rank(_ index: Int, _ place: MACTable.Place) -> (Int, Int64) {
        guard let own = entries[index].place else { return (0, 0) }
        return (own == place ? 1 : 2, entries[index].seenAt.nanoseconds)
    }

    private mutating func mayHaveMore(_ place: MACTable.Place, _ now: Instant) -> Bool {
        let number = Int(place.number + 1)
        while counts.count <= number { counts.append(0) }
        if counts[number] >= Self.mostOfPlace, now - sweptAt >= .seconds(1) {
            sweptAt = now
            for index in entries.indices where now - entries[index].seenAt >= Self.lifetime { release(index) }
        }
        return counts[number] < Self.mostOfPlace
    }

    private mutating func release(_ index: Int) {
        guard let place = entries[index].place else { return }
        counts[Int(place.number + 1)] -= 1
        entries[index] = Entry()
    }

    private static func name(_ ip: IPAddress, _ vlans: UInt32) -> (UInt128, UInt64) {
        switch ip {
        case .v4(let bits): (UInt128(bits), UInt64(vlans) | 1 << 32)
        case .v6(let bits): (bits, UInt64(vlans))
        }
    }

    private func set(of ip: UInt128, _ network: UInt64) -> Range<Int> {
        guard !entries.isEmpty else { return 0..<0 }
        let half = hash.fold(UInt64(truncatingIfNeeded: ip), UInt64(truncatingIfNeeded: ip >> 64), round: 0)
        let start = (Int(truncatingIfNeeded: hash.fold(half, network, round: 1)) & (Self.sets - 1)) * Self.ways
        return start..<start + Self.ways
    }
}
