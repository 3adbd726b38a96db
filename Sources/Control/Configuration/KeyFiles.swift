import Keys

/// The key files of a site: `NAME.key` with the private key and `NAME.pub` with the public one.
enum KeyFiles {
    /// The file with the public half of the key in `path`; `nil` if that isn't called `NAME.key`.
    static func publicPath(beside path: String) -> String? {
        path.hasSuffix(".key") ? path.dropLast(4) + ".pub" : nil
    }

    /// The file with the private key that is to be the next one.
    static func nextPath(beside config: String) -> String {
        (config.hasSuffix(".conf") ? String(config.dropLast(5)) : config) + ".next.key"
    }

    /// The key there, if there is such a file with a key.
    static func publicKey(beside path: String, from files: some FileSource) -> PublicKey? {
        guard let path = publicPath(beside: path), let text = try? files.read(path) else { return nil }
        return PublicKey(text.trimmed)
    }

    /// The text with another key; what stands around it stays.
    static func replacing(in text: String, with key: String) -> String {
        let old = text.trimmed
        return text[..<old.startIndex] + key + text[old.endIndex...]
    }

    /// The files that have to change beside a config file that holds its key itself: the files named like it, as far as they
    /// hold the old key. Others are somebody else's.
    static func changes(beside config: String, from old: PublicKey, to key: PrivateKey) -> [FileChange] {
        let stem = config.hasSuffix(".conf") ? String(config.dropLast(5)) : config
        var changes: [FileChange] = []
        if let text = try? TextFile.read("\(stem).key"), PrivateKey(base64: text.trimmed)?.publicKey == old {
            changes.append(.replace("\(stem).key", text: replacing(in: text, with: key.base64)))
        }
        if let text = try? TextFile.read("\(stem).pub"), PublicKey(text.trimmed) == old {
            changes.append(.replace("\(stem).pub", text: replacing(in: text, with: "\(key.publicKey)")))
        }
        return changes
    }
}

extension PrivateKey {
    /// Whether the key is written as it is: a private key leaves some bits of the text out.
    func isSpelt(_ text: some StringProtocol) -> Bool { base64 == text }
}
