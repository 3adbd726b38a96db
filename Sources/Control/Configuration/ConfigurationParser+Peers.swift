import Addresses
import Keys

extension ConfigurationParser {
    /// Types one `[Peer]` section; `nil` if it has no public key.
    mutating func readPeer(_ section: Section) -> Configuration.Peer? {
        let written = section.first(.publicKey)
        var publicKey: PublicKey?
        if let written {
            publicKey = value(written.line) { () throws(Rejection) in
                try ConfigurationValue.publicKey(written.value)
            }
        } else {
            report(.error, line: section.line, "peer without PublicKey", cure: "add PublicKey = the other end's key")
        }
        // Without a key the rest is still checked, with a stand-in that goes nowhere.
        var peer = Configuration.Peer(publicKey: publicKey ?? PublicKey(bytes: InlineArray(repeating: 0)))
        for entry in section.entries { apply(entry, to: &peer) }
        return publicKey == nil ? nil : peer
    }

    private mutating func apply(_ entry: Entry, to peer: inout Configuration.Peer) {
        let text = entry.value
        switch entry.key {
        case .presharedKey:
            let key = value(entry.line) { () throws(Rejection) in try ConfigurationValue.presharedKey(text) }
            peer.presharedKey = key ?? nil
        case .publicKeyNext:
            peer.publicKeyNext = value(entry.line) { () throws(Rejection) in try ConfigurationValue.publicKey(text) }
        case .presharedKeyNext:
            let key = value(entry.line) { () throws(Rejection) in try ConfigurationValue.presharedKey(text) }
            peer.presharedKeyNext = key ?? nil
        case .presharedKeyPrevious:
            let key = value(entry.line) { () throws(Rejection) in try ConfigurationValue.presharedKey(text) }
            peer.presharedKeyPrevious = key.map { $0 ?? .zeros }
        case .allowedIPs:
            let prefixes = value(entry.line) { () throws(Rejection) in try ConfigurationValue.prefixes(text) }
            for prefix in prefixes ?? [] where !peer.allowedIPs.contains(prefix) { peer.allowedIPs.append(prefix) }
        case .endpoint:
            peer.endpoint = value(entry.line) { () throws(Rejection) in try ConfigurationValue.endpoint(text) }
        case .persistentKeepalive:
            let interval = value(entry.line) { () throws(Rejection) in try ConfigurationValue.keepalive(text) }
            peer.persistentKeepalive = interval ?? nil
        case .name:
            peer.name = value(entry.line) { () throws(Rejection) in try ConfigurationValue.name(text) }
        case .compression:
            let choice: Configuration.Compression? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .compression)
            }
            peer.compression = choice ?? peer.compression
        case .compressionScope:
            let choice: Configuration.CompressionScope? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .compressionScope)
            }
            peer.compressionScope = choice ?? peer.compressionScope
        case .compressionSkip:
            peer.compressionSkip = (peer.compressionSkip ?? []) + readSelectors(entry)
        case .compressionOnly:
            peer.compressionOnly = (peer.compressionOnly ?? []) + readSelectors(entry)
        case .cipher:
            let choice: Configuration.Cipher? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .cipher)
            }
            peer.cipher = choice ?? peer.cipher
        case .allowedMACs:
            let addresses = value(entry.line) { () throws(Rejection) in try ConfigurationValue.macAddresses(text) }
            var all = peer.allowedMACs ?? []
            for address in addresses ?? [] where !all.contains(address) { all.append(address) }
            peer.allowedMACs = all
        case .rate:
            if text.lowercased().hasPrefix("auto") {
                peer.autoRate = value(entry.line) { () throws(Rejection) in try ConfigurationValue.autoRate(text) }
            } else {
                let rate = value(entry.line) { () throws(Rejection) in try ConfigurationValue.rate(text, of: .rate) }
                peer.rate = rate ?? nil
            }
        case .repair:
            let choice: Configuration.Repair? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .repair)
            }
            peer.repair = choice ?? peer.repair
        case .history:
            let choice: Configuration.History? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .history)
            }
            peer.history = choice ?? peer.history
        case .historyScope:
            let choice: Configuration.HistoryScope? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .historyScope)
            }
            peer.historyScope = choice ?? peer.historyScope
            if peer.historyScope != .flow {
                report(
                    .warning, line: entry.line, text: "\(entry.key.rawValue) = \(text)",
                    "lengths of one flow tell of what is in another",
                    cure: "use flow, unless all who use the tunnel may know what the others send")
            }
        case .parity:
            let parity = value(entry.line) { () throws(Rejection) in try ConfigurationValue.parity(text) }
            peer.parity = parity ?? peer.parity
        case .postQuantum:
            let choice: Configuration.PostQuantum? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .postQuantum)
            }
            peer.postQuantum = choice ?? peer.postQuantum
        case .postQuantumRekey:
            let interval = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.postQuantumRekey(text)
            }
            peer.postQuantumRekey = interval ?? peer.postQuantumRekey
        case .downRate:
            let rate = value(entry.line) { () throws(Rejection) in try ConfigurationValue.rate(text, of: .downRate) }
            peer.downRate = rate ?? nil
        default: break  // the public key is read before; what isn't built yet has no place here
        }
    }

    private mutating func readSelectors(_ entry: Entry) -> [TrafficSelector] {
        let selectors = value(entry.line) { () throws(Rejection) in
            try ConfigurationValue.selectors(entry.value, of: entry.key)
        }
        return selectors ?? []
    }
}

