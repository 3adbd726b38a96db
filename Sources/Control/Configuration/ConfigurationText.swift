import Addresses
import Keys

extension Configuration {
    /// The configuration as a file that reads back to the same: WireGuard's keys as they are, ours in the form
    /// `#: Key = value`, so that `wg` and wg-quick read it too. Values that are the default are left out.
    ///
    /// It holds the private key in clear if the configuration does: for a file of mode 0600, not for a log.
    /// - Parameter comment: lines for the head, without `#`.
    public func text(comment: [String] = []) -> String {
        var lines = comment.map { $0.isEmpty ? "#" : "# \($0)" }
        if !lines.isEmpty { lines.append("") }
        lines += interface.lines
        for peer in peers { lines += [""] + peer.lines }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Configuration.Interface {
    /// The largest packet inside that fits into a datagram of 1500 bytes, over IPv4.
    private static let wireGuardMTU = 1440

    /// The section as lines.
    var lines: [String] {
        var lines = ["[Interface]"]
        switch privateKey {
        case .inline(let key): lines.add(.privateKey, key.base64)
        case .file(let path): lines.add(ours: .privateKeyFile, path)
        case .unset: break
        }
        if listenPort != 0 { lines.add(.listenPort, "\(listenPort)") }
        if fwmark != 0 { lines.add(.fwmark, "0x\(String(fwmark, radix: 16))") }
        lines.add(.address, list: addresses.map(\.description))
        lines.add(.dns, list: dnsServers.map(\.description) + dnsSearch)
        if let mtu {
            // Plain WireGuard has no room for more on an Ethernet.
            if mtu > Self.wireGuardMTU { lines.add(ours: .mtu, "\(mtu)") } else { lines.add(.mtu, "\(mtu)") }
        }
        if table != .auto { lines.add(.table, "\(table)") }
        for command in preUp { lines.add(.preUp, command) }
        for command in postUp { lines.add(.postUp, command) }
        for command in preDown { lines.add(.preDown, command) }
        for command in postDown { lines.add(.postDown, command) }
        if savesConfiguration { lines.add(.saveConfig, "true") }
        if mode != .tun { lines.add(ours: .mode, mode.rawValue) }
        if let bridge { lines.add(ours: .bridge, "\(bridge)") }
        if isHub { lines.add(ours: .hub, "true") }
        if answersNeighbours { lines.add(ours: .arpProxy, "on") }
        if offloads.count < Configuration.Offload.allCases.count {
            let kept = Configuration.Offload.allCases.filter { offloads.contains($0) }.map(\.rawValue)
            lines.add(ours: .offload, kept.isEmpty ? "off" : kept.joined(separator: " "))
        }
        if let metricsListen { lines.add(ours: .metricsListen, "\(metricsListen)") }
        if let rate { lines.add(ours: .rate, "\(rate)") }
        if historyMemory != 64 { lines.add(ours: .historyMemory, "\(historyMemory)M") }
        if linkOverhead != 14 { lines.add(ours: .linkOverhead, "\(linkOverhead)") }
        switch clampMSS {
        case .auto: break
        case .off: lines.add(ours: .clampMSS, "off")
        case .at(let most): lines.add(ours: .clampMSS, "\(most)")
        }
        return lines
    }
}

extension Configuration.Peer {
    /// The section as lines.
    var lines: [String] {
        var lines = ["[Peer]"]
        if let name { lines.add(ours: .name, name) }
        lines.add(.publicKey, "\(publicKey)")
        if let publicKeyNext { lines.add(ours: .publicKeyNext, "\(publicKeyNext)") }
        if let presharedKey { lines.add(.presharedKey, presharedKey.base64) }
        if let presharedKeyNext { lines.add(ours: .presharedKeyNext, presharedKeyNext.base64) }
        if let presharedKeyPrevious { lines.add(ours: .presharedKeyPrevious, presharedKeyPrevious.base64) }
        lines.add(.allowedIPs, list: allowedIPs.map(\.description))
        if let endpoint { lines.add(.endpoint, "\(endpoint)") }
        if let persistentKeepalive {
            lines.add(.persistentKeepalive, "\(persistentKeepalive.components.seconds)")
        }
        if compression != .off { lines.add(ours: .compression, compression.rawValue) }
        if compressionScope != .flow { lines.add(ours: .compressionScope, compressionScope.rawValue) }
        if let compressionSkip {
            lines.add(ours: .compressionSkip, compressionSkip.map(\.description).joined(separator: ", "))
        }
        if let compressionOnly {
            lines.add(ours: .compressionOnly, compressionOnly.map(\.description).joined(separator: ", "))
        }
        if cipher != .chacha20poly1305 { lines.add(ours: .cipher, cipher.rawValue) }
        if let allowedMACs {
            lines.add(ours: .allowedMACs, allowedMACs.map(\.description).joined(separator: ", "))
        }
        if let rate { lines.add(ours: .rate, "\(rate)") }
        if let autoRate { lines.add(ours: .rate, "\(autoRate)") }
        if repair != .auto { lines.add(ours: .repair, repair.rawValue) }
        if history != .off { lines.add(ours: .history, history.rawValue) }
        if historyScope != .flow { lines.add(ours: .historyScope, historyScope.rawValue) }
        if parity != .auto { lines.add(ours: .parity, "\(parity)") }
        if postQuantum != .off { lines.add(ours: .postQuantum, postQuantum.rawValue) }
        if postQuantumRekey != Configuration.Peer.usualPostQuantumRekey {
            lines.add(ours: .postQuantumRekey, "\(postQuantumRekey.components.seconds)")
        }
        if let downRate { lines.add(ours: .downRate, "\(downRate)") }
        return lines
    }
}

extension [String] {
    fileprivate mutating func add(_ key: ConfigurationKey, _ value: String) {
        append("\(key.rawValue) = \(value)")
    }

    fileprivate mutating func add(_ key: ConfigurationKey, list: [String]) {
        if !list.isEmpty { add(key, list.joined(separator: ", ")) }
    }

    fileprivate mutating func add(ours key: ConfigurationKey, _ value: String) {
        append("#: \(key.rawValue) = \(value)")
    }
}
