/// An IPv4 or IPv6 address as a number in host order: `192.0.2.1` is `.v4(0xC000_0201)`.
@frozen
public enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(UInt128)

    /// 32 or 128.
    @inlinable public var width: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    @inlinable public var isV4: Bool { width == 32 }

    /// True for `0.0.0.0` and `::`.
    @inlinable public var isUnspecified: Bool {
        switch self {
        case .v4(let bits): bits == 0
        case .v6(let bits): bits == 0
        }
    }

    /// An address of the machine itself: `127.0.0.0/8` or `::1`.
    @inlinable public var isLoopback: Bool {
        switch self {
        case .v4(let bits): bits >> 24 == 127
        case .v6(let bits): bits == 1
        }
    }

    /// A group address: multicast, or IPv4's broadcast to everybody on the link.
    @inlinable public var isGroup: Bool {
        switch self {
        case .v4(let bits): bits >> 28 == 14 || bits == .max
        case .v6(let bits): bits >> 120 == 0xff
        }
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Parses dotted-quad IPv4 (four decimal parts, no leading zeros) or RFC 4291 IPv6 text, without brackets or zone.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bits = Self.parseV6(text) else { return nil }
            self = .v6(bits)
        } else {
            guard let bits = Self.parseV4(text) else { return nil }
            self = .v4(bits)
        }
    }

    /// The canonical form: RFC 5952 for IPv6.
    public var description: String {
        switch self {
        case .v4(let bits): Self.format(v4: bits)
        case .v6(let bits): Self.format(v6: bits)
        }
    }

    private static func parseV4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var value: UInt32 = 0
            for digit in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                value = value * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard value <= 255 else { return nil }
            bits = bits << 8 | value
        }
        return bits
    }

    private static func parseV6(_ text: some StringProtocol) -> UInt128? {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var compressed = false
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)[...]

        // "::" leaves two empty parts at an end and one in the middle.
        if parts.first == "" {
            guard parts.dropFirst().first == "" else { return nil }
            parts = parts.dropFirst()
            if parts.count == 2, parts.last == "" { return 0 }
        }
        if parts.last == "" {
            guard parts.dropLast().last == "" else { return nil }
            parts = parts.dropLast()
        }
        for (offset, part) in parts.enumerated() {
            var groups: [UInt16] = []
            if part.isEmpty {
                guard !compressed else { return nil }
                compressed = true
                continue
            } else if offset == parts.count - 1, part.contains(".") {
                guard let v4 = parseV4(part) else { return nil }
                groups = [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
            } else {
                let isHex = part.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
                guard part.utf8.count <= 4, isHex, let group = UInt16(part, radix: 16) else { return nil }
                groups = [group]
            }
            if compressed { tail += groups } else { head += groups }
        }
        let missing = 8 - head.count - tail.count
        guard compressed ? missing >= 1 : missing == 0 else { return nil }
        return (head + Array(repeating: 0, count: missing) + tail).reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func format(v4 bits: UInt32) -> String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }

    private static func format(v6 bits: UInt128) -> String {
        if bits >> 32 == 0xffff {
            return "::ffff:" + format(v4: UInt32(truncatingIfNeeded: bits))
        }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * $0)) }
        // The longest run of at least two zero groups, the first of equals.
        var best = 0..<0
        var start = 0
        while start < 8 {
            let end = groups[start...].firstIndex { $0 != 0 } ?? 8
            if end - start > best.count { best = start..<end }
            start = max(end, start) + 1
        }
        func hex(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.count < 2 ? hex(0..<8) : hex(0..<best.lowerBound) + "::" + hex(best.upperBound..<8)
    }
}
