extension Configuration.Interface {
    /// The keys in which this differs from `old` and that only a restart applies, as the documentation spells and orders
    /// them. `Mode` is not among them: with another one nothing is applied.
    public func keysForRestart(since old: Configuration.Interface) -> [String] {
        let changes: [(key: ConfigurationKey, isChanged: Bool)] = [
            (.listenPort, listenPort != old.listenPort),
            (.fwmark, fwmark != old.fwmark),
            (.address, addresses != old.addresses),
            (.dns, dnsServers != old.dnsServers || dnsSearch != old.dnsSearch),
            (.mtu, mtu != old.mtu),
            (.table, table != old.table),
            (.preUp, preUp != old.preUp),
            (.postUp, postUp != old.postUp),
            (.preDown, preDown != old.preDown),
            (.postDown, postDown != old.postDown),
            (.saveConfig, savesConfiguration != old.savesConfiguration),
            (.bridge, bridge != old.bridge),
            (.hub, isHub != old.isHub),
            (.offload, offloads != old.offloads),
            (.metricsListen, metricsListen != old.metricsListen),
        ]
        return changes.filter(\.isChanged).map(\.key.rawValue)
    }
}
