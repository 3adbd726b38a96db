/// Recognises payloads that are encrypted or compressed already, by their bytes and without a codec.
enum Recognition {
    case unknown
    /// A protocol that encrypts by itself.
    case encrypted
    /// A format that is compressed already.
    case compressed

    /// Looks at the first bytes of a flow's payload.
    init(_ payload: RawSpan, isUDP: Bool) {
        guard payload.byteCount >= 8 else {
            self = .unknown
            return
        }
        let first = payload.big32(at: 0)
        if isUDP ? Self.isEncryptedDatagram(payload, first) : Self.isEncryptedStream(payload, first) {
            self = .encrypted
        } else {
            self = Self.isCompressed(payload, first) ? .compressed : .unknown
        }
    }

    /// A TLS record (RFC 8446 §5.1) or the banner of SSH (RFC 4253 §4.2).
    private static func isEncryptedStream(_ payload: RawSpan, _ first: UInt32) -> Bool {
        if first == 0x5353_482d { return true }
        return (0x14...0x17).contains(first >> 24) && first >> 16 & 0xff == 3 && first >> 8 & 0xff <= 4
            && payload.big16(at: 3) <= 16_640
    }

    /// QUIC's long header of a version that is in use (RFC 9000 §17.2, RFC 9369), DTLS (RFC 9147 §4), WireGuard.
    private static func isEncryptedDatagram(_ payload: RawSpan, _ first: UInt32) -> Bool {
        if first >> 24 & 0xc0 == 0xc0, [1, 0x6b33_43cf].contains(payload.big32(at: 1)) { return true }
        if (0x14...0x17).contains(first >> 24), first >> 16 & 0xff == 0xfe { return true }
        return switch (payload.little32(at: 0), payload.byteCount) {
        case (Initiation.type, Initiation.size), (Response.type, Response.size): true
        case (Transport.type, Transport.minimumSize...): payload.byteCount % Limits.padding == 0
        default: false
        }
    }

    /// gzip, zstd, xz, bzip2, zip, PNG, JPEG, lz4.
    private static func isCompressed(_ payload: RawSpan, _ first: UInt32) -> Bool {
        switch first {
        case 0x28b5_2ffd, 0xfd37_7a58, 0x504b_0304, 0x8950_4e47, 0x0422_4d18: true
        default: first >> 8 == 0x1f8b08 || first >> 8 == 0x425a68 || first >> 8 == 0xffd8ff
        }
    }

    /// Whether the bytes look like noise: 256 of them, spread over all, hold every value about as often as any other.
    ///
    /// The sum of the squared counts is 511 ± 23 for noise, 1,280 for base64, and some thousands for text.
    static func looksRandom(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 256 else { return false }
        var counts = InlineArray<256, UInt8>(repeating: 0)
        // Runs of 16, as what repeats does so within short distances.
        let stride = (bytes.byteCount - 16) / 15
        var sum = 0
        for run in 0..<16 {
            for offset in run * stride..<run * stride + 16 {
                let value = Int(bytes.byte(at: offset))
                // n² grows by 2n + 1.
                sum += 2 * Int(counts[value]) + 1
                counts[value] &+= 1
            }
        }
        return sum < 620
    }
}
