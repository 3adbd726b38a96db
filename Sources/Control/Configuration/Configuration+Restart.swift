extension Configuration.Interface {
    /// The keys in which this differs from `old` and that only a restart applies, as the documentation spells and orders
    /// them. `Mode` is not among them: with another one nothing is applied.
    public func keysForRestart(since old: Configuration.Interface) -> [String] {
        let changes: [(key: ConfigurationKey, isChanged: Bool)] = [
            (.preUp, preUp != old.preUp),
            (.postUp, postUp != old.postUp),
            (.bridge, bridge != old.bridge),
            (.hub, isHub != old.isHub),
            (.metricsListen, metricsListen != old.metricsListen),
        ]
        return changes.filter(\.isChanged).map(\.key.rawValue)
    }

    /// Why a key takes a restart; `nil` for one that does not.
    public static func reasonForRestart(_ key: ConfigurationKey) -> String? {
        switch key {
        case .preUp, .postUp: "it belongs to the start, which is over"
        case .bridge: "the interface joined its bridge before it came up"
        case .hub: "the peers' sessions were made for the other"
        case .metricsListen: "the daemon may open no TCP port any more"
        case .mode: "the interface is of the other kind"
        default: nil
        }
    }
}
