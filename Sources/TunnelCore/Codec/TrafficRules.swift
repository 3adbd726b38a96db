public import Addresses

/// A list of ports, protocols and prefixes that a packet may match.
public struct TrafficRules: Sendable, Equatable {
    /// One rule.
    public enum Rule: Sendable, Equatable {
        /// Packets from or to these ports, of TCP, UDP or both (`nil`).
        case ports(ClosedRange<UInt16>, transport: UInt8?)
        /// Packets to these ports alone.
        case portsTowards(ClosedRange<UInt16>, transport: UInt8?)
        /// Packets from or to addresses in this prefix.
        case prefix(Prefix)
        /// Packets of this IP protocol.
        case transport(UInt8)
    }

    public var rules: [Rule]

    public init(_ rules: [Rule]) { self.rules = rules }

    /// The ports of plaintext HTTP: an attacker who places text in a request beside a cookie learns the cookie from the
    /// length (CRIME, VORACLE).
    public static let exposed = TrafficRules(
        [80, 3128, 8080].map { .portsTowards($0...$0, transport: IPProtocol.tcp) })

    /// Protocols that encrypt or compress by themselves: SSH, TLS on its usual ports, QUIC, IPsec, tunnels.
    static let encrypted = TrafficRules(
        [22, 443, 465, 636, 853, 989, 990, 992, 993, 995, 5061, 8443].map { .ports($0...$0, transport: IPProtocol.tcp) }
            + [443, 500, 853, 1194, 4500, 51820].map { .ports($0...$0, transport: IPProtocol.udp) }
            + [.transport(IPProtocol.esp), .transport(IPProtocol.authenticationHeader)])

    /// Whether any rule matches.
    func match(_ traffic: Traffic) -> Bool {
        for rule in rules {
            switch rule {
            case .ports(let range, let transport):
                guard traffic.hasPorts, transport == nil || transport == traffic.transport else { continue }
                if range.contains(traffic.source.port) || range.contains(traffic.destination.port) { return true }
            case .portsTowards(let range, let transport):
                guard traffic.hasPorts, transport == nil || transport == traffic.transport else { continue }
                if range.contains(traffic.destination.port) { return true }
            case .prefix(let prefix):
                if prefix.contains(traffic.source.address) || prefix.contains(traffic.destination.address) {
                    return true
                }
            case .transport(let number):
                if number == traffic.transport { return true }
            }
        }
        return false
    }
}

/// A packet as the rules see it: who talks to whom, over what.
struct Traffic {
    let source: Endpoint
    let destination: Endpoint
    let transport: UInt8
    /// TCP or UDP, and the header is in this packet.
    let hasPorts: Bool
    /// There may be ports, but not where they could be seen: fragments, IPv6 extension headers (RFC 8200 §4).
    let hidesPorts: Bool

    @inline(__always)
    init(_ packet: RawSpan, _ header: InternetPacket) {
        transport = header.transport
        hasPorts =
            header.isTCPOrUDP && !header.isFragment && header.length >= header.headerLength + 4
        hidesPorts = header.hidesPorts
        source = Endpoint(header.source, port: hasPorts ? packet.big16(at: header.headerLength) : 0)
        destination = Endpoint(header.destination, port: hasPorts ? packet.big16(at: header.headerLength + 2) : 0)
    }
}
