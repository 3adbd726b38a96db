import Addresses
import Keys

/// A snapshot that is made in parts, so that no turn of the owning thread takes long over very many peers: `advance` until
/// it says that all is there, then ask for the whole, on any thread.
///
/// A peer that goes meanwhile is left out, one that comes may be. What the parts say is of different instants.
public struct StatisticsInParts: Sendable {
    /// An array for each part: a copy of this value copies no peers.
    private var parts: [[PeerStatistics]] = []
    private var nextPlace = 0
    private var gone: Set<PeerID> = []
    /// The AllowedIPs of all peers, once all is there.
    public private(set) var allowedIPs = AllowedIPs()
    private var stations: [(peer: PeerSlot, address: MACAddress)] = []
    private var publicKey: PublicKey?
    private var drops = DropCounters()
    private var answeredNeighbours: UInt64?

    public init() {}

    /// Looks at the next `count` places for peers; true if those were the last.
    public mutating func advance(_ tunnel: borrowing Tunnel, atMost count: Int, at now: Instant) -> Bool {
        let end = nextPlace + count
        parts.append(tunnel.peerStatistics(inPlaces: nextPlace..<end))
        nextPlace = end
        guard end >= tunnel.peerPlaces else { return false }
        // Their places may be others' by now, and so what belongs to a place.
        for part in parts { for peer in part where !tunnel.isPresent(peer.id) { gone.insert(peer.id) } }
        allowedIPs = tunnel.allowedIPs
        stations = tunnel.stations(at: now)
        publicKey = tunnel.publicKey
        drops = tunnel.allDrops
        answeredNeighbours = tunnel.answersNeighbours ? tunnel.answeredNeighbours : nil
        return true
    }

    /// The peers in the order in which they were added, without their AllowedIPs and addresses.
    public var peers: [PeerStatistics] {
        parts.joined().filter { !gone.contains($0.id) }.sorted { $0.id < $1.id }
    }

    /// The whole.
    public func statistics() -> TunnelStatistics {
        var found = peers
        let addresses = Dictionary(grouping: stations) { $0.peer }
        for index in found.indices {
            found[index].allowedIPs = allowedIPs.prefixes(of: found[index].id)
            // One that was seen in several VLANs is one.
            let seen = Set(addresses[found[index].id.slot, default: []].map(\.address))
            found[index].addresses = seen.sorted { $0.bits < $1.bits }
        }
        return TunnelStatistics(
            publicKey: publicKey, peers: found, drops: drops, answeredNeighbours: answeredNeighbours)
    }
}
