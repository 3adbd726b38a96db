import Addresses
import Control
import LinuxIO

/// The routes and rules that an interface needs: worked out before anything is made.
struct RoutingPlan: Equatable {
    /// The mark on our own datagrams, by which they escape the tunnel's own default route; 0 is none.
    let mark: UInt32
    /// Destinations and the tables they go into.
    let routes: [(destination: Prefix, table: UInt32)]
    /// Families whose default route goes through the tunnel.
    let families: [RoutingRule.Family]
    /// Whether any free table will do for the default route, since the file names none.
    let choosesTable: Bool

    /// The first table that is tried for a default route, as wg-quick does it.
    static let firstTable: UInt32 = 51820

    /// `defaultTable` is where a default route goes unless the file says so by `FwMark` or `Table`.
    init(_ configuration: Configuration, defaultTable: UInt32 = firstTable) {
        let own = configuration.interface.addresses.map(\.prefix)
        let prefixes = Set(configuration.peers.flatMap(\.allowedIPs)).sorted { $0.length > $1.length }
        switch configuration.interface.table {
        case .off:
            self.init(mark: configuration.interface.fwmark, routes: [])
        case .number(let table):
            self.init(mark: configuration.interface.fwmark, routes: prefixes.map { ($0, table) })
        case .auto:
            let takesDefault = prefixes.filter { $0.length == 0 }
            let fwmark = configuration.interface.fwmark
            let table = fwmark != 0 ? fwmark : defaultTable
            // What an address of the interface covers is routed already.
            let others = prefixes.filter { prefix in
                prefix.length > 0 && !own.contains { $0.length <= prefix.length && $0.contains(prefix.address) }
            }
            self.init(
                mark: takesDefault.isEmpty ? fwmark : table,
                routes: others.map { ($0, Route.mainTable) } + takesDefault.map { ($0, table) },
                families: RoutingRule.Family.allCases.filter { family in
                    takesDefault.contains { $0.address.isV4 == (family == .v4) }
                },
                choosesTable: !takesDefault.isEmpty && fwmark == 0)
        }
    }

    private init(
        mark: UInt32, routes: [(destination: Prefix, table: UInt32)], families: [RoutingRule.Family] = [],
        choosesTable: Bool = false
    ) {
        self.mark = mark
        self.routes = routes
        self.families = families
        self.choosesTable = choosesTable
    }

    static func == (a: RoutingPlan, b: RoutingPlan) -> Bool {
        a.mark == b.mark && a.families == b.families && a.choosesTable == b.choosesTable
            && a.routes.elementsEqual(b.routes, by: ==)
    }

    /// This plan with the default routes and the mark of another: with them go the rules, and the mark of the sockets.
    func keepingDefault(of other: RoutingPlan) -> RoutingPlan {
        RoutingPlan(
            mark: other.mark,
            routes: routes.filter { !isDefault($0) } + other.routes.filter { other.isDefault($0) },
            families: other.families, choosesTable: other.choosesTable)
    }

    /// Whether a route is a default route that has a table of its own.
    func isDefault(_ route: (destination: Prefix, table: UInt32)) -> Bool {
        !families.isEmpty && route.destination.length == 0
    }

    /// The rules that send everything unmarked into the tunnel's table, unless the main table knows better than its
    /// default route.
    func rules(of family: RoutingRule.Family) -> [RoutingRule] {
        [
            RoutingRule(family, .lookUpUnlessMarked(mark: mark, table: mark)),
            RoutingRule(family, .lookUpWithoutDefault(table: Route.mainTable)),
        ]
    }
}
