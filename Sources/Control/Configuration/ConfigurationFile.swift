public import Keys

extension Configuration {
    /// Reads and parses a file; the interface is named like it.
    public static func load(
        _ path: String, from files: some FileSource = Disk()
    ) throws(FileFailure) -> (Configuration?, [Diagnostic]) {
        parse(text: try files.read(path), file: path, name: InterfaceName.stem(ofFile: path))
    }

    /// The private key, from the file or from the one it names.
    ///
    /// - Returns: the key, `nil` with an error among the diagnostics; and a warning for each file with a secret that
    ///   others may read, and for a peer that is this end itself.
    public func loadPrivateKey(from files: some FileSource = Disk()) -> (PrivateKey?, [Diagnostic]) {
        var diagnostics: [Diagnostic] = []
        let holdsSecret = peers.contains { $0.presharedKey != nil } || keyPath == nil
        if holdsSecret { diagnostics += Self.permissionWarning(file, files) }
        switch interface.privateKey {
        case .inline(let key): return (key, diagnostics)
        case .unset: return (nil, diagnostics)
        case .file: break
        }
        guard let path = keyPath else { return (nil, diagnostics) }
        diagnostics += Self.permissionWarning(path, files)
        let text: String
        do throws(FileFailure) {
            text = try files.read(path)
        } catch {
            diagnostics.append(
                Diagnostic(
                    .error, file: file, text: path, message: "PrivateKeyFile can't be read",
                    cure: "\(FileFailure.reason(error.code)); \"gatewayctl keygen\" makes one"))
            return (nil, diagnostics)
        }
        guard let key = PrivateKey(base64: text.trimmed) else {
            diagnostics.append(
                Diagnostic(
                    .error, file: path, message: "file holds no private key",
                    cure: "write 44 characters of base64, as \"gatewayctl genkey\" prints them"))
            return (nil, diagnostics)
        }
        if let mistake = publicKeyMistake(key, text: text.trimmed, path: path, files) {
            diagnostics.append(mistake)
            if mistake.severity == .error { return (nil, diagnostics) }
        }
        let ownKey = key.publicKey
        if peers.contains(where: { $0.publicKey == ownKey }) {
            diagnostics.append(Self.ownKeyWarning(file: file, line: nil))
        }
        return (key, diagnostics)
    }

    /// The mistake if the private key's file holds a public one: both are 32 bytes, and any 32 bytes can be either.
    private func publicKeyMistake(
        _ key: PrivateKey, text: Substring, path: String, _ files: some FileSource
    ) -> Diagnostic? {
        guard let written = PublicKey(text) else { return nil }
        let isKnown =
            peers.contains { $0.publicKey == written }
            || KeyFiles.publicKey(beside: path, from: files) == written
        if path.hasSuffix(".pub") || isKnown {
            return Diagnostic(
                .error, file: path, message: "file holds a public key",
                cure: "let PrivateKeyFile name the private one, as \"gatewayctl keygen\" writes it into NAME.key")
        }
        guard !key.isSpelt(text) else { return nil }
        return Diagnostic(
            .warning, file: path, message: Self.unclampedKey.message, cure: Self.unclampedKey.cure)
    }

    /// The warning about a key that was not made by `wg genkey` or one of its like. They leave some bits out that a public
    /// key has in fifteen of sixteen cases.
    static let unclampedKey = (
        message: "private key is none that wg genkey makes",
        cure: "make sure that it is not a public key; \"gatewayctl genkey\" makes a private one"
    )

    /// Writes another private key to where this one came from: the config file's line, or the key file. `NAME.key` and
    /// `NAME.pub` beside the config file, as `gatewayctl keygen` makes them, follow if they hold the same key. Each file is
    /// replaced in one step and keeps its mode, and if one can't be, all stay as they were. The configuration in memory
    /// stays as it is.
    public func storePrivateKey(_ key: PrivateKey) throws(FileFailure) {
        var changes: [FileChange] = []
        switch interface.privateKey {
        case .unset: return
        case .file:
            guard let path = keyPath else { return }
            changes.append(.replace(path, text: KeyFiles.replacing(in: try TextFile.read(path), with: key.base64)))
            if let publicPath = KeyFiles.publicPath(beside: path), TextFile.exists(publicPath) {
                changes.append(.replace(publicPath, text: "\(key.publicKey)\n"))
            }
        case .inline(let old):
            let text = try TextFile.read(file)
            changes.append(.replace(file, text: PrivateKeyLine.replacing(in: text, with: key)))
            changes += KeyFiles.changes(beside: file, from: old.publicKey, to: key)
        }
        try TextFile.change(changes)
    }

    /// Where the private key is that is to take the place of this one, while the other ends are told of it (`gatewayctl key rotate`).
    private var nextKeyPath: String { KeyFiles.nextPath(beside: file) }

    /// That key; `nil` if there is none.
    public func loadNextPrivateKey(from files: some FileSource) -> PrivateKey? {
        guard let text = try? files.read(nextKeyPath) else { return nil }
        return PrivateKey(base64: text.trimmed)
    }

    /// Writes that key down, or takes it away.
    public func storeNextPrivateKey(_ key: PrivateKey?) throws(FileFailure) {
        TextFile.remove(nextKeyPath)
        if let key { try TextFile.create(nextKeyPath, mode: 0o600, text: key.base64 + "\n") }
    }

    /// The path of the key file as the process can open it; `nil` if the key is in the config file.
    public var keyPath: String? {
        guard case .file(let path) = interface.privateKey else { return nil }
        return path.hasPrefix("/") ? path : "\(TextFile.folder(of: file))/\(path)"
    }

    private static func permissionWarning(_ path: String, _ files: some FileSource) -> [Diagnostic] {
        guard files.isReadableByOthers(path) == true else { return [] }
        return [
            Diagnostic(
                .warning, file: path, message: "file holds a secret and others may read it",
                cure: "chmod 600 \(path)")
        ]
    }
}

/// The line of a config file that holds the private key.
enum PrivateKeyLine {
    /// The text with another key there, all else as it was; a text without such a line gets one after `[Interface]`.
    static func replacing(in text: String, with key: PrivateKey) -> String {
        var lines = ConfigurationLine.rawLines(of: text).map { String($0) }
        var section: ConfigurationSection?
        var header: Int?
        for index in lines.indices {
            switch ConfigurationLine.content(of: lines[index][...]) {
            case .section(let text):
                section = ConfigurationSection(header: text)
                if section == .interface { header = header ?? index }
            case .entry(let name, _) where section == .interface && ConfigurationKey(written: name) == .privateKey:
                lines[index] = replacingValue(of: lines[index], with: key)
                return lines.joined(separator: "\n")
            default: break
            }
        }
        if let header { lines.insert("PrivateKey = \(key.base64)", at: header + 1) }
        return lines.joined(separator: "\n")
    }

    /// Everything but the value stays.
    private static func replacingValue(of line: String, with key: PrivateKey) -> String {
        guard let equals = line.firstIndex(of: "=") else { return line }
        let value = line[line.index(after: equals)...].prefix { $0 != "#" }.trimmed
        guard !value.isEmpty else { return line[...equals] + " " + key.base64 + line[line.index(after: equals)...] }
        return line[..<value.startIndex] + key.base64 + line[value.endIndex...]
    }
}
