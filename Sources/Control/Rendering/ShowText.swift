/// `gatewayctl show`: to the byte what `wg show` prints for the same interface; of an Ethernet tunnel the addresses that
/// were learned in the place of AllowedIPs, which it has none of.
public enum ShowText {
    /// - Parameter now: seconds since 1970.
    public static func render(_ interfaces: [InterfaceStatistics], now: Int64, ink: Ink = .none) -> String {
        interfaces.map { render($0, now: now, ink: ink) }.joined(separator: "\n")
    }

    private static func render(_ interface: InterfaceStatistics, now: Int64, ink: Ink) -> String {
        var text = ink.reset
        text += "\(ink.paint("interface", .green, bold: true)): \(ink.paint(interface.interface, .green))\n"
        func add(_ label: String, _ value: String) { text += "  \(ink.bold(label)): \(value)\n" }
        if let key = interface.publicKey {
            add("public key", key)
            add("private key", "(hidden)")
        }
        if interface.listenPort != 0 { add("listening port", "\(interface.listenPort)") }
        if interface.fwmark != 0 { add("fwmark", "0x\(String(interface.fwmark, radix: 16))") }
        for peer in newestFirst(interface.peers) {
            text += "\n" + render(peer, now: now, ink: ink)
        }
        return text
    }

    private static func render(_ peer: PeerStatistics, now: Int64, ink: Ink) -> String {
        var text = "\(ink.paint("peer", .yellow, bold: true)): \(ink.paint(peer.publicKey, .yellow))\n"
        func add(_ label: String, _ value: String) { text += "  \(ink.bold(label)): \(value)\n" }
        if peer.presharedKey { add("preshared key", "(hidden)") }
        if let endpoint = peer.endpoint { add("endpoint", endpoint) }
        let slash = ink.paint("/", .cyan)
        let prefixes = peer.allowedIPs.map { prefix in
            prefix.split(separator: "/", maxSplits: 1).joined(separator: slash)
        }
        if let addresses = peer.addresses {
            add("addresses", addresses.isEmpty ? "(none)" : addresses.joined(separator: ", "))
        } else {
            add("allowed ips", prefixes.isEmpty ? "(none)" : prefixes.joined(separator: ", "))
        }
        if peer.latestHandshake != 0 {
            add("latest handshake", Quantities.ago(peer.latestHandshake, now: now, ink: ink))
        }
        if peer.rxBytes != 0 || peer.txBytes != 0 {
            let received = Quantities.bytes(peer.rxBytes, ink: ink)
            add("transfer", "\(received) received, \(Quantities.bytes(peer.txBytes, ink: ink)) sent")
        }
        if peer.persistentKeepalive != 0 {
            add("persistent keepalive", "every \(Quantities.duration(UInt64(peer.persistentKeepalive), ink: ink))")
        }
        return text
    }

    /// Latest handshake first, those never seen last, else as they came.
    static func newestFirst(_ peers: [PeerStatistics]) -> [PeerStatistics] {
        let ordered = peers.enumerated().sorted { a, b in
            if a.element.latestHandshake == b.element.latestHandshake { return a.offset < b.offset }
            return a.element.latestHandshake > b.element.latestHandshake
        }
        return ordered.map(\.element)
    }
}
