/// The answer to `GET /v1/key` and `PUT /v1/key`.
public struct KeyReply: Codable, Hashable, Sendable {
    /// Base64.
    public var publicKey: String

    public init(publicKey: String) { self.publicKey = publicKey }
}

/// The body of `PUT /v1/key`.
public struct KeyChange: Codable, Hashable, Sendable {
    /// Base64; check it with `PrivateKey(base64:)`.
    public var privateKey: String

    public init(privateKey: String) { self.privateKey = privateKey }
}

/// The body of `PUT /v1/psk`.
public struct PresharedKeyChange: Codable, Hashable, Sendable {
    /// The peer's public key in base64, or its name.
    public var peer: String
    /// Base64; check it with `PresharedKey(base64:)`.
    public var presharedKey: String

    public init(peer: String, presharedKey: String) {
        self.peer = peer
        self.presharedKey = presharedKey
    }
}
