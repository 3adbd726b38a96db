/// The mode of a tunnel: IP packets, or Ethernet frames as a wire or a switch.
public enum TunnelMode: Sendable, Equatable {
    /// IP packets, by AllowedIPs.
    case packets
    /// Ethernet frames, by learned addresses. What came from a peer goes to another only through a hub.
    case frames(isHub: Bool)
}

extension TunnelMode {
    var cargo: Cargo { self == .packets ? .packets : .frames }
    var isHub: Bool { self == .frames(isHub: true) }
}
