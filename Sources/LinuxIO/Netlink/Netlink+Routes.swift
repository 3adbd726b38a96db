public import Addresses
import Glibc

/// A route through an interface, without a gateway: what a tunnel needs.
public struct Route: Hashable, Sendable {
    /// The table that the kernel uses when no rule says otherwise.
    public static let mainTable: UInt32 = 254

    public var destination: Prefix
    public var interface: UInt32
    public var table: UInt32
    /// Of equal routes the lowest wins; `nil` leaves it to the kernel (0 for IPv4, 1024 for IPv6).
    public var metric: UInt32?

    public init(_ destination: Prefix, interface: UInt32, table: UInt32 = mainTable, metric: UInt32? = nil) {
        self.destination = destination
        self.interface = interface
        self.table = table
        self.metric = metric
    }
}

/// How the kernel would reach an address.
public struct RoutePath: Equatable, Sendable {
    public let interface: UInt32
    /// The address that a packet would leave from.
    public let source: IPAddress?
    public let gateway: IPAddress?
    /// The route's own MTU, if it has one; else that of the interface holds.
    public let mtu: Int?
}

extension Netlink {
    /// Adds a route; `EEXIST` if the table has one to the same destination with the same metric.
    public mutating func addRoute(_ route: Route) throws(SystemError) {
        let request = routeRequest(RTNetlink.newRoute, flags: RTNetlink.create | RTNetlink.exclusive, route)
        try send(request, "add the route to \(route.destination) in table \(route.table)")
    }

    /// `ESRCH` if there is none.
    public mutating func removeRoute(_ route: Route) throws(SystemError) {
        let request = routeRequest(RTNetlink.deleteRoute, flags: 0, route)
        try send(request, "remove the route to \(route.destination) in table \(route.table)")
    }

    /// The unicast routes of a table through an interface, both families. The kernel's own (local, broadcast) are not
    /// among them.
    public mutating func routes(in table: UInt32 = Route.mainTable) throws(SystemError) -> [Route] {
        try listRoutes { message, any in Route(message, any: any).flatMap { $0.table == table ? $0 : nil } }
    }

    /// The unicast routes of all tables through one interface, both families.
    public mutating func routes(through interface: UInt32) throws(SystemError) -> [Route] {
        try listRoutes { message, any in Route(message, any: any).flatMap { $0.interface == interface ? $0 : nil } }
    }

    /// The tables in which there is any route, of whichever kind and family.
    public mutating func tablesInUse() throws(SystemError) -> Set<UInt32> {
        Set(try listRoutes { message, _ in message.routeTable })
    }

    private mutating func listRoutes<Value>(
        _ value: (NetlinkMessage, IPAddress) -> Value?
    ) throws(SystemError) -> [Value] {
        var values: [Value] = []
        for any in [IPAddress.v4(0), .v6(0)] {
            var request = request(RTNetlink.getRoute, flags: RTNetlink.dump)
            request.appendRoute(family: any.linuxFamily)
            do throws(SystemError) {
                values += try ask(request, "list the routes").compactMap { value($0, any) }
            } catch {
                // A kernel without IPv6 has no such routes.
                guard !any.isV4, error.number == EOPNOTSUPP || error.number == EAFNOSUPPORT else { throw error }
            }
        }
        return values
    }

    /// How a packet with `mark` would reach `address`; `ENETUNREACH` if it would not.
    public mutating func path(to address: IPAddress, mark: UInt32 = 0) throws(SystemError) -> RoutePath {
        var request = request(RTNetlink.getRoute, flags: RTNetlink.acknowledge)
        request.appendRoute(family: address.linuxFamily, length: UInt8(address.width))
        request.append(RTNetlink.Route.destination, address)
        if mark != 0 { request.append(RTNetlink.Route.mark, mark) }
        let attempt = "find the route to \(address)"
        guard let answer = try ask(request, attempt).first, let path = RoutePath(answer) else {
            throw SystemError(attempt, number: 0)
        }
        return path
    }

    private mutating func routeRequest(_ type: UInt16, flags: UInt16, _ route: Route) -> NetlinkRequest {
        var request = request(type, flags: flags | RTNetlink.acknowledge)
        let isRemoval = type == RTNetlink.deleteRoute
        let isV4 = route.destination.address.isV4
        // A removal with the scope "nowhere" and without protocol and type matches whatever was added.
        request.appendRoute(
            family: route.destination.address.linuxFamily, length: UInt8(route.destination.length),
            from: isRemoval ? 0 : RTNetlink.Route.bootProtocol,
            scope: isRemoval ? RTNetlink.Route.nowhere : isV4 ? RTNetlink.Route.linkScope : RTNetlink.Route.universe,
            type: isRemoval ? 0 : RTNetlink.Route.unicast)
        if route.destination.length > 0 {
            request.append(RTNetlink.Route.destination, route.destination.address)
        }
        request.append(RTNetlink.Route.interface, route.interface)
        request.append(RTNetlink.Route.table, route.table)
        if let metric = route.metric { request.append(RTNetlink.Route.metric, metric) }
        return request
    }
}

extension NetlinkRequest {
    /// The fixed part of a route; the table is an attribute, since here it has only 8 bits.
    fileprivate mutating func appendRoute(
        family: UInt8, length: UInt8 = 0, from: UInt8 = 0, scope: UInt8 = 0, type: UInt8 = 0
    ) {
        for byte in [family, length, 0, 0, 0, from, scope, type] { append(byte) }
        append(UInt32(0))
    }
}

extension NetlinkMessage {
    /// The table that a route message is about.
    fileprivate var routeTable: UInt32? {
        guard type == RTNetlink.newRoute, let short = body.native(UInt8.self, at: 4) else { return nil }
        let attributes = attributes(after: RTNetlink.routeSize)
        return attributes[RTNetlink.Route.table]?.native(UInt32.self, at: 0) ?? UInt32(short)
    }
}

extension Route {
    fileprivate init?(_ message: NetlinkMessage, any: IPAddress) {
        let attributes = message.attributes(after: RTNetlink.routeSize)
        guard message.type == RTNetlink.newRoute,
            let length = message.body.native(UInt8.self, at: 1),
            let table = message.routeTable,
            message.body.native(UInt8.self, at: 7) == RTNetlink.Route.unicast,
            let flags = message.body.native(UInt32.self, at: 8), flags & RTNetlink.Route.cloned == 0,
            let interface = attributes[RTNetlink.Route.interface]?.native(UInt32.self, at: 0),
            let destination = Prefix(
                attributes[RTNetlink.Route.destination]?.networkAddress ?? any, length: Int(length))
        else { return nil }
        self.init(
            destination, interface: interface, table: table,
            metric: attributes[RTNetlink.Route.metric]?.native(UInt32.self, at: 0))
    }
}

extension RoutePath {
    fileprivate init?(_ message: NetlinkMessage) {
        let attributes = message.attributes(after: RTNetlink.routeSize)
        guard message.type == RTNetlink.newRoute,
            let interface = attributes[RTNetlink.Route.interface]?.native(UInt32.self, at: 0)
        else { return nil }
        self.interface = interface
        source = attributes[RTNetlink.Route.preferredSource]?.networkAddress
        gateway = attributes[RTNetlink.Route.gateway]?.networkAddress
        let metrics = attributes[RTNetlink.Route.metrics].map { NetlinkMessage.attributes(in: $0) }
        mtu = metrics?[RTNetlink.Route.mtuMetric]?.native(UInt32.self, at: 0).map { Int($0) }
    }
}
