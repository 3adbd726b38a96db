public import Keys

/// A key of `[Interface]` that has another value than before.
public struct ChangedKey: Sendable, Equatable {
    public let key: ConfigurationKey
    /// What a person reads: the key, the value before and the value now; secrets and commands without.
    public let text: String
}

/// A peer that came, went or has other values than before.
public struct ChangedPeer: Sendable {
    public enum Kind: Sendable, Equatable {
        case added, removed
        /// The keys that changed.
        case changed([String])
    }

    public let publicKey: PublicKey
    public let kind: Kind
    /// `peer far: AllowedIPs, Endpoint`
    public let text: String
}

extension Configuration {
    /// The keys of `[Interface]` in which this differs from `old`, as the documentation spells them, in the order in which a
    /// file is written.
    public func changedKeys(since old: Configuration) -> [ChangedKey] {
        let (now, before) = (Self.values(interface.lines), Self.values(old.interface.lines))
        return ConfigurationKey.allCases.compactMap { key in
            let (value, last) = (now[key] ?? [], before[key] ?? [])
            guard value != last else { return nil }
            if Self.withoutValues.contains(key) { return ChangedKey(key: key, text: key.rawValue) }
            let word = { (values: [String]) in values.isEmpty ? "(default)" : values.joined(separator: ", ") }
            return ChangedKey(key: key, text: "\(key.rawValue) \(word(last)) → \(word(value))")
        }
    }

    /// The peers that came, went or changed, in the order of the file, those that went at the end.
    public func changedPeers(since old: Configuration) -> [ChangedPeer] {
        let known = Dictionary(old.peers.map { ($0.publicKey, $0) }, uniquingKeysWith: { first, _ in first })
        let kept = Set(peers.map(\.publicKey))
        let here = peers.compactMap { peer -> ChangedPeer? in
            let name = peer.name ?? "\(peer.publicKey.description.prefix(8))…"
            guard let last = known[peer.publicKey] else {
                return ChangedPeer(publicKey: peer.publicKey, kind: .added, text: "peer \(name): new")
            }
            let (now, before) = (Self.values(peer.lines), Self.values(last.lines))
            let keys = ConfigurationKey.allCases.filter { now[$0] != before[$0] }.map(\.rawValue)
            guard !keys.isEmpty else { return nil }
            return ChangedPeer(
                publicKey: peer.publicKey, kind: .changed(keys), text: "peer \(name): \(keys.joined(separator: ", "))")
        }
        let gone = old.peers.filter { !kept.contains($0.publicKey) }.map { peer in
            ChangedPeer(
                publicKey: peer.publicKey, kind: .removed,
                text: "peer \(peer.name ?? "\(peer.publicKey.description.prefix(8))…"): removed")
        }
        return here + gone
    }

    private static let withoutValues: Set<ConfigurationKey> = [
        .privateKey, .privateKeyFile, .preUp, .postUp, .preDown, .postDown,
    ]

    private static func values(_ lines: [String]) -> [ConfigurationKey: [String]] {
        var values: [ConfigurationKey: [String]] = [:]
        for line in lines {
            let words = (line.hasPrefix("#: ") ? line.dropFirst(3) : line[...]).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, let key = ConfigurationKey(rawValue: String(words[0].trimmed)) else { continue }
            values[key, default: []].append(String(words[1].trimmed))
        }
        return values
    }
}
