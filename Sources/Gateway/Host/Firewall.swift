import Addresses
import Control
import LinuxIO

/// The rules of the packet filter that a default route through the tunnel needs, as wg-quick makes it, by `nft`: a table
/// `gateway-NAME` for each family whose default route it is.
///
/// - The mark of our own datagrams is kept with their connection and given back to what answers them. A reverse path
///   filter then looks up the way that they took, not the tunnel.
/// - A packet for one of the tunnel's addresses that comes through another interface is dropped: a neighbour must not be
///   able to probe, and to speak into, the connections inside (CVE-2019-14899).
struct Firewall {
    private let name: InterfaceName
    private let addresses: [IPAddress]
    private let log: Log
    private var families: [RoutingRule.Family] = []
    /// The last that was wrong, which is not said again.
    private var problem: String?

    init(_ interface: Configuration.Interface, _ log: Log) {
        name = interface.name
        addresses = interface.addresses.map(\.address)
        self.log = log
    }

    /// Makes the tables, or makes them anew. That it can't is said, and ends nothing.
    mutating func make(_ families: [RoutingRule.Family], mark: UInt32) {
        guard !families.isEmpty else { return }
        self.families = families
        let commands = families.flatMap { replacing($0, mark: mark) }
        switch Program.run("nft", [commands.joined(separator: "\n")]) {
        case .missing: note("nft is missing: install nftables")
        case .ended(0, _): problem = nil
        case .ended(_, let said): note("nft refused our rules (\(said))")
        }
    }

    /// Removes them again.
    mutating func remove() {
        guard !families.isEmpty else { return }
        Self.run(families.flatMap { removing($0) })
        families = []
    }

    /// Removes what a daemon of this interface that was killed may have left behind.
    func sweep() { Self.run(RoutingRule.Family.allCases.flatMap { removing($0) }) }

    private static func run(_ commands: [String]) { _ = Program.run("nft", [commands.joined(separator: "\n")]) }

    private mutating func note(_ problem: String) {
        guard problem != self.problem else { return }
        self.problem = problem
        log.warning(
            "\(problem). The default route works without, but where rp_filter is strict peers are not heard, and "
                + "neighbours can send to the tunnel's addresses")
    }

    private func replacing(_ family: RoutingRule.Family, mark: UInt32) -> [String] {
        let table = table(family)
        let drops = addresses.filter { $0.isV4 == (family == .v4) }.map { address in
            "add rule \(table) preraw iifname != \"\(name)\" \(family.nft) daddr \(address) fib saddr type != local drop"
        }
        return removing(family) + [
            "add table \(table)",
            "add chain \(table) preraw { type filter hook prerouting priority -300; }",
            "add chain \(table) premangle { type filter hook prerouting priority -150; }",
            "add chain \(table) postmangle { type filter hook postrouting priority -150; }",
        ] + drops + [
            "add rule \(table) postmangle meta l4proto udp meta mark \(mark) ct mark set meta mark",
            "add rule \(table) premangle meta l4proto udp meta mark set ct mark",
        ]
    }

    /// Adding comes first: what is not there can't be deleted.
    private func removing(_ family: RoutingRule.Family) -> [String] {
        ["add table \(table(family))", "delete table \(table(family))"]
    }

    /// The table with its family. A name of `nft` has no `=` and `+`, but it may have `/`, which an interface's has not.
    private func table(_ family: RoutingRule.Family) -> String {
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

extension RoutingRule.Family {
    fileprivate var nft: String { self == .v4 ? "ip" : "ip6" }
}
