import Addresses

/// At which peer each Ethernet address was seen last.
///
/// A fixed table of sets of four, by a hash of the address; what was not seen for five minutes is as good as not there.
/// A peer has a limited number of addresses, and an address that wanders between peers stays where it was.
struct MACTable: ~Copyable {
    private struct Entry {
        var address = MACAddress(0)
        var peer: Int32 = -1
        var seenAt = Instant.distantPast
        var movedAt = Instant.distantPast
    }

    private static let sets = 2048
    private static let ways = 4
    static let lifetime = Interval.seconds(300)
    /// Addresses of one peer.
    static let mostOfPeer = 1024
    /// An address moves to another peer at most once in this time.
    private static let stay = Interval.seconds(1)

    private var entries: ContiguousArray<Entry>
    /// How many addresses each peer has.
    private var counts: ContiguousArray<Int32> = []
    private var sweptAt = Instant.distantPast
    private let seed: UInt64

    /// Without `isUsed` it holds nothing and needs no memory.
    init(seed: UInt64, isUsed: Bool) {
        self.seed = seed
        entries = ContiguousArray(repeating: Entry(), count: isUsed ? Self.sets * Self.ways : 0)
    }

    /// The peer at which an address is; `nil` if that is not known.
    func peer(of address: MACAddress, at now: Instant) -> Int32? {
        for index in set(of: address) where entries[index].address == address && isAlive(index, at: now) {
            return entries[index].peer
        }
        return nil
    }

    /// Notes that an address was seen at a peer; false if it cannot be there: it was elsewhere a moment ago, or the peer has as
    /// many as it may.
    mutating func learn(_ address: MACAddress, at peer: Int32, now: Instant) -> Bool {
        var free: Int?
        var oldest = set(of: address).lowerBound
        for index in set(of: address) {
            guard isAlive(index, at: now) else {
                free = index
                continue
            }
            if entries[index].address == address { return see(index, at: peer, now) }
            if entries[index].seenAt < entries[oldest].seenAt { oldest = index }
        }
        guard mayHaveMore(peer, now) else { return false }
        let index = free ?? oldest
        release(index)
        entries[index] = Entry(address: address, peer: peer, seenAt: now, movedAt: now)
        counts[Int(peer)] += 1
        return true
    }

    /// Forgets the addresses of a peer that is gone.
    mutating func forget(_ peer: Int32) {
        for index in entries.indices where entries[index].peer == peer { release(index) }
    }

    /// The addresses at a peer, in order; among them may be some that were not seen for long.
    func addresses(of peer: Int32) -> [MACAddress] {
        entries.indices.filter { entries[$0].peer == peer }.map { entries[$0].address }
            .sorted { $0.bits < $1.bits }
    }

    // MARK: Inside

    private mutating func see(_ index: Int, at peer: Int32, _ now: Instant) -> Bool {
        if entries[index].peer != peer {
            guard now - entries[index].movedAt >= Self.stay, mayHaveMore(peer, now) else { return false }
            counts[Int(entries[index].peer)] -= 1
            counts[Int(peer)] += 1
            entries[index].peer = peer
            entries[index].movedAt = now
        }
        entries[index].seenAt = now
        return true
    }

    private mutating func mayHaveMore(_ peer: Int32, _ now: Instant) -> Bool {
        while counts.count <= Int(peer) { counts.append(0) }
        if counts[Int(peer)] >= Self.mostOfPeer, now - sweptAt >= .seconds(1) {
            sweptAt = now
            for index in entries.indices where !isAlive(index, at: now) { release(index) }
        }
        return counts[Int(peer)] < Self.mostOfPeer
    }

    private mutating func release(_ index: Int) {
        let peer = entries[index].peer
        guard peer >= 0 else { return }
        counts[Int(peer)] -= 1
        entries[index] = Entry()
    }

    private func isAlive(_ index: Int, at now: Instant) -> Bool {
        entries[index].peer >= 0 && now - entries[index].seenAt < Self.lifetime
    }

    private func set(of address: MACAddress) -> Range<Int> {
        guard !entries.isEmpty else { return 0..<0 }
        var hash = (address.bits ^ seed) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 32
        let start = Int(hash & UInt64(Self.sets - 1)) * Self.ways
        return start..<start + Self.ways
    }
}
