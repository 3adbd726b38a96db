import Addresses
import Control

/// The rules of the packet filter that a default route through the tunnel needs, as wg-quick makes it, by `nft`: a table
/// `gateway-NAME` for each family whose default route it is.
///
/// - The mark of our own datagrams is kept with their connection and given back to what answers them. A reverse path
///   filter then looks up the way that they took, not the tunnel.
/// - A packet for one of the tunnel's addresses that comes through another interface is dropped: a neighbour must not be
///   able to probe, and to speak into, the connections inside (CVE-2019-14899).
struct FirewallTables: Sendable {
    private let name: InterfaceName

    init(_ name: InterfaceName) { self.name = name }

    func answer(_ request: StewardRequest) -> StewardReply {
        switch request {
        case .makeFirewall(let rules): run(rules.families.flatMap { replacing($0, rules) })
        case .removeFirewall(let families): run(families.flatMap { removing($0) })
        case .sweepFirewall: run(NetworkFamily.allCases.flatMap { removing($0) })
        default: .refused
        }
    }

    private func run(_ commands: [String]) -> StewardReply {
        .program(Program.run("nft", [commands.joined(separator: "\n")]))
    }

    func replacing(_ family: NetworkFamily, _ rules: FirewallRules) -> [String] {
        let table = table(family)
        let drops = rules.addresses.filter { $0.isV4 == (family == .v4) }.map { address in
            "add rule \(table) preraw iifname != \"\(name)\" \(family.nft) daddr \(address) fib saddr type != local drop"
        }
        return removing(family) + [
            "add table \(table)",
            "add chain \(table) preraw { type filter hook prerouting priority -300; }",
            "add chain \(table) premangle { type filter hook prerouting priority -150; }",
            "add chain \(table) postmangle { type filter hook postrouting priority -150; }",
        ] + drops + [
            "add rule \(table) postmangle meta l4proto udp meta mark \(rules.mark) ct mark set meta mark",
            "add rule \(table) premangle meta l4proto udp meta mark set ct mark",
        ]
    }

    /// Adding comes first: what is not there can't be deleted.
    private func removing(_ family: NetworkFamily) -> [String] {
        ["add table \(table(family))", "delete table \(table(family))"]
    }

    /// The table with its family. A name of `nft` has no `=` and `+`, but it may have `/`, which an interface's has not.
    private func table(_ family: NetworkFamily) -> String {
        let text = name.description.map { character in
            switch character {
            case "=": "/e"
            case "+": "/p"
            default: "\(character)"
            }
        }
        return "\(family.nft) gateway-\(text.joined())"
    }
}

extension NetworkFamily {
    fileprivate var nft: String { self == .v4 ? "ip" : "ip6" }
}
