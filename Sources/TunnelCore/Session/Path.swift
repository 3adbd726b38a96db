public import Addresses

/// Which peer: a place in a table and how often that place was given away, so that an identifier outlives its peer
/// without meaning the next one.
public struct PeerID: Hashable, Sendable {
    let slot: Int32
    let generation: UInt32
}

extension PeerID: Comparable {
    /// The order in which peers were added.
    public static func < (a: PeerID, b: PeerID) -> Bool { a.generation < b.generation }
}

/// How to reach a peer: its endpoint, and the address of ours that it talks to.
public struct Path: Hashable, Sendable {
    public var remote: Endpoint
    /// The local address and interface that datagrams from there arrived at; `nil` leaves the choice to the routing
    /// table. It is given up as soon as the system refuses it.
    public var local: LocalAddress?

    public init(_ remote: Endpoint, local: LocalAddress? = nil) {
        self.remote = remote
        self.local = local
    }
}

/// Where a datagram goes, and for which peer; -1 if for none.
struct Destination {
    let path: Path
    let peer: Int32
}

/// A local address, on the interface with this index.
public struct LocalAddress: Hashable, Sendable {
    public var address: IPAddress
    public var interface: UInt32

    public init(_ address: IPAddress, interface: UInt32) {
        self.address = address
        self.interface = interface
    }
}
