import Addresses
import Control
import LinuxIO

/// Which routes and rules an interface needs: worked out before anything is made.
struct RoutingPlan: Equatable {
    /// The mark on our own datagrams, by which they escape the tunnel's own default route; 0 is none.
    let mark: UInt32
    /// Destinations and the tables they go into.
    let routes: [(destination: Prefix, table: UInt32)]
    /// Families whose default route goes through the tunnel.
    let families: [RoutingRule.Family]

    /// The first table that is tried for a default route, as wg-quick does it.
    private static let defaultTable: UInt32 = 51820

    init(_ configuration: Configuration) {
        let own = configuration.interface.addresses.map(\.prefix)
        let prefixes = Set(configuration.peers.flatMap(\.allowedIPs)).sorted { $0.length > $1.length }
        switch configuration.interface.table {
        case .off:
            mark = configuration.interface.fwmark
            routes = []
            families = []
        case .number(let table):
            mark = configuration.interface.fwmark
            routes = prefixes.map { ($0, table) }
            families = []
        case .auto:
            let takesDefault = prefixes.filter { $0.length == 0 }
            let table = configuration.interface.fwmark != 0 ? configuration.interface.fwmark : Self.defaultTable
            mark = takesDefault.isEmpty ? configuration.interface.fwmark : table
            // What an address of the interface covers is routed already.
            let others = prefixes.filter { prefix in
                prefix.length > 0 && !own.contains { $0.length <= prefix.length && $0.contains(prefix.address) }
            }
            routes = others.map { ($0, Route.mainTable) } + takesDefault.map { ($0, table) }
            families = takesDefault.map { $0.address.isV4 ? .v4 : .v6 }
        }
    }

    static func == (a: RoutingPlan, b: RoutingPlan) -> Bool {
        a.mark == b.mark && a.families == b.families && a.routes.elementsEqual(b.routes, by: ==)
    }

    /// The rules that send everything unmarked into the tunnel's table, unless the main table knows better than its
    /// default route.
    var rules: [RoutingRule] {
        families.flatMap { family in
            [
                RoutingRule(family, .lookUpUnlessMarked(mark: mark, table: mark)),
                RoutingRule(family, .lookUpWithoutDefault(table: Route.mainTable)),
            ]
        }
    }
}
