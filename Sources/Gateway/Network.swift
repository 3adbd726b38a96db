import Addresses
import Control
import Glibc
import Keys
import LinuxIO

/// What an interface has in the network besides itself: addresses, MTU, routes, rules. The interface takes all but the
/// rules with it when it goes.
struct Network: ~Copyable {
    private var netlink: Netlink
    private let index: UInt32
    private var plan: RoutingPlan
    private var madeRules: [RoutingRule] = []

    init(index: UInt32, _ plan: RoutingPlan) throws(SystemError) {
        netlink = try Netlink()
        self.index = index
        self.plan = plan
    }

    /// Makes everything. On a failure, what was made is undone by `undo` and by the end of the interface.
    mutating func make(
        _ interface: Configuration.Interface, _ key: PublicKey, mtu: Int, _ bridge: Bridge?
    ) throws(SystemError) {
        // A link-local address would make the kernel send into the tunnel on its own. In an Ethernet it has its use,
        // but not on a port of a bridge.
        if interface.mode == .tun || bridge != nil { try? netlink.disableLinkLocalAddress(of: index) }
        if interface.mode == .tap { try netlink.setAddress(MACAddress(of: key), of: index) }
        try netlink.setMTU(mtu, of: index)
        if let bridge { try netlink.setBridge(bridge.index, of: index) }
        for address in interface.addresses { try netlink.addAddress(address, to: index) }
        try netlink.setUp(index)
        for route in plan.routes {
            try netlink.addRoute(Route(route.destination, interface: index, table: route.table))
        }
        for rule in plan.rules {
            // One that a killed daemon left behind would stay for ever.
            while (try? netlink.removeRule(rule)) != nil {}
            try netlink.addRule(rule)
            madeRules.append(rule)
        }
        if plan.families.contains(.v4) { Self.acceptMarkedReplies() }
    }

    /// Goes over to the routes of another plan: those that only one of the two has are removed or added. Default routes
    /// stay as they are, since the sockets' mark and the rules go with them.
    mutating func change(to new: RoutingPlan) throws(SystemError) {
        let old = plan
        plan = new
        for route in old.routes where route.destination.length > 0 && !new.routes.contains(where: { $0 == route }) {
            try? netlink.removeRoute(Route(route.destination, interface: index, table: route.table))
        }
        for route in new.routes where route.destination.length > 0 && !old.routes.contains(where: { $0 == route }) {
            try netlink.addRoute(Route(route.destination, interface: index, table: route.table))
        }
    }

    /// Removes what the end of the interface leaves behind.
    mutating func undo() {
        for rule in madeRules { try? netlink.removeRule(rule) }
        madeRules = []
    }

    /// The MTU for a tunnel to these endpoints: the smallest of their links less what IPv6, UDP and WireGuard add.
    mutating func derivedMTU(for endpoints: [Endpoint]) -> Int {
        let overhead = 40 + 8 + 32
        let links = endpoints.compactMap { endpoint -> Int? in
            guard let path = try? netlink.path(to: endpoint.address, mark: plan.mark) else { return nil }
            return path.mtu ?? linkMTU(path.interface)
        }
        return min(max((links.min() ?? 1500) - overhead, 1280), 65_535 - overhead)
    }

    private mutating func linkMTU(_ index: UInt32) -> Int? {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard let text = unsafe if_indextoname(index, &name) else { return nil }
        return try? netlink.link(named: unsafe String(cString: text))?.mtu
    }

    /// Lets answers to marked datagrams pass the reverse path filter.
    private static func acceptMarkedReplies() {
        let file = unsafe open("/proc/sys/net/ipv4/conf/all/src_valid_mark", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = unsafe write(file, "1", 1)
        close(file)
    }
}
