import Keys

/// A change to one peer in a config file: `PUT`, `PATCH` and `DELETE` of `/v1/peers/PEER`.
public struct PeerEdit: Sendable {
    public enum Kind: UInt8, Sendable {
        /// The peer has these keys and no others; it may be new.
        case put = 1
        /// These keys have these values.
        case patch
        /// The peer is no more.
        case delete
    }

    /// A key as the file writes it, and its value; empty: the key goes.
    public struct Value: Sendable {
        public let key: String
        public let text: String

        public init(key: String, text: String) {
            self.key = key
            self.text = text
        }
    }

    public let kind: Kind
    /// By name or public key.
    public let peer: String
    public let values: [Value]

    public static let mostValues = 64
    public static let longestText = 4096

    /// `nil` if something in it would not stay in its line.
    public init?(_ kind: Kind, _ peer: String, _ values: [Value] = []) {
        let texts = [peer] + values.flatMap { [$0.key, $0.text] }
        guard values.count <= Self.mostValues, !peer.isEmpty, texts.allSatisfy({ Self.isOneLine($0) }) else {
            return nil
        }
        self.kind = kind
        self.peer = peer
        self.values = values
    }

    private static func isOneLine(_ text: String) -> Bool {
        text.utf8.count <= longestText && text.utf8.allSatisfy { $0 >= 32 && $0 != 127 && $0 != UInt8(ascii: "#") }
            && !text.contains(where: \.isNewline)
    }
}

extension SiteFile {
    /// The change to the file that an edit is. Fails with `data` if there is no such peer, with `configuration` or `usage` if the file
    /// could not be so.
    public func applying(_ edit: PeerEdit) throws(Failure) -> FileChange {
        switch edit.kind {
        case .delete: return try removing(edit.peer)
        case .patch: return try setting(edit.values.map { ($0.key, $0.text) }, of: edit.peer, takesSecrets: true)
        case .put:
            let known = configuration.peers.first { $0.name == edit.peer || $0.publicKey.description == edit.peer }
            guard known != nil else { return try adding(named: edit.peer, edit.values) }
            let given = Set(edit.values.compactMap { ConfigurationKey(written: $0.key) })
            let gone = ConfigurationKey.allCases.filter {
                $0.belongs(in: .peer) && !given.contains($0) && $0 != .publicKey && $0 != .name
            }
            let values = edit.values.map { ($0.key, $0.text) } + gone.map { ($0.rawValue, "") }
            return try setting(values, of: edit.peer, takesSecrets: true)
        }
    }

    private func adding(named name: String, _ values: [PeerEdit.Value]) throws(Failure) -> FileChange {
        var lines = ["", "[Peer]"]
        var keys: [ConfigurationKey] = []
        for value in values where !value.text.isEmpty {
            guard let key = ConfigurationKey(written: value.key), key.belongs(in: .peer) else {
                throw Failure(.usage, "\"\(Diagnostic.printable(value.key))\" is no key of a peer")
            }
            keys.append(key)
            lines.append("\(key.isOurs ? "#: " : "")\(key.rawValue) = \(value.text)")
        }
        if PublicKey(name) != nil {
            if !keys.contains(.publicKey) { lines.append("PublicKey = \(name)") }
        } else if !keys.contains(.name) {
            lines.append("#: Name = \(name)")
        }
        let end = text.last?.isNewline ?? true ? "" : "\n"
        let addition = end + lines.map { $0 + "\n" }.joined()
        let (extended, diagnostics) = Configuration.parse(
            text: text + addition, file: path, name: "\(configuration.interface.name)")
        guard extended != nil else { throw Self.refusal(diagnostics, "\(path) can't have the peer \(name)") }
        return .append(path, text: addition)
    }
}
