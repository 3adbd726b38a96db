public import Addresses

/// The owner of each inner address, both ways: where a packet to it goes, and who may send a packet from it
/// (the whitepaper's cryptokey routing, §2). A prefix belongs to one peer at a time; the longest one decides.
///
/// A copy is a snapshot that costs nothing until either is changed: another thread may read it while this one goes on.
public struct AllowedIPs: Sendable {
    private var v4 = PrefixTrie<UInt32>()
    private var v6 = PrefixTrie<UInt128>()
    private var sequence: UInt64 = 0

    public init() {}

    /// The peer that `address` belongs to.
    @inline(__always)
    public func lookup(_ address: IPAddress) -> PeerSlot? {
        let number =
            switch address {
            case .v4(let bits): v4.lookup(bits)
            case .v6(let bits): v6.lookup(bits)
            }
        return number < 0 ? nil : PeerSlot(number)
    }

    /// Gives `prefix` to the peer in `slot`, whosever it was before.
    public mutating func insert(_ prefix: Prefix, _ slot: PeerSlot) {
        sequence &+= 1
        switch prefix.address {
        case .v4(let bits): v4.insert(bits, length: prefix.length, slot.number, sequence: sequence)
        case .v6(let bits): v6.insert(bits, length: prefix.length, slot.number, sequence: sequence)
        }
    }

    /// Takes `prefix` away from the peer in `slot`, if it has it.
    public mutating func remove(_ prefix: Prefix, _ slot: PeerSlot) {
        switch prefix.address {
        case .v4(let bits): v4.remove(bits, length: prefix.length, slot.number)
        case .v6(let bits): v6.remove(bits, length: prefix.length, slot.number)
        }
    }

    /// Takes all prefixes away from the peer in `slot`.
    public mutating func removeAll(_ slot: PeerSlot) { _ = removeSome(slot, atMost: .max) }

    /// Takes up to `count` prefixes away from the peer in `slot`; how many those were.
    public mutating func removeSome(_ slot: PeerSlot, atMost count: Int) -> Int {
        var removed = 0
        while removed < count, let (bits, length) = v4.first(of: slot.number) {
            v4.remove(bits, length: length, slot.number)
            removed += 1
        }
        while removed < count, let (bits, length) = v6.first(of: slot.number) {
            v6.remove(bits, length: length, slot.number)
            removed += 1
        }
        return removed
    }

    /// The prefixes of a peer, in the order in which they were given.
    public func prefixes(of peer: PeerID) -> [Prefix] { prefixes(of: peer.slot) }

    /// The prefixes of the peer in `slot`, in the order in which they were given.
    public func prefixes(of slot: PeerSlot) -> [Prefix] {
        var entries: [(prefix: Prefix, sequence: UInt64)] = []
        func note(_ address: IPAddress, length: Int, sequence: UInt64) {
            if let prefix = Prefix(address, length: length) { entries.append((prefix, sequence)) }
        }
        v4.forEach(of: slot.number) { note(.v4($0), length: $1, sequence: $2) }
        let v4Count = entries.count
        v6.forEach(of: slot.number) { note(.v6($0), length: $1, sequence: $2) }
        if v4Count > 0, v4Count < entries.count { entries.sort { $0.sequence < $1.sequence } }
        return entries.map(\.prefix)
    }
}
