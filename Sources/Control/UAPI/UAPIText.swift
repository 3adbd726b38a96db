public import Addresses
public import Keys

/// A reply to `get=1`, as text in the order and the form that wireguard-go gives it: digits are plain, keys hexadecimal.
///
/// After a peer's standard keys come ours, which begin with `gateway_`; clients ignore keys that they do not know.
///
/// Secrets are in it: whoever takes the bytes wipes them.
public struct UAPIText: ~Copyable {
    /// The size from which on it should be taken. Up to there, and one peer more, it stays in one place.
    public static let piece = 64 << 10
    private static let capacity = piece + 1024

    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// The lines before the peers.
    public mutating func append(privateKey: PrivateKey?, listenPort: UInt16, fwmark: UInt32) {
        if let privateKey { line("private_key") { privateKey.appendHex(to: &$0) } }
        if listenPort != 0 { line("listen_port", listenPort) }
        if fwmark != 0 { line("fwmark", fwmark) }
    }

    /// A peer without its AllowedIPs, which follow.
    public mutating func append(_ peer: UAPIPeer) {
        line("public_key", peer.publicKey.hex)
        if let key = peer.presharedKey {
            line("preshared_key") { key.appendHex(to: &$0) }
        } else {
            line("preshared_key", String(repeating: "0", count: 64))
        }
        line("protocol_version", 1)
        if let endpoint = peer.endpoint { line("endpoint", endpoint.description) }
        line("last_handshake_time_sec", peer.lastHandshake.seconds)
        line("last_handshake_time_nsec", peer.lastHandshake.nanoseconds)
        line("tx_bytes", peer.sent)
        line("rx_bytes", peer.received)
        line("persistent_keepalive_interval", peer.persistentKeepalive)
    }

    public mutating func append(allowed prefix: Prefix) { line("allowed_ip", prefix.description) }

    /// The lines that only a gateway has: what the packets were before compression and what datagrams they became.
    public mutating func append(_ ours: UAPIPeer.Ours) {
        line("gateway_compression", ours.compression)
        line("gateway_cipher", ours.cipher)
        line("gateway_plain_tx_bytes", ours.plainSent)
        line("gateway_wire_tx_bytes", ours.wireSent)
        line("gateway_plain_rx_bytes", ours.plainReceived)
        line("gateway_wire_rx_bytes", ours.wireReceived)
    }

    /// The end of every reply.
    public mutating func append(errno: Int) {
        line("errno", errno)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Hands over what was written so far and forgets it.
    public mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    private mutating func line(_ key: StaticString, _ value: some BinaryInteger) { line(key, String(value)) }

    private mutating func line(_ key: StaticString, _ value: String) {
        line(key) { $0.append(contentsOf: value.utf8) }
    }

    private mutating func line(_ key: StaticString, _ value: (inout [UInt8]) -> Void) {
        bytes.reserveCapacity(Self.capacity)
        key.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "="))
        value(&bytes)
        bytes.append(UInt8(ascii: "\n"))
    }
}

/// The lines of a reply about a peer.
public struct UAPIPeer: Sendable {
    public var publicKey: PublicKey
    public var presharedKey: PresharedKey?
    public var endpoint: Endpoint?
    /// Since 1970, in UTC; zero is never.
    public var lastHandshake: (seconds: Int64, nanoseconds: UInt32) = (0, 0)
    public var sent: UInt64 = 0
    public var received: UInt64 = 0
    /// The persistent keepalive in seconds; 0 is none.
    public var persistentKeepalive: UInt16 = 0

    public init(publicKey: PublicKey) { self.publicKey = publicKey }

    /// The values that no other WireGuard has.
    public struct Ours: Sendable {
        public var compression: String
        public var cipher: String
        public var plainSent: UInt64 = 0
        public var wireSent: UInt64 = 0
        public var plainReceived: UInt64 = 0
        public var wireReceived: UInt64 = 0

        public init(compression: String, cipher: String) {
            self.compression = compression
            self.cipher = cipher
        }
    }
}
