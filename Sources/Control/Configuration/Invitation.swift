public import Addresses
import FoundationEssentials
public import Keys

/// What an end that is to join is told: where the site is, and the secret that only the two know. No private key is in it. As a
/// line: `gateway-invitation-1.` and base64url.
public struct Invitation: Codable, Hashable, Sendable {
    public var id: String
    /// The site's name, and the name that the other end gets.
    public var site: String
    public var name: String
    public var publicKey: String
    public var presharedKey: String
    public var endpoint: String
    /// What is behind the site, and what is behind the other end.
    public var networks: [String]
    public var farNetworks: [String]
    /// The addresses of the other end inside.
    public var addresses: [String]
    /// Seconds since 1970.
    public var expires: Int64

    public init(
        site: InterfaceName, name: InterfaceName, _ key: PublicKey, _ secret: PresharedKey, endpoint: HostAndPort,
        expires: Int64
    ) {
        id = String(PresharedKey.generate().hex.prefix(16))
        self.site = "\(site)"
        self.name = "\(name)"
        publicKey = "\(key)"
        presharedKey = secret.base64
        self.endpoint = "\(endpoint)"
        (networks, farNetworks, addresses) = ([], [], [])
        self.expires = expires
    }

    public static let mark = "gateway-invitation-1."

    public var line: String { Self.mark + JSON.line(self) }

    /// Reads a line; `nil` if it is none, or one that is cut off.
    public init?(line: String) {
        guard let found = JSON.value(Self.self, of: line, behind: Self.mark) else { return nil }
        self = found
    }

    /// The peer that the site is to the other end; `nil` if something in it can't be read.
    public var peer: Configuration.Peer? {
        guard let key = PublicKey(publicKey), let endpoint = HostAndPort(endpoint),
            var peer = peer(key, named: site, networks)
        else { return nil }
        peer.endpoint = endpoint
        peer.persistentKeepalive = .seconds(25)
        return peer
    }

    /// The peer that the other end is to the site; `nil` if something in it can't be read.
    public func peer(answering answer: InvitationAnswer) -> Configuration.Peer? {
        guard let key = PublicKey(answer.publicKey) else { return nil }
        let own = addresses.compactMap { InterfaceAddress($0)?.address }.compactMap { Prefix($0, length: $0.width) }
        return peer(key, named: name, own.map(\.description) + farNetworks)
    }

    private func peer(_ key: PublicKey, named name: String, _ networks: [String]) -> Configuration.Peer? {
        guard let secret = PresharedKey(base64: presharedKey) else { return nil }
        var peer = Configuration.Peer(publicKey: key)
        peer.name = name
        peer.presharedKey = secret
        peer.allowedIPs = networks.compactMap { Prefix($0) }
        peer.compression = .auto
        peer.cipher = .auto
        peer.postQuantum = .prefer
        return peer.allowedIPs.count == networks.count ? peer : nil
    }
}

/// What the other end says back: its public key. It is no secret.
public struct InvitationAnswer: Codable, Hashable, Sendable {
    public var id: String
    public var publicKey: String

    public init(to invitation: Invitation, _ key: PublicKey) {
        id = invitation.id
        publicKey = "\(key)"
    }

    public static let mark = "gateway-answer-1."

    public var line: String { Self.mark + JSON.line(self) }

    public init?(line: String) {
        guard let found = JSON.value(Self.self, of: line, behind: Self.mark) else { return nil }
        self = found
    }
}

extension JSON {
    /// A value in characters that nothing between two terminals changes.
    fileprivate static func line(_ value: some Encodable) -> String {
        guard let bytes = try? encode(value) else { return "" }
        return String(
            Data(bytes).base64EncodedString().compactMap { character in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            })
    }

    fileprivate static func value<Value: Decodable>(_ type: Value.Type, of line: String, behind mark: String) -> Value?
    {
        // Terminals break long lines.
        let text = line.filter { !$0.isWhitespace }
        guard text.hasPrefix(mark), text.utf8.count <= 16_384 else { return nil }
        var digits = String(
            text.dropFirst(mark.count).map { character -> Character in
                switch character {
                case "-": "+"
                case "_": "/"
                default: character
                }
            })
        digits += String(repeating: "=", count: (4 - digits.count % 4) % 4)
        guard let bytes = Data(base64Encoded: digits) else { return nil }
        return try? decode(type, from: Array(bytes))
    }
}
