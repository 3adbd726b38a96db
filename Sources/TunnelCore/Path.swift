public import Addresses

/// The way to a peer: its endpoint, and the address of ours that it talks to.
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

/// The destination of a datagram: the path, and the peer that it is for, `nil` if for none that is known.
struct Destination {
    let path: Path
    let peer: PeerSlot?
    var limit = PathLimit()
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

/// How large datagrams to a destination may be.
struct PathLimit: Equatable {
    /// The largest payload.
    var payload = Int.max
    /// The path was asked, or it is what its first interface takes.
    var isFound = false
    /// The largest datagram of which it is known that it gets there in one piece: up to this they are not to be divided; 0: nothing is
    /// known.
    var whole = 0

    /// That of a probe, which must not be divided whatever happens.
    static func probe(payload: Int) -> PathLimit { PathLimit(payload: payload, isFound: true, whole: .max) }
}
