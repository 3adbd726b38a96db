/// A network prefix in CIDR notation, `10.1.0.0/16`; the bits behind the prefix are zero.
public struct Prefix: Hashable, Sendable {
    public let address: IPAddress
    /// 0 to 32, or 0 to 128.
    public let length: Int

    /// The prefix that holds `address`; `nil` if `length` does not fit the family. Bits behind it are cleared.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.width).contains(length) else { return nil }
        self.address =
            switch address {
            case .v4(let bits): .v4(length == 0 ? 0 : bits & ~0 << (32 - length))
            case .v6(let bits): .v6(length == 0 ? 0 : bits & ~0 << (128 - length))
            }
        self.length = length
    }

    /// True if `address` is of the same family and inside.
    public func contains(_ address: IPAddress) -> Bool {
        address.width == self.address.width && Prefix(address, length: length) == self
    }
}

extension Prefix: LosslessStringConvertible {
    /// Parses `address/length`, or a bare address as a host prefix.
    public init?(_ text: some StringProtocol) {
        guard let network = InterfaceAddress(text) else { return nil }
        self = network.prefix
    }

    public var description: String { "\(address)/\(length)" }
}

/// An address of an interface with the length of its network, `10.1.0.1/24`: as `Prefix`, with the host bits kept.
public struct InterfaceAddress: Hashable, Sendable {
    public let address: IPAddress
    /// 0 to 32, or 0 to 128.
    public let length: Int

    public var prefix: Prefix {
        guard let prefix = Prefix(address, length: length) else { preconditionFailure("the length was checked") }
        return prefix
    }
}

extension InterfaceAddress: LosslessStringConvertible {
    /// Parses `address/length`, or a bare address as one with the full length.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        var length = address.width
        if parts.count == 2 {
            let isDecimal = parts[1].utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard isDecimal, let value = Int(parts[1]), value <= address.width else { return nil }
            length = value
        }
        self.address = address
        self.length = length
    }

    public var description: String { "\(address)/\(length)" }
}
