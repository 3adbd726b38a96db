import Addresses
import Control
import Glibc
import LinuxIO
import Synchronization

/// The outcome of mending: what an interface had lost and got back, and what it can't have.
struct Mended {
    /// Nothing can be mended while it is down.
    var isDown = false
    var addresses = 0
    var routes = 0
    var rules = 0
    var failures: [SystemError] = []

    var isAnything: Bool { addresses + routes + rules > 0 }
}

extension Network {
    /// Adds the addresses, routes and rules that should be there and are not: an interface that goes down loses its
    /// routes and its IPv6 addresses, and whoever may can remove any of them. What can't be added leaves the rest alone.
    mutating func mend() -> Mended {
        var mended = Mended()
        guard isUp() else {
            mended.isDown = true
            return mended
        }
        for address in interface.addresses {
            do throws(SystemError) {
                try netlink.addAddress(address, to: index)
                mended.addresses += 1
            } catch {
                if error.number != EEXIST { mended.failures.append(error) }
            }
        }
        do throws(SystemError) {
            let present = Set(
                try netlink.routes(through: index).map { Route($0.destination, interface: index, table: $0.table) })
            for route in plan.routes
            where !present.contains(Route(route.destination, interface: index, table: route.table)) {
                do throws(SystemError) {
                    try addRoute(route)
                    mended.routes += 1
                } catch {
                    mended.failures.append(error)
                }
            }
            for family in plan.families { mended.rules += try mendRules(family) }
        } catch {
            mended.failures.append(error)
        }
        return mended
    }

    /// Both rules of a family go together, since their order counts; how many were added.
    private mutating func mendRules(_ family: RoutingRule.Family) throws(SystemError) -> Int {
        let ours = rules.filter { $0.family == family }
        let there = Set(try netlink.rules(of: family))
        guard ours.isEmpty || !ours.allSatisfy({ there.contains($0) }) else { return 0 }
        for rule in ours { try? netlink.removeRule(rule) }
        rules.removeAll { $0.family == family }
        try addRules(family)
        return plan.rules(of: family).count
    }

    private mutating func isUp() -> Bool {
        guard let name = Self.name(of: index), let device = try? netlink.device(named: name) else { return false }
        return device.isUp
    }
}

extension Daemon {
    /// Brings back what the interface lost while it was down. On a thread of the chores.
    func mend() {
        guard let mended = network.withLock({ network in network?.mend() }), !mended.isDown else { return }
        if mended.isAnything {
            log.info(
                "the interface was down: \(mended.routes) routes and \(mended.addresses) addresses that it lost are back"
            )
        }
        report(mended.failures)
    }

    /// The first few of failures about addresses and routes, and how many more there are.
    func report(_ failures: [SystemError]) {
        let most = 5
        for failure in failures.prefix(most) { log.warning("\(failure)") }
        if failures.count > most {
            log.warning("\(failures.count - most) more addresses or routes could not be added either")
        }
    }
}
