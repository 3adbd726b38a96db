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
    /// The kernel looks at rules from 0 upwards; `nil` leaves the place to it, and means any when a rule is removed.
    public var priority: UInt32?

    public init(_ family: Family, _ action: Action, priority: UInt32? = nil) {
        self.family = family
        self.action = action
        self.priority = priority
    }
}

extension Netlink {
    /// Adds a rule, before all that were added earlier unless it has a priority, and returns it with the one it got. One
    /// that is there already is then there twice.
    @discardableResult
    public mutating func addRule(_ rule: RoutingRule) throws(SystemError) -> RoutingRule {
        let flags = RTNetlink.create | RTNetlink.exclusive | RTNetlink.echo
        let answers = try ask(ruleRequest(RTNetlink.newRule, flags: flags, rule), "add the routing rule \(rule)")
        return answers.lazy.compactMap { RoutingRule($0) }.first ?? rule
    }

    /// The rules of a family that a tunnel may have made, with their priorities, in the kernel's order. Those of other
    /// kinds are not among them.
    public mutating func rules(of family: RoutingRule.Family) throws(SystemError) -> [RoutingRule] {
        var request = request(RTNetlink.getRule, flags: RTNetlink.dump)
        request.append(family.rawValue)
        for _ in 1..<RTNetlink.ruleSize { request.append(UInt8(0)) }
        return try ask(request, "list the routing rules").compactMap { RoutingRule($0) }
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
        if let priority = rule.priority { request.append(RTNetlink.Rule.priority, priority) }
        return request
    }
}

extension RoutingRule {
    /// What a rule message says; `nil` if it is none of the two kinds.
    fileprivate init?(_ message: NetlinkMessage) {
        let attributes = message.attributes(after: RTNetlink.ruleSize)
        let number = { (kind: UInt16) in attributes[kind]?.native(UInt32.self, at: 0) }
        guard message.type == RTNetlink.newRule, message.body.prefix(4).dropFirst().allSatisfy({ $0 == 0 }),
            let family = message.body.first.flatMap({ Family(rawValue: $0) }),
            message.body.native(UInt8.self, at: 7) == RTNetlink.Rule.lookUp,
            let flags = message.body.native(UInt32.self, at: 8), let table = number(RTNetlink.Rule.table),
            attributes[RTNetlink.Rule.incoming] == nil, attributes[RTNetlink.Rule.outgoing] == nil
        else { return nil }
        let isInverted = flags & RTNetlink.Rule.invert != 0
        let priority = number(RTNetlink.Rule.priority) ?? 0
        switch (isInverted, number(RTNetlink.Rule.mark), number(RTNetlink.Rule.suppressPrefixLength)) {
        case (true, let mark?, _): self.init(family, .lookUpUnlessMarked(mark: mark, table: table), priority: priority)
        case (false, nil, 0): self.init(family, .lookUpWithoutDefault(table: table), priority: priority)
        default: return nil
        }
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
