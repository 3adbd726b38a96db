/// The four messages of WireGuard (whitepaper §5.4): their sizes and where each field stands. All integers are
/// little-endian; the three bytes after the type are zero.
enum Message {
    case initiation
    case response
    case cookieReply
    case transport(receiver: ReceiverIndex)

    /// Tells the message by type and size together; `nil` if no message looks like that.
    @inline(__always)
    init?(_ datagram: RawSpan) {
        guard datagram.byteCount >= Transport.minimumSize else { return nil }
        switch (datagram.little32(at: 0), datagram.byteCount) {
        case (Transport.type, _):
            self = .transport(receiver: ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver)))
        case (Initiation.type, Initiation.size): self = .initiation
        case (Response.type, Response.size): self = .response
        case (CookieReply.type, CookieReply.size): self = .cookieReply
        default: return nil
        }
    }
}

/// The number by which a receiver tells its sessions apart (whitepaper §5.4): unpredictable, unique among its own.
public struct ReceiverIndex: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt32

    @inline(__always) public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Whitepaper §5.4.2.
enum Initiation {
    static let type: UInt32 = 1
    static let size = 148
    static let sender = 4
    static let ephemeral = 8
    static let sealedStatic = 40
    static let sealedTimestamp = 88
    static let mac1 = 116
    static let mac2 = 132

    typealias Bytes = InlineArray<148, UInt8>
}

/// Whitepaper §5.4.3.
enum Response {
    static let type: UInt32 = 2
    static let size = 92
    static let sender = 4
    static let receiver = 8
    static let ephemeral = 12
    static let sealedNothing = 44
    static let mac1 = 60
    static let mac2 = 76

    typealias Bytes = InlineArray<92, UInt8>
}

/// Whitepaper §5.4.7.
enum CookieReply {
    static let type: UInt32 = 3
    static let size = 64
    static let receiver = 4
    static let nonce = 8
    static let sealedCookie = 32

    typealias Bytes = InlineArray<64, UInt8>
}

/// Whitepaper §5.4.6: a header of 16 bytes, the sealed payload, a tag of 16.
enum Transport {
    static let type: UInt32 = 4
    static let receiver = 4
    static let counter = 8
    static let headerSize = 16
    static let tagSize = 16
    static let overhead = headerSize + tagSize
    /// A keepalive: nothing inside.
    static let minimumSize = overhead
    /// The headers of UDP and IPv4 around a datagram.
    static let outerHeaders = IPv4Header.size + UDPHeader.size

    /// The size of a payload of `length` bytes with its padding: the next multiple of 16, but not more than the MTU makes
    /// necessary (whitepaper §5.4.6).
    @inline(__always)
    static func paddedSize(_ length: Int, mtu: Int) -> Int {
        max(length, min((length + Limits.padding - 1) & ~(Limits.padding - 1), mtu))
    }

    /// The bytes that a payload takes on the wire: with the header and tag of the message, and the headers of UDP and IPv4.
    @inline(__always)
    static func wireSize(_ payload: Int) -> Int { payload + overhead + outerHeaders }
}
