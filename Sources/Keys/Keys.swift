import CSodium

/// An X25519 public key: 32 bytes, written as base64 in files and as hex in the UAPI.
@frozen
public struct PublicKey: Hashable, Sendable {
    public var bytes: InlineArray<32, UInt8>

    @inlinable public init(bytes: InlineArray<32, UInt8>) { self.bytes = bytes }

    public static func == (a: PublicKey, b: PublicKey) -> Bool {
        for index in 0..<32 where a.bytes[index] != b.bytes[index] { return false }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        for index in 0..<32 { hasher.combine(bytes[index]) }
    }
}

extension PublicKey: LosslessStringConvertible {
    /// Parses 44 characters of base64, exactly as `wg` prints them.
    public init?(_ text: some StringProtocol) {
        guard let bytes = KeyText.decodeBase64(text) else { return nil }
        self.init(bytes: bytes)
    }

    /// Parses 64 hexadecimal digits.
    public init?(hex text: some StringProtocol) {
        guard let bytes = KeyText.decodeHex(text.utf8) else { return nil }
        self.init(bytes: bytes)
    }

    public var description: String { KeyText.encodeBase64(bytes.span) }
    public var hex: String { KeyText.encodeHex(bytes.span) }
}

/// An X25519 private key, clamped (RFC 7748 §5), in secret memory.
public struct PrivateKey: Sendable {
    private let secret: Secret

    /// A fresh key from the system's randomness.
    public static func generate() -> PrivateKey {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        fillRandom(&span)
        return PrivateKey(consuming: &bytes)
    }

    /// Takes the bytes, clamps them, and wipes `bytes`.
    public init(consuming bytes: inout InlineArray<32, UInt8>) {
        bytes[0] &= 248
        bytes[31] = bytes[31] & 127 | 64
        secret = Secret(copying: bytes.span)
        wipe(&bytes)
    }

    /// The public key that belongs to it.
    public var publicKey: PublicKey {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let failed = unsafe crypto_scalarmult_curve25519_base(span.start, secret.bytes.start)
        precondition(failed == 0)
        return PublicKey(bytes: bytes)
    }

    /// The 32 bytes, for as long as the key is held.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self) get { unsafe _overrideLifetime(secret.bytes, borrowing: self) }
    }
}

extension PrivateKey {
    /// Parses 44 characters of base64.
    public init?(base64 text: some StringProtocol) {
        guard var bytes = KeyText.decodeBase64(text) else { return nil }
        self.init(consuming: &bytes)
    }

    /// Parses 64 hexadecimal digits; all zeros, which UAPI uses for "no key", is `nil` too.
    public init?(hex text: some StringProtocol) { self.init(hex: text.utf8) }

    /// The same of digits that are in no string: those can be wiped.
    public init?(hex digits: some Sequence<UInt8>) {
        guard var bytes = KeyText.decodeHex(digits), !isZero(bytes.span) else { return nil }
        self.init(consuming: &bytes)
    }

    /// The key as text, for a file that only its owner reads. The string is ordinary memory: keep it short-lived.
    public var base64: String { KeyText.encodeBase64(bytes) }
    /// The key as the UAPI writes it; the same warning.
    public var hex: String { KeyText.encodeHex(bytes) }
    /// The same into memory that the caller can wipe. It should have room: what an array grows out of is not wiped.
    public func appendHex(to text: inout [UInt8]) { KeyText.appendHex(bytes, to: &text) }
}

/// A 32-byte preshared key, mixed into the handshake on top of X25519, in secret memory.
public struct PresharedKey: Sendable {
    private let secret: Secret

    public static func generate() -> PresharedKey {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        fillRandom(&span)
        return PresharedKey(consuming: &bytes)
    }

    /// Takes the bytes and wipes `bytes`.
    public init(consuming bytes: inout InlineArray<32, UInt8>) {
        secret = Secret(copying: bytes.span)
        wipe(&bytes)
    }

    /// Parses 44 characters of base64. All zeros means "none" to every WireGuard tool: that is `nil` too.
    public init?(base64 text: some StringProtocol) {
        guard var bytes = KeyText.decodeBase64(text), !isZero(bytes.span) else { return nil }
        self.init(consuming: &bytes)
    }

    /// Parses 64 hexadecimal digits; all zeros is `nil`.
    public init?(hex text: some StringProtocol) { self.init(hex: text.utf8) }

    /// The same of digits that are in no string: those can be wiped.
    public init?(hex digits: some Sequence<UInt8>) {
        guard var bytes = KeyText.decodeHex(digits), !isZero(bytes.span) else { return nil }
        self.init(consuming: &bytes)
    }

    /// What stands for none in a handshake.
    public static var zeros: PresharedKey {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        return PresharedKey(consuming: &bytes)
    }

    public var isZeros: Bool { isZero(bytes) }

    /// Whether it is the same key.
    public func isSame(as other: PresharedKey) -> Bool { bytes.indices.allSatisfy { bytes[$0] == other.bytes[$0] } }

    public var base64: String { KeyText.encodeBase64(bytes) }
    public var hex: String { KeyText.encodeHex(bytes) }
    public func appendHex(to text: inout [UInt8]) { KeyText.appendHex(bytes, to: &text) }

    /// The 32 bytes, for as long as the key is held.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self) get { unsafe _overrideLifetime(secret.bytes, borrowing: self) }
    }
}
