import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward

/// The interface's part of the network: addresses, MTU, routes, rules, and tables of the packet filter.
/// The interface takes the first three with it when it goes.
struct Network: ~Copyable {
    var netlink: Netlink
    let index: UInt32
    /// What is wanted, or after a change that failed in part, what is there.
    var interface: Configuration.Interface
    /// The plan: what is wanted. How much of it is there is the kernel's to say.
    var plan: RoutingPlan
    /// The MTU that the configuration states; `nil` if it is derived.
    var mtu: Int?
    /// The rules that were made, as the kernel placed them.
    var rules: [RoutingRule] = []
    var firewall: Firewall
    private let steward: Steward
    private let log: Log
    /// The MTU that the interface got from the routes; 0: from elsewhere.
    var derived = 0

    /// Plans for the interface `index`; a default route gets the next table in which nothing is.
    init(
        index: UInt32, _ configuration: Configuration, _ steward: Steward, _ log: Log
    ) throws(SystemError) {
        var netlink = try Netlink()
        let plan = RoutingPlan(configuration)
        let table = plan.choosesTable ? try Self.freeTable(&netlink) : RoutingPlan.firstTable
        self.plan = RoutingPlan(configuration, defaultTable: table)
        self.netlink = netlink
        self.index = index
        interface = configuration.interface
        mtu = configuration.interface.mtu
        self.steward = steward
        firewall = Firewall(interface, steward, log)
        self.log = log
    }

    /// Takes over what another process made.
    init(
        adopting made: KeptDaemon.KeptNetwork, index: UInt32, _ configuration: Configuration, _ steward: Steward,
        _ log: Log
    ) throws(SystemError) {
        netlink = try Netlink()
        plan = RoutingPlan(configuration, defaultTable: made.mark)
        self.index = index
        interface = configuration.interface
        mtu = configuration.interface.mtu
        self.steward = steward
        firewall = Firewall(interface, steward, log)
        firewall.adopt(plan.families)
        self.log = log
        rules = made.rules
        derived = made.derived
    }

    /// Makes everything. On a failure, what was made is undone by `undo` and by the end of the interface.
    mutating func make(
        _ configuration: Configuration, _ key: PublicKey, mtu: Int, _ bridge: Bridge?
    ) throws(SystemError) {
        // A link-local address would make the kernel send into the tunnel on its own. In an Ethernet it has its use,
        // but not on a port of a bridge.
        if interface.mode == .tun || bridge != nil { try? netlink.disableLinkLocalAddress(of: index) }
        if interface.mode == .tap { try netlink.setAddress(MACAddress(of: key), of: index) }
        try netlink.setMTU(mtu, of: index)
        derived = mtu
        if let bridge { try netlink.setBridge(bridge.index, of: index) }
        for address in interface.addresses { try netlink.addAddress(address, to: index) }
        try netlink.setUp(index)
        for route in plan.routes where !plan.isDefault(route) { try addRoute(route) }
        try addDefaultRoutes(configuration)
        for family in plan.families {
            try removeStaleRules(family)
            try addRules(family)
        }
        firewall.make(plan.families, mark: plan.mark)
        if plan.families.contains(.v4) { acceptMarkedReplies() }
    }

    /// Removes what the end of the interface leaves behind.
    mutating func undo() {
        for rule in rules { try? netlink.removeRule(rule) }
        rules = []
        firewall.remove()
    }

    /// The MTU for a tunnel to these endpoints: the smallest on the way less what IPv6, UDP and WireGuard add.
    mutating func derivedMTU(for endpoints: [Endpoint]) -> Int {
        let overhead = 40 + 8 + 32
        let mtus = endpoints.compactMap { endpoint -> Int? in
            guard let path = try? netlink.path(to: endpoint.address, mark: plan.mark) else { return nil }
            return path.mtu ?? netlink.deviceMTU(path.interface)
        }
        return min(max((mtus.min() ?? 1500) - overhead, 1280), 65_535 - overhead)
    }

    /// Sets the interface's MTU anew if the endpoints' routes make it another one; what it is then, if that changed it.
    mutating func followRoutes(to endpoints: [Endpoint]) -> Int? {
        guard interface.mtu == nil, interface.mode == .tun else { return nil }
        let new = derivedMTU(for: endpoints)
        guard new != derived else { return nil }
        derived = new
        return (try? netlink.setMTU(new, of: index)) == nil ? nil : new
    }

    /// Adds a route; an error says as well what is in the way.
    mutating func addRoute(_ route: (destination: Prefix, table: UInt32)) throws(SystemError) {
        do throws(SystemError) {
            try netlink.addRoute(Route(route.destination, interface: index, table: route.table))
        } catch {
            guard error.number == EEXIST, let other = try? netlink.routes(in: route.table),
                let found = other.first(where: { $0.destination == route.destination }),
                let name = Self.name(of: found.interface)
            else { throw error }
            throw SystemError("\(error.attempt), where one goes through \(name)", number: error.number)
        }
    }

    /// Adds the two rules of a family before all others.
    mutating func addRules(_ family: RoutingRule.Family) throws(SystemError) {
        for rule in plan.rules(of: family) { rules.append(try netlink.addRule(rule)) }
    }

    /// Goes on to the next free table when somebody was faster.
    private mutating func addDefaultRoutes(_ configuration: Configuration) throws(SystemError) {
        while true {
            let routes = plan.routes.filter { plan.isDefault($0) }
            do throws(SystemError) {
                for route in routes { try addRoute(route) }
                return
            } catch {
                guard error.number == EEXIST, plan.choosesTable else { throw error }
                for route in routes {
                    try? netlink.removeRoute(Route(route.destination, interface: index, table: route.table))
                }
                plan = RoutingPlan(configuration, defaultTable: try Self.freeTable(&netlink))
            }
        }
    }

    /// A table without routes, as wg-quick finds it: the first from 51820 on.
    static func freeTable(_ netlink: inout Netlink) throws(SystemError) -> UInt32 {
        let used = try netlink.tablesInUse()
        return (RoutingPlan.firstTable..<UInt32.max).first { !used.contains($0) } ?? RoutingPlan.firstTable
    }

    /// Removes rules into our table that a killed daemon left behind, where they would stay for ever, each with its
    /// companion before it. Another tunnel has its companion elsewhere.
    private mutating func removeStaleRules(_ family: RoutingRule.Family) throws(SystemError) {
        let stale = RoutingRule.Action.lookUpUnlessMarked(mark: plan.mark, table: plan.mark)
        for rule in try netlink.rules(of: family) where rule.action == stale {
            try? netlink.removeRule(rule)
            guard let priority = rule.priority, priority > 0 else { continue }
            try? netlink.removeRule(
                RoutingRule(family, .lookUpWithoutDefault(table: Route.mainTable), priority: priority - 1))
        }
    }

    /// Lets answers to marked datagrams pass the reverse path filter.
    func acceptMarkedReplies() {
        do throws(SystemError) {
            try steward.acceptMarkedReplies()
        } catch {
            log.warning(
                "can't set net.ipv4.conf.all.src_valid_mark to 1 (\(SystemError.text(of: error.number))): "
                    + "where rp_filter is strict peers are not heard")
        }
    }

    static func name(of index: UInt32) -> String? { interfaceName(of: index) }
}