// MARK: - What two sections may not share

extension ConfigurationParser {
    /// Compares the peers with each other and with this end. `peers` and `sections` go together.
    mutating func compare(
        _ interface: Configuration.Interface?, _ peers: [Configuration.Peer?], _ sections: [Section]
    ) {
        var ownKey: PublicKey?
        if case .inline(let key) = interface?.privateKey { ownKey = key.publicKey }
        var keys: [PublicKey: Section] = [:]
        var names: [String: Section] = [:]
        for (peer, section) in zip(peers, sections) {
            guard let peer else { continue }
            let line = section.first(.publicKey)?.line ?? section.line
            if peer.publicKey == ownKey { report(Configuration.ownKeyWarning(file: file, line: line)) }
            if let other = keys[peer.publicKey] {
                report(
                    .error, line: line, text: "\(peer.publicKey)", "PublicKey of two peers",
                    cure: "the peer in line \(other.line) has it already; make the two one")
            }
            keys[peer.publicKey] = keys[peer.publicKey] ?? section
            guard let name = peer.name else { continue }
            if let other = names[name] {
                report(
                    .error, line: section.first(.name)?.line ?? section.line, text: name, "Name of two peers",
                    cure: "the peer in line \(other.line) has it already; choose another")
            }
            names[name] = names[name] ?? section
        }
        compareAllowedIPs(sections)
        compareMode(sections)
        if let interface { compareEndpoints(interface, sections) }
    }

    private mutating func compareAllowedIPs(_ sections: [Section]) {
        var owners: [Prefix: (entry: Int, section: Int)] = [:]
        for section in sections {
            for entry in section.entries where entry.key == .allowedIPs {
                // A value that is refused has been reported.
                for prefix in (try? ConfigurationValue.prefixes(entry.value)) ?? [] {
                    guard let owner = owners[prefix] else {
                        owners[prefix] = (entry.line, section.line)
                        continue
                    }
                    guard owner.section != section.line else { continue }
                    report(
                        .error, line: entry.line, text: "\(prefix)", "AllowedIPs of two peers",
                        cure: "line \(owner.entry) gives it to the peer in line \(owner.section), this line to the "
                            + "peer in line \(section.line); remove one of them")
                }
            }
        }
    }
}

extension Configuration {
    /// A peer that is this end itself never answers.
    static func ownKeyWarning(file: String, line: Int?) -> Diagnostic {
        Diagnostic(
            .warning, file: file, line: line, message: "PublicKey is this end's own",
            cure: "write the other end's key; this peer will never answer")
    }
}
