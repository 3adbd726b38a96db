public import Addresses

/// One item of `CompressionSkip` or `CompressionOnly`: a port or range of ports, or a prefix.
///
/// A port is meant at either end of the flow, and so is a prefix.
public enum TrafficSelector: Hashable, Sendable {
    /// `nil` as the transport is both.
    case ports(ClosedRange<UInt16>, Transport?)
    case prefix(Prefix)

    public enum Transport: String, Hashable, Sendable {
        case tcp
        case udp
    }
}

extension TrafficSelector: LosslessStringConvertible {
    /// Parses `tcp/80`, `udp/53`, `443` (both), ranges as in `tcp/8000-8100`, `10.0.0.0/8` and `2001:db8::/32`.
    public init?(_ text: some StringProtocol) {
        if let prefix = Prefix(text) {
            self = .prefix(prefix)
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = parts.last, let ports = Self.parseRange(last) else { return nil }
        var transport: Transport?
        if parts.count == 2 {
            guard let named = Transport(rawValue: parts[0].lowercased()) else { return nil }
            transport = named
        }
        self = .ports(ports, transport)
    }

    public var description: String {
        switch self {
        case .prefix(let prefix): return "\(prefix)"
        case .ports(let range, let transport):
            let ports =
                range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
            return transport.map { "\($0.rawValue)/\(ports)" } ?? ports
        }
    }

    private static func parseRange(_ text: some StringProtocol) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = ends.first, let low = UInt16(decimal: first), low > 0 else { return nil }
        guard ends.count == 2 else { return low...low }
        guard let high = UInt16(decimal: ends[1]), high >= low else { return nil }
        return low...high
    }
}

extension Sequence where Element == TrafficSelector {
    /// Whether any of them means a flow between these ends.
    public func contains(
        transport: TrafficSelector.Transport?, ports: (UInt16, UInt16)?, addresses: (IPAddress, IPAddress)
    ) -> Bool {
        contains { selector in
            switch selector {
            case .prefix(let prefix):
                return prefix.contains(addresses.0) || prefix.contains(addresses.1)
            case .ports(let range, let wanted):
                guard let transport, let ports, wanted == nil || wanted == transport else { return false }
                return range.contains(ports.0) || range.contains(ports.1)
            }
        }
    }
}
