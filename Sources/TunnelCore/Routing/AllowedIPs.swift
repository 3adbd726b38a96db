public import Addresses

/// Which peer each inner address belongs to, both ways: where a packet to it goes, and who may send a packet from it
/// (the whitepaper's cryptokey routing, §2). A prefix belongs to one peer at a time; the longest one decides.
public struct AllowedIPs {
    private var v4 = PrefixTrie<UInt32>()
    private var v6 = PrefixTrie<UInt128>()

    public init() {}

    /// The slot of the peer that `address` belongs to, or -1.
    @inline(__always)
    public func lookup(_ address: IPAddress) -> Int32 {
        switch address {
        case .v4(let bits): v4.lookup(bits)
        case .v6(let bits): v6.lookup(bits)
        }
    }

    /// Gives `prefix` to the peer in `slot`, whosever it was before.
    public mutating func insert(_ prefix: Prefix, _ slot: Int32) {
        switch prefix.address {
        case .v4(let bits): v4.insert(bits, length: prefix.length, slot)
        case .v6(let bits): v6.insert(bits, length: prefix.length, slot)
        }
    }

    /// Takes `prefix` away from the peer in `slot`, if it has it.
    public mutating func remove(_ prefix: Prefix, _ slot: Int32) {
        switch prefix.address {
        case .v4(let bits): v4.remove(bits, length: prefix.length, slot)
        case .v6(let bits): v6.remove(bits, length: prefix.length, slot)
        }
    }

    /// Takes everything away from the peer in `slot`.
    public mutating func removeAll(_ slot: Int32) {
        for (prefix, owner) in all() where owner == slot { remove(prefix, slot) }
    }

    /// All prefixes and their owners, each family in the order in which they were given.
    public func all() -> [(prefix: Prefix, slot: Int32)] {
        v4.all().compactMap { entry in Prefix(.v4(entry.bits), length: entry.length).map { ($0, entry.value) } }
            + v6.all().compactMap { entry in Prefix(.v6(entry.bits), length: entry.length).map { ($0, entry.value) } }
    }
}
