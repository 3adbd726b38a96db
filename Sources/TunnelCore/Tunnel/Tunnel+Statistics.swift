public import Addresses
import BasicContainers
public import Keys

/// What is known of a tunnel at one instant.
public struct TunnelStatistics: Sendable {
    public let publicKey: PublicKey?
    public let peers: [PeerStatistics]
    /// What was dropped and belonged to no peer.
    public let drops: DropCounters
}

/// What is known of one peer.
public struct PeerStatistics: Sendable {
    public let id: PeerID
    public let publicKey: PublicKey
    public let presharedKey: PresharedKey?
    public let endpoint: Endpoint?
    public var allowedIPs: [Prefix] = []
    public let persistentKeepalive: Interval?
    public let lastHandshake: WallTime?
    /// UDP payload of everything authentic, as `wg` counts.
    public let received: UInt64
    public let sent: UInt64
    public let compression: CompressionPolicy
    /// What data is sealed with now.
    public let cipher: CipherSuite
    /// The configuration demands AES-256-GCM and the peer can't do it, or has said nothing of it: nothing is sent.
    public let refusesCipher: Bool
    /// It has said nothing yet on the session that a gateway says.
    public let saysNothing: Bool
    /// The current session allows compressed units to the peer.
    public let compresses: Bool
    public let traffic: CompressionCounters
    /// How long the way there and back takes; `nil` if nobody has asked yet.
    public let roundTrip: Interval?
    /// We carry Ethernet frames and the peer takes none, or the other way round.
    public let carriesOther: Bool
    /// The Ethernet addresses that were learned at the peer.
    public var addresses: [MACAddress] = []
    /// The part of the datagrams to the peer that got lost lately.
    public let loss: Double
    public let drops: DropCounters
    /// The last problem, and when it was last seen.
    public let problem: (PeerProblem, WallTime)?

    public var hasPresharedKey: Bool { presharedKey != nil }
}

extension Tunnel {
    /// A snapshot; peers in the order in which they were added.
    public func statistics(at now: Instant) -> TunnelStatistics {
        var parts = StatisticsInParts()
        _ = parts.advance(self, atMost: peerPlaces, at: now)
        return parts.statistics()
    }

    /// What was dropped and belonged to no peer.
    var allDrops: DropCounters {
        var drops = drops
        drops.count(.incomplete, Int(clamping: chain.abandonedUnits))
        return drops
    }

    /// Whether it is still the peer in its place.
    func isPresent(_ peer: PeerID) -> Bool {
        peers[Int(peer.slot)].isAlive && peers[Int(peer.slot)].id == peer
    }

    /// Where Ethernet addresses were seen, in no order; one that was seen in several VLANs several times.
    func stations(at now: Instant) -> [(peer: Int32, address: MACAddress)] { addresses.stations(at: now) }

    /// How many places for peers there are; some may be empty.
    public var peerPlaces: Int { peers.count }

    /// The peers in some of the places, in no order and without their AllowedIPs: for a snapshot that is made in parts,
    /// so that none takes long.
    public func peerStatistics(inPlaces places: Range<Int>) -> [PeerStatistics] {
        places.clamped(to: 0..<peers.count).filter { peers[$0].isAlive }.map { statistics(of: Int32($0)) }
    }

    /// Whether the peer carries frames if we do not, or does not if we do. Silence means that it knows no HELLO.
    private func carriesOther(_ slot: Int32, _ session: Int32) -> Bool {
        let hello = sessions[session].hello
        return (hello.hasArrived || saysNothing(slot, session)) && hello.records.contains(.ethernet) != carriesFrames
    }

    /// Whether we have said HELLO for long enough without an answer, on this session or the one before.
    private func saysNothing(_ slot: Int32, _ session: Int32) -> Bool {
        let hello = sessions[session].hello
        return !hello.hasArrived && (hello.sent >= Limits.helloRepeats.count || peers[Int(slot)].silentSessions > 0)
    }

    /// Whether AES-256-GCM is demanded and the peer has said that it does not do it, or nothing for too long.
    private func refusesCipher(_ slot: Int32, _ session: Int32) -> Bool {
        peers[Int(slot)].cipher == .aes256gcm && !sessions[session].aes.isOpen
            && (sessions[session].hello.hasArrived || isLate(slot, session) || peers[Int(slot)].silentSessions > 0)
    }

    private func statistics(of slot: Int32) -> PeerStatistics {
        let session = peers[Int(slot)].current
        let codecs = session >= 0 ? sessions[session].hello.codecs : []
        let mode = peers[Int(slot)].compression.mode
        return PeerStatistics(
            id: peers[Int(slot)].id,
            publicKey: peers[Int(slot)].publicKey,
            presharedKey: peers[Int(slot)].presharedKey,
            endpoint: peers[Int(slot)].path?.remote,
            persistentKeepalive: peers[Int(slot)].persistentKeepalive,
            lastHandshake: peers[Int(slot)].lastHandshake,
            received: peers[Int(slot)].received,
            sent: peers[Int(slot)].sent,
            compression: peers[Int(slot)].compression,
            cipher: session >= 0 ? sessions[session].forData.suite : .chacha20poly1305,
            refusesCipher: session >= 0 && refusesCipher(slot, session),
            saysNothing: session >= 0 && !sessions[session].hello.hasArrived,
            compresses: mode.codes(forPeer: codecs),
            traffic: peers[Int(slot)].traffic,
            roundTrip: peers[Int(slot)].link.roundTrip,
            carriesOther: session >= 0 && carriesOther(slot, session),
            loss: peers[Int(slot)].link.loss,
            drops: peers[Int(slot)].drops,
            problem: peers[Int(slot)].trouble.map { ($0.problem, $0.wall) })
    }
}
