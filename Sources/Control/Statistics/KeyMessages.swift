public import Keys

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

/// The answer to `POST /v1/peers/PEER/rotate`.
public struct RotationReply: Codable, Hashable, Sendable {
    /// Words that the field `state` has. A contract: more may come, none goes.
    public enum State: String, Sendable {
        /// Both ends use the new key, and no other.
        case done
        /// The peer has not said yet that it does; both ends take both keys until then, and it goes on by itself.
        case underWay
    }

    public var state: String

    public init(_ state: State) { self.state = state.rawValue }
}

/// The answer to `POST /v1/key/rotate`.
public struct KeyRotationReply: Codable, Hashable, Sendable {
    /// A word of `RotationReply.State`.
    public var state: String
    /// In base64: the one that is ours now, or is to be.
    public var publicKey: String
    /// Peers that have not confirmed the new key yet; none once it is done.
    public var waitsFor: [String]
    /// Peers that could not be told of it, who reach us no more until they are, by hand.
    public var leftBehind: [String]

    public init(_ state: RotationReply.State, _ publicKey: PublicKey, waitsFor: [String] = [], leftBehind: [String]) {
        self.state = state.rawValue
        self.publicKey = publicKey.description
        self.waitsFor = waitsFor
        self.leftBehind = leftBehind
    }
}
