/// The two sections of a config file.
enum ConfigurationSection: String, CaseIterable {
    case interface = "[Interface]"
    case peer = "[Peer]"

    /// Finds a section's header however its letters are written and spaced.
    init?(header text: some StringProtocol) {
        let name = text.withoutWhitespace.lowercased()
        guard let section = Self.allCases.first(where: { $0.rawValue.lowercased() == name }) else { return nil }
        self = section
    }
}

/// Every key that a config file may have.
public enum ConfigurationKey: String, CaseIterable, Sendable {
    // WireGuard's and wg-quick's, Interface.
    case privateKey = "PrivateKey"
    case listenPort = "ListenPort"
    case fwmark = "FwMark"
    case address = "Address"
    case dns = "DNS"
    case mtu = "MTU"
    case table = "Table"
    case preUp = "PreUp"
    case postUp = "PostUp"
    case preDown = "PreDown"
    case postDown = "PostDown"
    case saveConfig = "SaveConfig"
    // Keys of our own in [Interface].
    case privateKeyFile = "PrivateKeyFile"
    case mode = "Mode"
    case bridge = "Bridge"
    case hub = "Hub"
    case arpProxy = "ARPProxy"
    case offload = "Offload"
    case metricsListen = "MetricsListen"
    case linkOverhead = "LinkOverhead"
    case clampMSS = "ClampMSS"
    // WireGuard's, Peer.
    case publicKey = "PublicKey"
    case presharedKey = "PresharedKey"
    case allowedIPs = "AllowedIPs"
    case endpoint = "Endpoint"
    case persistentKeepalive = "PersistentKeepalive"
    // Keys of our own in [Peer].
    case name = "Name"
    case publicKeyNext = "PublicKeyNext"
    case presharedKeyNext = "PresharedKeyNext"
    case presharedKeyPrevious = "PresharedKeyPrevious"
    case compression = "Compression"
    case compressionScope = "CompressionScope"
    case compressionSkip = "CompressionSkip"
    case compressionOnly = "CompressionOnly"
    case historyMemory = "HistoryMemory"
    case cipher = "Cipher"
    case allowedMACs = "AllowedMACs"
    case downRate = "DownRate"
    case repair = "Repair"
    case history = "History"
    case historyScope = "HistoryScope"
    case parity = "Parity"
    case postQuantum = "PostQuantum"
    case postQuantumRekey = "PostQuantumRekey"
    // Ours, both.
    case rate = "Rate"

    /// Finds a key however its letters are written; `wg` drops all white space from it, so we do.
    init?(written text: some StringProtocol) {
        let name = text.withoutWhitespace.lowercased()
        guard let key = Self.allCases.first(where: { $0.rawValue.lowercased() == name }) else { return nil }
        self = key
    }

    var section: ConfigurationSection {
        switch self {
        case .privateKey, .listenPort, .fwmark, .address, .dns, .mtu, .table, .preUp, .postUp, .preDown, .postDown,
            .saveConfig, .privateKeyFile, .mode, .bridge, .hub, .arpProxy, .offload, .metricsListen, .linkOverhead,
            .clampMSS:
            .interface
        case .publicKey, .presharedKey, .allowedIPs, .endpoint, .persistentKeepalive, .name, .compression,
            .compressionScope, .compressionSkip, .compressionOnly, .historyMemory, .rate, .downRate, .repair, .parity,
            .history, .historyScope, .cipher, .allowedMACs, .presharedKeyNext, .presharedKeyPrevious,
            .publicKeyNext, .postQuantum, .postQuantumRekey:
            .peer
        }
    }

    /// Whether it may stand in a section.
    func belongs(in section: ConfigurationSection?) -> Bool {
        self == .rate || self == .historyMemory ? section != nil : section == self.section
    }

    /// Whether several lines of it in one section add up.
    var mayRepeat: Bool {
        switch self {
        case .address, .dns, .allowedIPs, .preUp, .postUp, .preDown, .postDown, .compressionSkip, .compressionOnly,
            .allowedMACs:
            true
        default: false
        }
    }

    /// Whether its value must not be shown.
    var isSecret: Bool {
        switch self {
        case .privateKey, .presharedKey, .presharedKeyNext, .presharedKeyPrevious: true
        default: false
        }
    }

    /// The known key that a misspelt one was probably meant to be; `nil` if it is like none.
    static func nearest(to text: some StringProtocol) -> ConfigurationKey? {
        let name = String(text.withoutWhitespace.lowercased().prefix(64))
        var best: (key: ConfigurationKey, distance: Int)?
        for key in allCases {
            let distance = editDistance(Array(name.utf8), Array(key.rawValue.lowercased().utf8))
            if distance < best?.distance ?? Int.max { best = (key, distance) }
        }
        if let best, best.distance <= max(1, name.utf8.count / 3) { return best.key }
        // "Keepalive" is far from every key, and still says which one it means.
        return name.utf8.count < 4 ? nil : allCases.first { $0.rawValue.lowercased().contains(name) }
    }
}

/// The number of insertions, deletions and replacements that make one text the other (Levenshtein).
func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let replaced = diagonal + (x == y ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
        }
    }
    return row[b.count]
}

extension StringProtocol {
    var withoutWhitespace: String { String(filter { !$0.isWhitespace }) }

    /// The text without the white space around it, and the byte order mark that some editors begin a file with.
    var trimmed: SubSequence {
        let head = drop { $0.isWhitespace || $0 == "\u{FEFF}" }
        guard let last = head.lastIndex(where: { !$0.isWhitespace }) else { return head.prefix(0) }
        return head[...last]
    }
}
