/// Why a packet or datagram went no further. A drop is not an error: it is counted, and the loop goes on.
public enum DropReason: Int, CaseIterable, Sendable {
    // Datagrams that belong to no peer.
    /// Not a WireGuard message: unknown type, or a length that its type does not have.
    case malformed
    /// A handshake message whose mac1 is not made with our public key.
    case mac1
    /// A receiver index that names no session and no handshake of ours.
    case unknownIndex
    /// A handshake message that did not prove its sender: wrong key, unknown peer, or a replay.
    case handshake
    /// An initiation over the limits: per address under load, or while the queue is full.
    case rateLimited
    /// A packet of the device that no peer's AllowedIPs hold.
    case noPeer
    /// Something from the device that is not an IP packet.
    case notIP
    /// No room in a fixed buffer.
    case overflow
    /// A unit of which not all fragments came, or a fragment that found no room.
    case incomplete

    // Packets and datagrams of a peer.
    /// A counter that was seen, or is too old to tell.
    case replay
    /// The tag is wrong: forged or damaged.
    case authentication
    /// A message on a session that has reached its end.
    case expired
    /// A packet whose source is not among the sender's AllowedIPs.
    case allowedIPs
    /// A record that is not what it says it is, or that we did not announce.
    case record
    /// Decoded content that is no IP packet.
    case content
    /// Congestion experienced outside, on a packet that cannot carry the mark (RFC 6040 §4.2).
    case congestion
    /// A packet that waited for a session in vain.
    case staged
    /// A packet for a peer whose endpoint is unknown.
    case noEndpoint
    /// One of our own datagrams to the peer, which the device brought back: the peer's endpoint is routed into the tunnel.
    case loop

    // Ethernet alone.
    /// Too short or too long for a frame.
    case frame
    /// A frame whose source the operator does not allow to the peer.
    case allowedMACs
    /// A frame whose source appears at several peers in turn, or at one that has as many as it may.
    case learning
    /// A frame for everybody beyond the rate for that.
    case storm
    /// A frame for a peer that has said that it takes none.
    case noEthernet

    // Traffic that is dropped by nobody's fault.
    /// A packet of the device for a group, that no peer's AllowedIPs hold.
    case multicast
    /// A record of a peer to which we announced none.
    case unannounced

    // The way to a peer.
    /// A datagram for which the queues outside had no room, or the peer's share of the socket's buffer; a packet that made the queue
    /// in front of a link with a rate longer than it may be.
    case queueFull
    /// A packet of a flow whose queue stands (RFC 8289), which can't carry a mark.
    case queueDelay

    // Beyond a peer's budget, or its part of the thread.
    /// A unit or bundle that would be decoded to more than the peer's budget, or a frame that would be copied to too many.
    case budget
    /// A message that was to wait until others had their part of a turn of the thread, and found no room.
    case backlog

    /// A packet that the path to the peer does not take, and that may not be divided: its sender was told.
    case tooBig
    /// A packet that came on a session without the key exchange that is demanded.
    case keyExchange
}

/// A count for each reason.
public struct DropCounters: Sendable {
    /// A place for each reason (`CapacityTests`).
    private(set) var counts = InlineArray<32, UInt64>(repeating: 0)
    /// All of them together, and the last: for who looks what something brought about.
    private(set) var total: UInt64 = 0
    private(set) var last = DropReason.malformed

    public init() {}

    /// Goes on with these.
    init(_ counts: InlineArray<32, UInt64>) { self.counts = counts }

    public subscript(reason: DropReason) -> UInt64 { counts[reason.rawValue] }

    @inline(__always) mutating func count(_ reason: DropReason, _ number: Int = 1) {
        counts[reason.rawValue] &+= UInt64(number)
        guard number > 0 else { return }
        total &+= UInt64(number)
        last = reason
    }
}
