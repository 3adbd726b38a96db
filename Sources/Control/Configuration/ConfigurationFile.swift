public import Keys

extension Configuration {
    /// Reads and parses a file; the interface is named like it.
    public static func load(_ path: String) throws(FileFailure) -> (Configuration?, [Diagnostic]) {
        parse(text: try TextFile.read(path), file: path, name: InterfaceName.stem(ofFile: path))
    }

    /// The private key, from the file or from the one it names.
    ///
    /// - Returns: the key, `nil` with an error among the diagnostics; and a warning for each file with a secret that
    ///   others may read, and for a peer that is this end itself.
    public func loadPrivateKey() -> (PrivateKey?, [Diagnostic]) {
        var diagnostics: [Diagnostic] = []
        let holdsSecret = peers.contains { $0.presharedKey != nil } || keyPath == nil
        if holdsSecret { diagnostics += Self.permissionWarning(file) }
        switch interface.privateKey {
        case .inline(let key): return (key, diagnostics)
        case .unset: return (nil, diagnostics)
        case .file: break
        }
        guard let path = keyPath else { return (nil, diagnostics) }
        diagnostics += Self.permissionWarning(path)
        let text: String
        do throws(FileFailure) {
            text = try TextFile.read(path)
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
        let ownKey = key.publicKey
        if peers.contains(where: { $0.publicKey == ownKey }) {
            diagnostics.append(Self.ownKeyWarning(file: file, line: nil))
        }
        return (key, diagnostics)
    }

    /// Writes another private key to where this one came from: the config file's line, or the key file. The file is
    /// replaced in one step and keeps its mode. The configuration in memory stays as it is.
    public func storePrivateKey(_ key: PrivateKey) throws(FileFailure) {
        if case .unset = interface.privateKey { return }
        if let path = keyPath {
            let text = try TextFile.read(path)
            let old = text.trimmed
            try TextFile.replace(path, text: text[..<old.startIndex] + key.base64 + text[old.endIndex...])
            try storePublicKey(key.publicKey, beside: path)
        } else {
            let text = try TextFile.read(file)
            try TextFile.replace(file, text: PrivateKeyLine.replacing(in: text, with: key))
        }
    }

    /// `NAME.pub` follows `NAME.key`, if it is there.
    private func storePublicKey(_ key: PublicKey, beside path: String) throws(FileFailure) {
        let publicPath = path.hasSuffix(".key") ? path.dropLast(4) + ".pub" : ""
        guard TextFile.exists(publicPath) else { return }
        try TextFile.replace(publicPath, text: "\(key)\n")
    }

    /// The path of the key file as the process can open it; `nil` if the key is in the config file.
    public var keyPath: String? {
        guard case .file(let path) = interface.privateKey else { return nil }
        return path.hasPrefix("/") ? path : "\(TextFile.folder(of: file))/\(path)"
    }

    private static func permissionWarning(_ path: String) -> [Diagnostic] {
        guard TextFile.isReadableByOthers(path) == true else { return [] }
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
