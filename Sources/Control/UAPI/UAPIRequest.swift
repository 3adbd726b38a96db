public import Addresses
public import Keys

/// The request of a client of the UAPI (the configuration protocol of wireguard.com/xplatform).
public enum UAPIRequest: Sendable {
    case get
    /// To be done in this order.
    case set([UAPIChange])
}

/// One line of a `set=1`, typed. What stands before the first `peer` is about the interface, the rest about the peer
/// before it.
public enum UAPIChange: Sendable {
    /// `nil` takes the key away.
    case privateKey(PrivateKey?)
    /// 0 lets the system choose.
    case listenPort(UInt16)
    /// 0 is none.
    case fwmark(UInt32)
    /// Takes all peers away.
    case replacePeers

    /// The lines that follow are about this peer, which is made if it is not there.
    case peer(PublicKey)
    /// The peer is left alone if this request would make it.
    case updateOnly
    case remove
    case presharedKey(PresharedKey?)
    case endpoint(Endpoint)
    /// The persistent keepalive in seconds; 0 is none.
    case persistentKeepalive(UInt16)
    case replaceAllowedIPs
    case allow(Prefix)
    case disallow(Prefix)
    /// The keys of our own: `gateway_compression` and `gateway_cipher`.
    case compression(Configuration.Compression)
    case cipher(Configuration.Cipher)
}

/// Why a request was refused: the number that `errno=` answers, with the sign that wireguard-go gives it.
public enum UAPIError: Int, Error, Sendable {
    /// A line or a request longer than any should be.
    case inputOutput = -5
    /// A key that does not exist, or a value that it can't have.
    case invalid = -22
    /// A line without `=`, an operation that does not exist, a request that stops in the middle.
    case protocolViolated = -71
    case portInUse = -98
    case unknown = -55
}
