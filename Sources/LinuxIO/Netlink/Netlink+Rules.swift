/// A policy rule, as a tunnel that takes the default route needs them: what is not the tunnel's own looks in the
/// tunnel's table first, except for what the main table routes by more than its default route.
public struct RoutingRule: Hashable, Sendable {
    public enum Family: UInt8, Sendable, CaseIterable {
        case v4 = 2
        case v6 = 10
    }

    public enum Action: Hashable, Sendable {
        /// `not fwmark MARK table TABLE`
        case lookUpUnlessMarked(mark: UInt32, table: UInt32)
        /// `table TABLE suppress_prefixlength 0`: as if the table had no default route.
        case lookUpWithoutDefault(table: UInt32)
    }

    public var family: Family
    public var action: Action

    public init(_ family: Family, _ action: Action) {
        self.family = family
        self.action = action
    }
}

extension Netlink {
    /// Adds a rule before all that were added earlier. One that is there already is then there twice.
    public mutating func addRule(_ rule: RoutingRule) throws(SystemError) {
        let request = ruleRequest(RTNetlink.newRule, flags: RTNetlink.create | RTNetlink.exclusive, rule)
        try send(request, "add the routing rule \(rule)")
    }

    /// Removes one such rule; `ENOENT` if there is none.
    public mutating func removeRule(_ rule: RoutingRule) throws(SystemError) {
        try send(ruleRequest(RTNetlink.deleteRule, flags: 0, rule), "remove the routing rule \(rule)")
    }

    private mutating func ruleRequest(_ type: UInt16, flags: UInt16, _ rule: RoutingRule) -> NetlinkRequest {
        var request = request(type, flags: flags | RTNetlink.acknowledge)
        for byte in [rule.family.rawValue, 0, 0, 0, 0, 0, 0, RTNetlink.Rule.lookUp] { request.append(byte) }
        switch rule.action {
        case .lookUpUnlessMarked(let mark, let table):
            request.append(RTNetlink.Rule.invert)
            request.append(RTNetlink.Rule.mark, mark)
            request.append(RTNetlink.Rule.table, table)
        case .lookUpWithoutDefault(let table):
            request.append(UInt32(0))
            request.append(RTNetlink.Rule.suppressPrefixLength, UInt32(0))
            request.append(RTNetlink.Rule.table, table)
        }
        return request
    }
}

extension RoutingRule: CustomStringConvertible {
    /// As `ip rule` would write it.
    public var description: String {
        let version = family == .v4 ? "IPv4" : "IPv6"
        return switch action {
        case .lookUpUnlessMarked(let mark, let table): "not fwmark \(mark) table \(table) (\(version))"
        case .lookUpWithoutDefault(let table): "table \(table) suppress_prefixlength 0 (\(version))"
        }
    }
}
