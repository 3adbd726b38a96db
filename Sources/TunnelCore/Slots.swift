/// A peer's place in the table of peers. It is given to another one when the peer is removed; a `PeerID` is not.
public struct PeerSlot: Hashable, Sendable {
    let number: Int32

    @inline(__always) public init(_ number: Int) { self.number = Int32(truncatingIfNeeded: number) }
    @inline(__always) init(_ number: Int32) { self.number = number }

    @inline(__always) public var offset: Int { Int(number) }
}

/// A session's place in the slab. It is given to another one when the session ends.
struct SessionSlot: Hashable, Sendable {
    let number: Int32

    @inline(__always) init(_ number: Int32) { self.number = number }

    @inline(__always) var offset: Int { Int(number) }
}

/// A peer: its slot, and how often slots were given away when it got this one. It outlives the peer without meaning the next.
public struct PeerID: Hashable, Sendable {
    let slot: PeerSlot
    let generation: UInt32
}

extension PeerID: Comparable {
    /// The order in which peers were added.
    public static func < (a: PeerID, b: PeerID) -> Bool { a.generation < b.generation }
}
