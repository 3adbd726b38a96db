/// Another port of the bridge that the interface of an Ethernet tunnel is a port of, and what becomes of large frames there.
public struct BridgePortFacts: Codable, Hashable, Sendable {
    public var name: String
    public var bridge: String
    public var mtu: Int
    /// What of it is off, in the words of `ethtool -K`.
    public var off: [String]
    /// The largest frame that it is handed for several, in bytes.
    public var largest: Int?
    /// It is a network card: what comes there is merged to large frames by the kernel, or by nobody.
    public var isCard: Bool

    public init(name: String, bridge: String, mtu: Int, off: [String] = [], largest: Int? = nil, isCard: Bool = false) {
        self.name = name
        self.bridge = bridge
        self.mtu = mtu
        self.off = off
        self.largest = largest
        self.isCard = isCard
    }

    /// From so many bytes on cutting costs little.
    private static let large = 32_768

    /// What is wrong with it, for an interface with an MTU of `mtu`. `isLarge`: the interface gives and takes large frames.
    public func troubles(mtu: Int, isLarge: Bool) -> [BridgePortTrouble] {
        var troubles: [BridgePortTrouble] = []
        if self.mtu < mtu {
            troubles.append(
                BridgePortTrouble(
                    self, .mtu, isLoss: true,
                    text:
                        "frames that carry more than \(self.mtu) bytes get lost at \(name), a port of \(bridge), and nobody is told: "
                        + "that is its MTU, the interface has \(mtu)",
                    cure:
                        "ip link set \(name) mtu \(mtu); or an MTU of \(self.mtu) in the file and at the hosts of all sites"
                ))
        }
        guard isLarge else { return troubles }
        let out = off.filter { $0 != "gro" }
        if !out.isEmpty {
            troubles.append(
                BridgePortTrouble(
                    self, .offloads, isLoss: false,
                    text:
                        "\(name), a port of \(bridge), takes no large frames (\(out.joined(separator: ", ")) off): the kernel cuts them, "
                        + "which takes time of the processor",
                    cure:
                        "ethtool -K \(name) \(out.map { "\($0) on" }.joined(separator: " ")); where that is fixed, a newer driver or card"
                ))
        } else if let largest, largest < Self.large {
            troubles.append(
                BridgePortTrouble(
                    self, .largest, isLoss: false,
                    text:
                        "\(name), a port of \(bridge), takes large frames of up to \(largest) bytes alone: the kernel cuts others, "
                        + "which takes time of the processor",
                    cure: "ip link set \(name) gso_max_size 65536; where that is refused, a newer driver or card"))
        }
        if isCard, off.contains("gro") {
            troubles.append(
                BridgePortTrouble(
                    self, .merging, isLoss: false,
                    text: "what comes at \(name), a port of \(bridge), is handed over frame by frame (gro off), "
                        + "which takes time of the processor",
                    cure: "ethtool -K \(name) gro on"))
        }
        return troubles
    }
}
