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
    public let publicKey: PublicKey
    public let hasPresharedKey: Bool
    public let endpoint: Endpoint?
    public let allowedIPs: [Prefix]
    public let persistentKeepalive: Interval?
    public let lastHandshake: WallTime?
    /// UDP payload of everything authentic, as `wg` counts.
    public let received: UInt64
    public let sent: UInt64
    public let compression: CompressionPolicy
    /// What data is sealed with now.
    public let cipher: CipherSuite
    /// The configuration demands AES-256-GCM and the peer can't do it: nothing is sent.
    public let refusesCipher: Bool
    /// The current session allows compressed units to the peer.
    public let compresses: Bool
    public let traffic: CompressionCounters
    public let drops: DropCounters
}

extension Tunnel {
    /// A snapshot; peers in the order in which they were added.
    public func statistics() -> TunnelStatistics {
        let allowed = Dictionary(grouping: allowedIPs.all(), by: \.slot)
        var order = Array(slots.values)
        order.sort { peers[Int($0)].id.generation < peers[Int($1)].id.generation }
        return TunnelStatistics(
            publicKey: publicKey,
            peers: order.map { statistics(of: $0, allowedIPs: (allowed[$0] ?? []).map(\.prefix)) },
            drops: drops)
    }

    private func statistics(of slot: Int32, allowedIPs: [Prefix]) -> PeerStatistics {
        let session = peers[Int(slot)].current
        let codecs = session >= 0 ? sessions[session].hello.codecs : []
        let mode = peers[Int(slot)].compression.mode
        return PeerStatistics(
            publicKey: peers[Int(slot)].publicKey,
            hasPresharedKey: peers[Int(slot)].hasPresharedKey,
            endpoint: peers[Int(slot)].path?.remote,
            allowedIPs: allowedIPs,
            persistentKeepalive: peers[Int(slot)].persistentKeepalive,
            lastHandshake: peers[Int(slot)].lastHandshake,
            received: peers[Int(slot)].received,
            sent: peers[Int(slot)].sent,
            compression: peers[Int(slot)].compression,
            cipher: session >= 0 ? sessions[session].forData.suite : .chacha20poly1305,
            refusesCipher: session >= 0 && peers[Int(slot)].cipher == .aes256gcm
                && sessions[session].hello.hasArrived && !sessions[session].aes.isOpen,
            compresses: !codecs.isEmpty && mode != .off && mode != .receive,
            traffic: peers[Int(slot)].traffic,
            drops: peers[Int(slot)].drops)
    }
}
