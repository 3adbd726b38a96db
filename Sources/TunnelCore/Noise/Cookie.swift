import Addresses
import Keys

/// The MACs at the end of handshake messages (whitepaper §5.4.4, §5.4.7) from the side of whoever receives them:
/// mac1 proves that the sender knows our public key, mac2 that it owns its address.
struct CookieChecker {
    private let mac1Key: Bytes32
    private let cookieKey: Bytes32
    private var secret = Bytes32(repeating: 0)
    private var secretMadeAt = Instant.distantPast

    init(_ publicKey: PublicKey) {
        mac1Key = MACKey.mac1(publicKey)
        cookieKey = MACKey.cookie(publicKey)
    }

    /// Whether the mac1 of a handshake message is made with our public key.
    func verifyMAC1<let size: Int>(_ message: InlineArray<size, UInt8>) -> Bool {
        let mac = Blake2s.mac(key: mac1Key.span, message.span.extracting(0..<size - 32))
        return Primitive.equal(mac.span, message.span.extracting(size - 32..<size - 16))
    }

    /// Whether the mac2 of a handshake message is made with a cookie that we gave to `endpoint` and that is still good.
    func verifyMAC2<let size: Int>(_ message: InlineArray<size, UInt8>, from endpoint: Endpoint, at now: Now) -> Bool {
        guard now.instant - secretMadeAt < Limits.cookieLifetime else { return false }
        let cookie = cookie(for: endpoint)
        let mac = Blake2s.mac(key: cookie.span, message.span.extracting(0..<size - 16))
        return Primitive.equal(mac.span, message.span.extracting(size - 16..<size))
    }

    /// The cookie reply to a handshake message: 64 bytes, less than either message that it can answer.
    mutating func reply<let size: Int>(
        to message: InlineArray<size, UInt8>, from endpoint: Endpoint, at now: Now, randomness: inout Randomness
    ) -> CookieReply.Bytes {
        if now.instant - secretMadeAt >= Limits.cookieLifetime {
            secret = randomness.bytes()
            secretMadeAt = now.instant
        }
        var reply = CookieReply.Bytes(repeating: 0)
        reply.store(little: CookieReply.type, at: 0)
        reply.store(little: message.little32(at: 4), at: CookieReply.receiver)
        let nonce: InlineArray<24, UInt8> = randomness.bytes()
        reply.copy(nonce, to: CookieReply.nonce)
        var sealed = InlineArray<32, UInt8>(repeating: 0)
        var out = sealed.mutableSpan
        let cookie = cookie(for: endpoint)
        let mac1 = message.span.extracting(size - 32..<size - 16)
        Primitive.xseal(&out, cookie.span, data: mac1, key: cookieKey.span, nonce: nonce.span)
        reply.copy(sealed, to: CookieReply.sealedCookie)
        return reply
    }

    /// MAC of the sender's address and port with the secret of the last two minutes.
    private func cookie(for endpoint: Endpoint) -> InlineArray<16, UInt8> {
        let bits: UInt128 =
            switch endpoint.address {
            case .v4(let bits): UInt128(bits)
            case .v6(let bits): bits
            }
        // 16 bytes of address, 2 of port, 1 of family: an IPv4 address is not the IPv6 address of the same number.
        let source = InlineArray<19, UInt8> { index in
            switch index {
            case 0..<16: UInt8(truncatingIfNeeded: bits >> (8 * UInt128(index)))
            case 16: UInt8(truncatingIfNeeded: endpoint.port)
            case 17: UInt8(truncatingIfNeeded: endpoint.port >> 8)
            default: endpoint.address.isV4 ? 4 : 6
            }
        }
        return Blake2s.mac(key: secret.span, source.span)
    }
}

/// The MACs at the end of handshake messages from the side of whoever sends handshake messages to one peer.
struct CookieJar {
    private let mac1Key: Bytes32
    private let cookieKey: Bytes32
    private var lastMAC1: InlineArray<16, UInt8>?
    private var cookie: InlineArray<16, UInt8>?
    private var cookieMadeAt = Instant.distantPast

    init(_ peer: PublicKey) {
        mac1Key = MACKey.mac1(peer)
        cookieKey = MACKey.cookie(peer)
    }

    /// Writes mac1, and mac2 if there is a fresh cookie, into the last 32 bytes of a message.
    mutating func sign<let size: Int>(_ message: inout InlineArray<size, UInt8>, at now: Now) {
        let mac1 = Blake2s.mac(key: mac1Key.span, message.span.extracting(0..<size - 32))
        message.copy(mac1, to: size - 32)
        lastMAC1 = mac1
        if let cookie, now.instant - cookieMadeAt < Limits.cookieLifetime + Limits.cookieLatency * -1 {
            message.copy(Blake2s.mac(key: cookie.span, message.span.extracting(0..<size - 16)), to: size - 16)
        }
    }

    /// Takes the cookie out of a reply to the last message that was signed; false if it is none.
    mutating func accept(_ reply: CookieReply.Bytes, at now: Now) -> Bool {
        guard let mac1 = lastMAC1 else { return false }
        var opened = InlineArray<16, UInt8>(repeating: 0)
        var out = opened.mutableSpan
        let isOpen = Primitive.xopen(
            &out, reply.span.extracting(CookieReply.sealedCookie..<CookieReply.size), data: mac1.span,
            key: cookieKey.span, nonce: reply.span.extracting(CookieReply.nonce..<CookieReply.sealedCookie))
        guard isOpen else { return false }
        cookie = opened
        cookieMadeAt = now.instant
        lastMAC1 = nil
        return true
    }
}

private enum MACKey {
    static func mac1(_ key: PublicKey) -> Bytes32 { Blake2s.hash(Array("mac1----".utf8).span, key.bytes.span) }
    static func cookie(_ key: PublicKey) -> Bytes32 { Blake2s.hash(Array("cookie--".utf8).span, key.bytes.span) }
}
