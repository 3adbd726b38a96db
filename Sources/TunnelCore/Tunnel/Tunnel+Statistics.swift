import Addresses
import BasicContainers
public import Keys

/// A tunnel's statistics at one instant.
public struct TunnelStatistics: Sendable {
    public let publicKey: PublicKey?
    public let peers: [PeerStatistics]
    /// Packets and datagrams that belonged to no peer, dropped.
    public let drops: DropCounters
    /// Questions of ARP and neighbour discovery that were answered here; `nil`: none are.
    public let answeredNeighbours: UInt64?
}

extension Tunnel {
    /// A snapshot; peers in the order in which they were added.
    public func statistics(at now: Instant) -> TunnelStatistics {
        var parts = StatisticsInParts()
        _ = parts.advance(self, atMost: peerPlaces, at: now)
        return parts.statistics()
    }

    /// Packets that left uncompressed to peers that would not be sent them otherwise, since this was asked last.
    public mutating func takePlainSamples() -> [PlainSample] {
        defer { services.samples.clear() }
        return (0..<services.samples.count).map { index in
            let (bytes, peer) = services.samples.sample(index)
            return PlainSample(peer: peers[peer].publicKey, bytes: bytes)
        }
    }

    /// What became of the bytes of each service since this was asked last.
    public mutating func takeServiceShares() -> [ServiceShare] {
        let taken = services.shares.take()
        return taken.compactMap { slot, sum in
            guard slot.offset < peers.slotCount, peers[slot].isAlive else { return nil }
            return ServiceShare(peer: peers[slot].publicKey, sum: sum)
        }
    }

    /// Packets and datagrams that belonged to no peer, dropped.
    var allDrops: DropCounters {
        var drops = services.drops
        drops.count(.incomplete, Int(clamping: services.ingress.abandonedUnits))
        return drops
    }

    /// Whether it is still the peer in its place.
    func isPresent(_ peer: PeerID) -> Bool { peers.slot(of: peer) != nil }

    /// Where Ethernet addresses were seen, in no order; one that was seen in several VLANs several times.
    func stations(at now: Instant) -> [(peer: PeerSlot, address: MACAddress)] { addresses.stations(at: now) }

    /// How many places for peers there are; some may be empty.
    public var peerPlaces: Int { peers.slotCount }

    /// The peers in some of the places, in no order and without their AllowedIPs: for a snapshot that is made in parts,
    /// so that none takes long.
    public func peerStatistics(inPlaces places: Range<Int>) -> [PeerStatistics] {
        places.clamped(to: 0..<peers.slotCount).map { PeerSlot($0) }.filter { peers[$0].isAlive }
            .map { peers[$0].statistics(services) }
    }
}
