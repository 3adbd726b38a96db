/// Something that is wrong with another port of the bridge that the interface of an Ethernet tunnel is a port of.
public struct BridgePortTrouble: Codable, Hashable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// Its MTU is smaller than the interface's.
        case mtu
        /// It takes no large frames.
        case offloads
        /// It takes large frames, but none that are as large as they get.
        case largest
        /// It merges nothing of what comes there.
        case merging
    }

    public var port: String
    public var bridge: String
    /// A `Kind`, or a word of a later version.
    public var kind: String
    /// Frames get lost there; else it takes time.
    public var isLoss: Bool
    public var text: String
    public var cure: String

    public init(_ port: BridgePortFacts, _ kind: Kind, isLoss: Bool, text: String, cure: String) {
        self.port = port.name
        bridge = port.bridge
        self.kind = kind.rawValue
        self.isLoss = isLoss
        self.text = text
        self.cure = cure
    }

    enum CodingKeys: String, CodingKey {
        case port, bridge, kind, text, cure
        case isLoss = "losesFrames"
    }
}
