/// An interface description block: what the frames of one interface have in common.
struct PcapngInterface {
    let link: LinkType
    /// The most that was captured of a frame; 0 is all.
    let snapshotLength: Int
    private var resolution = Resolution(6)
    /// Seconds to add to each timestamp.
    private var offset: Int64 = 0

    private static let resolutionOption: UInt16 = 9
    private static let offsetOption: UInt16 = 14

    /// Reads the body of the block; `nil` if the file ends there.
    init?(_ body: inout BlockBody, _ order: ByteOrder, _ stream: inout ByteStream) throws(CaptureFailure) {
        guard let header = try body.read(8, &stream) else { return nil }
        link = LinkType(rawValue: order.half(header, at: 0))
        snapshotLength = Int(order.word(header, at: 4))
        while body.left >= 4 {
            guard let option = try body.read(4, &stream) else { return nil }
            let code = order.half(option, at: 0)
            let length = Int(order.half(option, at: 2))
            if code == 0 { return }
            switch (code, length) {
            case (Self.resolutionOption, 1):
                guard let value = try body.read(4, &stream) else { return nil }
                resolution = Resolution(value[0])
            case (Self.offsetOption, 8):
                guard let value = try body.read(8, &stream) else { return nil }
                offset = Int64(bitPattern: order.number(value, at: 0))
            default:
                guard try body.skip((length + 3) & ~3, &stream) else { return nil }
            }
        }
    }

    /// Nanoseconds since 1970, or as far from it as they go.
    func time(_ ticks: UInt64) -> Int64 {
        Int64(clamping: resolution.nanoseconds(ticks) + Int128(offset) * 1_000_000_000)
    }
}

/// Steps of a second: a power of ten, or with the highest bit of two.
private struct Resolution {
    private let exponent: Int
    private let isBinary: Bool

    init(_ option: UInt8) {
        exponent = Int(option & 0x7f)
        isBinary = option & 0x80 != 0
    }

    func nanoseconds(_ ticks: UInt64) -> Int128 {
        if isBinary { return (Int128(ticks) * 1_000_000_000) >> Int128(exponent) }
        if exponent <= 9 { return Int128(ticks) * Self.power(9 - exponent) }
        // Steps that no 64 bits of them make a nanosecond.
        return exponent > 30 ? 0 : Int128(ticks) / Self.power(exponent - 9)
    }

    private static func power(_ exponent: Int) -> Int128 { (0..<exponent).reduce(1) { power, _ in power * 10 } }
}
