import Keys

/// The ciphers of transport messages: both are AEADs with a 32-byte key, a tag of 16 bytes and no associated data, and a
/// nonce of 32 zero bits and the counter, little-endian.
public enum CipherSuite: Sendable, Equatable {
    /// RFC 8439: WireGuard's, and what every peer has.
    case chacha20poly1305
    /// NIST SP 800-38D: between gateways whose processors have instructions for it.
    case aes256gcm
}

/// The library that does ChaCha20-Poly1305. Both give the same bytes; which is faster depends on the processor and is measured at
/// the start.
public enum ChaChaImplementation: CaseIterable, Sendable {
    case libsodium
    case boringSSL
}

/// One key, ready to seal or to open with one AEAD: the seam between the chain and the libraries.
///
/// It stays where it was begun, since BoringSSL's context must not move; whoever owns the memory calls `end()` and wipes
/// it.
struct CipherKey: ~Copyable {
    private var context = BoringSSL.Context()
    /// Used by libsodium, which has no context.
    private(set) var bytes = Bytes32(repeating: 0)
    private var usesLibsodium = false

    init() {}

    /// Makes the key ready. `implementation` is for ChaCha20-Poly1305 only.
    mutating func begin(_ suite: CipherSuite, _ implementation: ChaChaImplementation, key: Span<UInt8>) {
        bytes = Bytes32(copying: key)
        usesLibsodium = suite == .chacha20poly1305 && implementation == .libsodium
        if !usesLibsodium { context.begin(suite, key: key) }
    }

    mutating func end() {
        if !usesLibsodium { context.end() }
    }

    /// Seals in place: all of `buffer` but its last 16 bytes, which become the tag.
    @inline(__always)
    mutating func seal(_ buffer: inout MutableRawSpan, counter: UInt64) {
        let nonce = Nonce(counter)
        if usesLibsodium {
            Libsodium.seal(&buffer, nonce: nonce, key: bytes)
        } else {
            context.seal(&buffer, nonce)
        }
    }

    /// Opens in place: the last 16 bytes of `buffer` are the tag. False if it is wrong; the content is then undefined.
    @inline(__always)
    mutating func open(_ buffer: inout MutableRawSpan, counter: UInt64) -> Bool {
        let nonce = Nonce(counter)
        return usesLibsodium ? Libsodium.open(&buffer, nonce: nonce, key: bytes) : context.open(&buffer, nonce)
    }
}

/// The 12 bytes that make each message's sealing different: 32 zero bits and the counter.
struct Nonce {
    let bytes: InlineArray<12, UInt8>

    @inline(__always)
    init(_ counter: UInt64) {
        bytes = InlineArray { $0 < 4 ? 0 : UInt8(truncatingIfNeeded: counter >> (8 * UInt64($0 - 4))) }
    }
}

extension CipherSuite {
    /// Whether this processor has the instructions that make AES-256-GCM fast, and free of secret-dependent timing.
    public static var hasAESInstructions: Bool { Libsodium.hasAESInstructions }
}

extension ChaChaImplementation {
    /// Seals a packet of the usual size `count` times, for a comparison of speed.
    public func sealPackets(_ count: Int) {
        var key = CipherKey()
        key.begin(.chacha20poly1305, self, key: Bytes32(repeating: 1).span)
        var buffer = Arena(capacity: 1436)
        for counter in 0..<count {
            var packet = buffer[0..<1436]
            key.seal(&packet, counter: UInt64(counter))
        }
        key.end()
    }
}
