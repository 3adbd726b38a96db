import Addresses
import Control
import LinuxIO
import Steward

/// The tables of the packet filter that a default route needs (`FirewallTables`), while they are there.
struct Firewall {
    private var addresses: [IPAddress]
    private let steward: Steward
    private let log: Log
    private var families: [RoutingRule.Family] = []
    /// The last that was wrong, which is not said again.
    private var problem: String?

    init(_ interface: Configuration.Interface, _ steward: Steward, _ log: Log) {
        addresses = interface.addresses.map(\.address)
        self.steward = steward
        self.log = log
    }

    /// They are there: another process made them.
    mutating func adopt(_ families: [RoutingRule.Family]) { self.families = families }

    /// Makes the tables, or makes them anew. That it can't is said, and ends nothing.
    mutating func make(_ families: [RoutingRule.Family], mark: UInt32) {
        guard !families.isEmpty else { return }
        self.families = families
        switch steward.makeFirewall(FirewallRules(families.map(\.filtered), mark: mark, addresses: addresses)) {
        case .missing: note("nft is missing: install nftables")
        case .ended(0, _): problem = nil
        case .ended(_, let said): note("nft refused our rules (\(said))")
        }
    }

    /// Goes over to other families, addresses, mark.
    mutating func change(to families: [RoutingRule.Family], mark: UInt32, _ interface: Configuration.Interface) {
        addresses = interface.addresses.map(\.address)
        let gone = self.families.filter { !families.contains($0) }
        if !gone.isEmpty { steward.removeFirewall(gone.map(\.filtered)) }
        self.families = families
        make(families, mark: mark)
    }

    /// Removes them again.
    mutating func remove() {
        guard !families.isEmpty else { return }
        steward.removeFirewall(families.map(\.filtered))
        families = []
    }

    private mutating func note(_ problem: String) {
        guard problem != self.problem else { return }
        self.problem = problem
        log.warning(
            "\(problem). The default route works without, but where rp_filter is strict peers are not heard, and "
                + "neighbours can send to the tunnel's addresses")
    }
}

extension RoutingRule.Family {
    fileprivate var filtered: NetworkFamily { self == .v4 ? .v4 : .v6 }
}
