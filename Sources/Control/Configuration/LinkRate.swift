/// The rate of a link, in bits a second: 64 kbit/s to 1 Gbit/s.
public struct LinkRate: Sendable, Equatable, CustomStringConvertible {
    public let bitsPerSecond: UInt64

    static let slowest: UInt64 = 64_000
    static let fastest: UInt64 = 1_000_000_000
    private static let units: [(name: String, bits: UInt64)] = [
        ("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1000),
    ]

    /// Reads a number with a unit, `2.5mbit`; `nil` if the text is none, or the rate is not one of ours.
    public init?(_ text: some StringProtocol) {
        let text = text.lowercased()
        guard let unit = Self.units.first(where: { text.hasSuffix($0.name) }) else { return nil }
        let parts = text.dropLast(unit.name.count).trimmed.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ UInt64(decimal: $0) }), parts.count <= 2, whole <= Self.fastest else {
            return nil
        }
        var bits = whole * unit.bits
        if parts.count == 2 {
            guard (1...6).contains(parts[1].count), let fraction = UInt64(decimal: parts[1]) else { return nil }
            var scale: UInt64 = 1
            for _ in parts[1] { scale *= 10 }
            bits += fraction * unit.bits / scale
        }
        guard (Self.slowest...Self.fastest).contains(bits) else { return nil }
        bitsPerSecond = bits
    }

    public var description: String {
        let unit = Self.units.first { bitsPerSecond % $0.bits == 0 }
        return unit.map { "\(bitsPerSecond / $0.bits)\($0.name)" } ?? "\(bitsPerSecond / 1000).\(decimals)kbit"
    }

    private var decimals: String {
        let rest = String(bitsPerSecond % 1000)
        return String(repeating: "0", count: 3 - rest.count) + rest
    }
}

/// The bounds of a rate that is found by what the other end says of what arrives (`Rate = auto 2mbit..50mbit`).
public struct AutoRate: Sendable, Equatable, CustomStringConvertible {
    /// What the link takes always, and at most.
    public let least: LinkRate
    public let most: LinkRate

    public var description: String { "auto \(least)..\(most)" }
}
