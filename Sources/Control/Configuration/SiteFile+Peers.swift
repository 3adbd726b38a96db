import Keys

// Changes to a peer that stands in the file. Everything else stays as it is, byte by byte: order, comments, spaces.

extension SiteFile {
    /// The change that takes a peer out, by name or public key: its header and its keys, and what stands between them. Comments
    /// behind its last key stay.
    public func removing(_ peer: String) throws(Failure) -> FileChange {
        let section = try section(of: peer)
        var lines = section.lines
        var first = section.header
        // An empty line before it goes along, so that none is left over.
        if first > 0, section.end < lines.count, lines[first - 1].allSatisfy(\.isWhitespace) { first -= 1 }
        lines.removeSubrange(first...section.end)
        return try change(to: lines, "\(path) can't lose the peer \(peer)")
    }

    /// The change that gives keys of a peer other values; an empty one takes the key away.
    public func setting(
        _ values: [(key: String, value: String)], of peer: String, takesSecrets: Bool = false
    ) throws(Failure) -> FileChange {
        var section = try section(of: peer)
        for (name, value) in values {
            guard let key = ConfigurationKey(written: name), key.belongs(in: .peer) else {
                let meant = ConfigurationKey.nearest(to: name).map { "did you mean \($0.rawValue)?" }
                throw Failure(
                    .usage,
                    "\"\(Diagnostic.printable(name))\" is no key of a peer; \(meant ?? "docs/configuration.md has all")"
                )
            }
            guard takesSecrets || !key.isSecret else {
                throw Failure(
                    .usage,
                    "\(key.rawValue) is a secret, which has no place in arguments: gatewayctl psk set takes it from a file"
                )
            }
            section.set(key, value)
        }
        return try change(to: section.lines, "\(path) can't have that")
    }

    private func change(to lines: [String], _ what: String) throws(Failure) -> FileChange {
        let changed = lines.joined(separator: "\n")
        let (configuration, diagnostics) = Configuration.parse(
            text: changed, file: path, name: "\(self.configuration.interface.name)")
        guard configuration != nil else { throw Self.refusal(diagnostics, what) }
        return .replace(path, text: changed)
    }

    private func section(of peer: String) throws(Failure) -> PeerSection {
        let bytes: [UInt8]
        do throws(FileFailure) { bytes = try TextFile.readBytes(path) } catch { throw Failure(error) }
        guard Array(text.utf8) == bytes else {
            throw Failure(
                .data, "\(path) holds something else than UTF-8, which would not stay as it is: change it by hand")
        }
        guard let found = PeerSection.all(in: text).first(where: { $0.isOf(peer) }) else {
            throw Failure(.data, "\(path) has no peer \(Diagnostic.printable(peer)); nothing was changed")
        }
        return found
    }
}

/// A `[Peer]` section in the lines of a file.
private struct PeerSection {
    var lines: [String]
    let header: Int
    /// Its last line that says something.
    private(set) var end: Int

    static func all(in text: String) -> [PeerSection] {
        let lines = ConfigurationLine.rawLines(of: text).map { String($0) }
        var found: [PeerSection] = []
        var isPeer = false
        for (index, line) in lines.enumerated() {
            switch ConfigurationLine.content(of: line[...]) {
            case .section(let header):
                isPeer = ConfigurationSection(header: header) == .peer
                if isPeer { found.append(PeerSection(lines: lines, header: index, end: index)) }
            case .entry where isPeer, .unreadable where isPeer: found[found.count - 1].end = index
            default: break
            }
        }
        return found
    }

    /// Whether it is that of the peer with this name or public key.
    func isOf(_ peer: String) -> Bool {
        (header...end).contains { index in
            guard case .entry(let key, let value) = ConfigurationLine.content(of: lines[index][...]) else {
                return false
            }
            switch ConfigurationKey(written: key) {
            case .name: return value == peer
            case .publicKey: return value.withoutWhitespace == peer || PublicKey(value)?.description == peer
            default: return false
            }
        }
    }

    /// Gives a key another value: in the line where it stands, else behind the last one. Further lines of it go.
    mutating func set(_ key: ConfigurationKey, _ value: String) {
        var places = (header...end).filter { index in
            guard case .entry(let name, _) = ConfigurationLine.content(of: lines[index][...]) else { return false }
            return ConfigurationKey(written: name) == key
        }
        if !value.isEmpty {
            if let first = places.first {
                lines[first] = Self.replacingValue(of: lines[first], with: value)
                places.removeFirst()
            } else {
                let lineEnd = lines[end].hasSuffix("\r") ? "\r" : ""
                lines.insert("\(key.isOurs ? "#: " : "")\(key.rawValue) = \(value)\(lineEnd)", at: end + 1)
                end += 1
            }
        }
        for place in places.reversed() {
            lines.remove(at: place)
            end -= 1
        }
    }

    /// Everything but the value stays.
    private static func replacingValue(of line: String, with value: String) -> String {
        guard let equals = line.firstIndex(of: "=") else { return line }
        let behind = line[line.index(after: equals)...]
        let old = behind.prefix { $0 != "#" }.trimmed
        guard !old.isEmpty else { return line[...equals] + " " + value + behind }
        return line[..<old.startIndex] + value + line[old.endIndex...]
    }
}

extension ConfigurationKey {
    /// Whether `wg` and wg-quick do not know it, so that it stands behind `#:`.
    var isOurs: Bool {
        switch self {
        case .publicKey, .presharedKey, .allowedIPs, .endpoint, .persistentKeepalive: false
        default: true
        }
    }
}
