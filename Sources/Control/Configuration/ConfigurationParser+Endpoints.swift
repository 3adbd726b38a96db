import Addresses

// Endpoints that are behind the tunnel which leads to them.

extension ConfigurationParser {
    /// Warns of an endpoint among the AllowedIPs of its own peer: with the route that `Table = auto` makes, the tunnel's own
    /// datagrams go into the tunnel. A default route has a rule that lets them out.
    mutating func compareEndpoints(_ interface: Configuration.Interface, _ sections: [Section]) {
        guard interface.table == .auto else { return }
        // The first line that gives a prefix to a peer, and which peer's section that is.
        var owners: [Prefix: (section: Int, line: Int)] = [:]
        for (number, section) in sections.enumerated() {
            for entry in section.entries where entry.key == .allowedIPs {
                for prefix in (try? ConfigurationValue.prefixes(entry.value)) ?? [] where owners[prefix] == nil {
                    owners[prefix] = (number, entry.line)
                }
            }
        }
        let lengths = Set(owners.keys.map(\.length)).sorted(by: >)
        for (number, section) in sections.enumerated() {
            guard let entry = section.first(.endpoint),
                let endpoint = (try? ConfigurationValue.endpoint(entry.value))?.numeric,
                // The longest prefix of all peers wins.
                let route = lengths.lazy.compactMap({ Prefix(endpoint.address, length: $0) })
                    .first(where: { owners[$0] != nil }),
                let owner = owners[route], owner.section == number, route.length > 0
            else { continue }
            report(
                .warning, line: entry.line, text: "\(endpoint)", "Endpoint among the peer's own AllowedIPs",
                cure: "line \(owner.line) routes \(route) into the tunnel, and what is to carry it as well; take the "
                    + "address out there, or see to a longer route to it outside")
        }
    }
}
