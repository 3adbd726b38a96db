/// Where a datagram comes from or goes to: an address, a UDP port, and for link-local IPv6 the interface.
@frozen
public struct Endpoint: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16
    /// The interface index that a link-local IPv6 address belongs to; else 0.
    public var scope: UInt32

    @inlinable public init(_ address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }
}

extension Endpoint: LosslessStringConvertible {
    /// Parses `192.0.2.1:51820` or `[2001:db8::1]:51820`; a numeric zone (`[fe80::1%2]:51820`) is the scope.
    public init?(_ text: some StringProtocol) {
        guard let host = HostAndPort(text), let endpoint = host.numeric else { return nil }
        self = endpoint
    }

    public var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: scope == 0 ? "[\(address)]:\(port)" : "[\(address)%\(scope)]:\(port)"
        }
    }
}

/// An endpoint as a person writes it: the host may be a name.
public struct HostAndPort: Hashable, Sendable {
    /// A name or an address, without brackets.
    public let host: String
    public let port: UInt16

    /// The endpoint, if the host is an address and not a name.
    public var numeric: Endpoint? {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard parts.count == 2 else { return Endpoint(address, port: port) }
        guard !address.isV4, parts[1].first != "+", let scope = UInt32(parts[1]) else { return nil }
        return Endpoint(address, port: port, scope: scope)
    }
}

extension HostAndPort: LosslessStringConvertible {
    /// Parses `host:port` and `[v6]:port`.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        // UInt16 would take a sign.
        guard digits.utf8.first != UInt8(ascii: "+"), let port = UInt16(digits) else { return nil }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, port > 0 else { return nil }
        self.host = String(host)
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
