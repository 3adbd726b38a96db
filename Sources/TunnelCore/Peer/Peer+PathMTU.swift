// How large packets to a peer may be.

extension Peer {
    /// The largest packet inside that gets to the peer.
    func largestPacket(_ services: borrowing Services) -> Int { services.egress.sizes.mtu }
}
