import Addresses
import Control
import Glibc
import LinuxIO

/// What became of a change of the network.
struct NetworkChanged {
    var mended = Mended()
    /// What could not be changed, and why; it is as it was.
    var failures: [(key: ConfigurationKey, error: SystemError)] = []
}

extension Network {
    /// Goes over to another configuration: addresses, MTU, routes, rules, packet filter. What is new comes before what is old
    /// goes. `setMark` gives the sockets the mark with which they escape a default route.
    mutating func change(
        to configuration: Configuration, _ setMark: (UInt32) -> SystemError?
    ) throws(SystemError) -> NetworkChanged {
        var changed = NetworkChanged()
        let wanted = configuration.interface
        let gone = addAddresses(wanted, &changed)
        changeMTU(configuration, &changed)
        let old = plan
        let oldRules = rules
        try replan(configuration)
        let isSameDefault = plan.mark == old.mark && plan.families == old.families
        // Ours must escape before there is a rule that sends all else into the tunnel.
        if plan.mark != old.mark, old.families.isEmpty { note(setMark(plan.mark), .fwmark, &changed) }
        rules.removeAll { plan.mark != old.mark || !plan.families.contains($0.family) }
        let kept = Set(rules)
        changed.mended = mend()
        if plan.mark != old.mark, !old.families.isEmpty { note(setMark(plan.mark), .fwmark, &changed) }
        for rule in oldRules where !kept.contains(rule) { try? netlink.removeRule(rule) }
        let routes = Set(plan.routes.map { Route($0.destination, interface: index, table: $0.table) })
        for route in old.routes.map({ Route($0.destination, interface: index, table: $0.table) })
        where !routes.contains(route) {
            try? netlink.removeRoute(route)
        }
        for address in gone { try? netlink.removeAddress(address, from: index) }
        // The kernel takes others along when the first of a network goes.
        if !gone.isEmpty { _ = mend() }
        firewall.change(to: plan.families, mark: plan.mark, interface)
        if !isSameDefault, plan.families.contains(.v4) { acceptMarkedReplies() }
        return changed
    }

    /// Adds the addresses that are new; those that have to go.
    private mutating func addAddresses(
        _ wanted: Configuration.Interface, _ changed: inout NetworkChanged
    ) -> [InterfaceAddress] {
        let old = interface.addresses
        interface = wanted
        for address in wanted.addresses where !old.contains(address) {
            do throws(SystemError) {
                try netlink.addAddress(address, to: index)
            } catch {
                guard error.number != EEXIST else { continue }
                changed.failures.append((.address, error))
                interface.addresses.removeAll { $0 == address }
            }
        }
        return old.filter { !wanted.addresses.contains($0) }
    }

    private mutating func changeMTU(_ configuration: Configuration, _ changed: inout NetworkChanged) {
        let endpoints = configuration.peers.compactMap { $0.endpoint?.numeric }
        guard configuration.interface.mtu != mtu else { return }
        let fitting = configuration.interface.mode == .tap ? 1500 : derivedMTU(for: endpoints)
        do throws(SystemError) {
            try netlink.setMTU(configuration.interface.mtu ?? fitting, of: index)
            mtu = configuration.interface.mtu
            if mtu == nil { derived = fitting }
        } catch {
            interface.mtu = mtu
            changed.failures.append((.mtu, error))
        }
    }

    /// Works out what routes and rules are wanted now. A default route keeps its table, and a new one gets the next free one.
    private mutating func replan(_ configuration: Configuration) throws(SystemError) {
        let first = RoutingPlan(configuration, defaultTable: plan.mark)
        guard first.choosesTable, !plan.choosesTable else {
            plan = first
            return
        }
        plan = RoutingPlan(configuration, defaultTable: try Self.freeTable(&netlink))
    }

    private func note(_ error: SystemError?, _ key: ConfigurationKey, _ changed: inout NetworkChanged) {
        if let error { changed.failures.append((key, error)) }
    }
}
