// Keys that belong to one mode, and not to the other.

extension ConfigurationParser {
    /// The largest MTU of a TAP: a frame with its header, two VLAN tags and the record's head fits into a unit.
    static let largestEthernetMTU = 65_509

    /// Reports the keys that the mode of the interface gives no meaning to.
    mutating func compareMode(_ peers: [Section]) {
        guard let interface = interfaceSection else { return }
        let written = interface.first(.mode)?.value.lowercased() ?? Configuration.Mode.tun.rawValue
        switch Configuration.Mode(rawValue: written) {
        case .tap: compareTap(interface, peers)
        case .tun: compareTun(interface, peers)
        case nil: break  // has been reported
        }
    }

    private mutating func compareTun(_ interface: Section, _ peers: [Section]) {
        var entries = peers.map { $0.first(.allowedMACs) }
        entries.append(interface.first(.bridge))
        for key in [ConfigurationKey.hub, .arpProxy] {
            guard let entry = interface.first(key), (try? ConfigurationValue.onOff(entry.value, of: key)) == true else {
                continue
            }
            entries.append(entry)
        }
        for case let entry? in entries {
            report(
                .error, line: entry.line, text: entry.key.rawValue, "key of an Ethernet tunnel",
                cure: "write Mode = tap in [Interface], or remove the line")
        }
    }

    private mutating func compareTap(_ interface: Section, _ peers: [Section]) {
        for case let entry? in peers.map({ $0.first(.allowedIPs) }) where !entry.value.isEmpty {
            report(
                .error, line: entry.line, text: "AllowedIPs", "key without meaning for Mode = tap",
                cure: "remove the line; AllowedMACs says which Ethernet addresses are believed")
        }
        if let bridge = interface.first(.bridge), let address = interface.first(.address) {
            report(
                .error, line: address.line, text: "Address", "an address on a port of a bridge is of no use",
                cure: "give it to the bridge \(bridge.value), and remove the line")
        }
        if let entry = interface.first(.mtu), let mtu = Int(entry.value), (Self.largestEthernetMTU + 1...65535) ~= mtu {
            report(
                .error, line: entry.line, text: entry.value, "MTU is too large for Mode = tap",
                cure: "write at most \(Self.largestEthernetMTU)")
        }
    }
}
