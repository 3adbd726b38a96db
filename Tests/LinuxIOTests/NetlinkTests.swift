import Addresses
import Glibc
import LinuxIO
import Testing

extension LinuxIOTests {
    @Suite struct NetlinkSockets {
        @Test func anInterfaceIsFoundAndChanged() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                found.expect(try netlink.device(named: "absent"), is: nil, "an interface that is not there")
                found.expect(try netlink.device(named: "lo")?.isUp, is: true, "loopback is up")
                let tun = try TunDevice(name: "nltun", kind: .tun)
                try netlink.setMTU(1420, of: tun.index)
                try netlink.setUp(tun.index)
                let up = DeviceState(index: tun.index, mtu: 1420, isUp: true)
                found.expect(try netlink.device(named: "nltun"), is: up, "state")
                try netlink.setDown(tun.index)
                found.expect(try netlink.device(named: "nltun")?.isUp, is: false, "the interface is up")
                found.expectError(ENODEV, "set the MTU of interface 4711 to 1400: No such device") {
                    try netlink.setMTU(1400, of: 4711)
                }
            }
        }

        @Test func theKindOfAnInterfaceIsTold() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "nlkind", kind: .tap)
                try netlink.setAddress(MACAddress(0xfe01_0203_0405), of: tun.index)
                found.expect(try netlink.transmitDrops(ofDevice: tun.name), is: 0, "drops of an interface that is down")
                found.expect(try netlink.transmitDrops(ofDevice: "absent"), is: nil, "drops of nothing")
                found.expect(try netlink.kind(ofDevice: tun.name), is: "tun", "kind of a TAP device")
                found.expect(try netlink.kind(ofDevice: "lo"), is: nil, "kind of loopback")
                found.expect(try netlink.kind(ofDevice: "absent"), is: nil, "kind of nothing")
            }
        }

        @Test func anAddressBringsTheRouteToItsNetworkAndIsTakenOnce() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "nladdr", kind: .tun)
                try netlink.setUp(tun.index)
                for text in ["10.80.0.1/24", "fd80::1/64"] {
                    let address = try interfaceAddress(text)
                    try netlink.addAddress(address, to: tun.index)
                    let path = try netlink.path(to: address.prefix.neighbour)
                    found.expect(path.interface, is: tun.index, "interface to the neighbour of \(text)")
                    found.expect(path.source, is: address.address, "source to the neighbour of \(text)")
                    found.expect(path.gateway, is: nil, "gateway to the neighbour of \(text)")
                    found.expectError(
                        EEXIST, "add the address \(text) to interface \(tun.index): File exists"
                    ) { try netlink.addAddress(address, to: tun.index) }
                    try netlink.removeAddress(address, from: tun.index)
                    found.expectError(ENETUNREACH, nil) { _ = try netlink.path(to: address.prefix.neighbour) }
                }
            }
        }

        @Test func aRouteIsSeenOnceAddedRefusedTwiceAndGoneOnceRemoved() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "nlroute", kind: .tun)
                try netlink.setUp(tun.index)
                let texts = ["10.81.0.0/16", "0.0.0.0/0", "192.0.2.7/32", "fd81::/48", "::/0"]
                for text in texts {
                    for table: UInt32 in [Route.mainTable, 51820] {
                        for metric: UInt32? in [nil, 77] {
                            guard let prefix = Prefix(text) else { continue }
                            let route = Route(prefix, interface: tun.index, table: table, metric: metric)
                            try netlink.addRoute(route)
                            let seen = try netlink.routes(in: table).filter { $0.destination == prefix }
                            found.expect(seen.count, is: 1, "routes to \(text) in table \(table)")
                            found.expect(seen.first?.interface, is: tun.index, "interface of \(text)")
                            if metric != nil { found.expect(seen.first?.metric, is: metric, "metric of \(text)") }
                            found.expectError(
                                EEXIST, "add the route to \(text) in table \(table): File exists"
                            ) { try netlink.addRoute(route) }
                            try netlink.removeRoute(route)
                            let left = try netlink.routes(in: table).filter { $0.destination == prefix }
                            found.expect(left.isEmpty, "routes to \(text) are left: \(left)")
                            found.expectError(ESRCH, nil) { try netlink.removeRoute(route) }
                        }
                    }
                }
            }
        }

        @Test func theRulesOfADefaultRouteSendOnlyUnmarkedPacketsIntoTheTunnel() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let uplink = try TunDevice(name: "nlup", kind: .tun)
                let tunnel = try TunDevice(name: "nltunnel", kind: .tun)
                for (family, own, place) in [
                    (RoutingRule.Family.v4, "10.82.0.1/24", "203.0.113.1"), (.v6, "fd82::1/64", "2001:db8::1"),
                ] {
                    let address = try interfaceAddress(own)
                    guard let far = IPAddress(place), let any = Prefix(far, length: 0) else { continue }
                    try netlink.addAddress(address, to: uplink.index)
                    try netlink.setUp(uplink.index)
                    try netlink.setUp(tunnel.index)
                    try netlink.addRoute(Route(any, interface: uplink.index))
                    try netlink.addRoute(Route(any, interface: tunnel.index, table: 51820))
                    let rules = [
                        RoutingRule(family, .lookUpUnlessMarked(mark: 51820, table: 51820)),
                        RoutingRule(family, .lookUpWithoutDefault(table: Route.mainTable)),
                    ]
                    for rule in rules { try netlink.addRule(rule) }
                    let plain = try netlink.path(to: far).interface
                    let marked = try netlink.path(to: far, mark: 51820).interface
                    let near = try netlink.path(to: address.prefix.neighbour).interface
                    found.expect(plain, is: tunnel.index, "an unmarked packet to \(place)")
                    found.expect(marked, is: uplink.index, "a marked packet to \(place)")
                    found.expect(near, is: uplink.index, "an unmarked packet to the uplink's own network")
                    for rule in rules { try netlink.removeRule(rule) }
                    let after = try netlink.path(to: far).interface
                    found.expect(after, is: uplink.index, "without the rules, to \(place)")
                    found.expectError(ENOENT, nil) { try netlink.removeRule(rules[0]) }
                }
            }
        }

        @Test func ofEqualRulesTheOneThatWasMadeIsRemoved() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                for family in RoutingRule.Family.allCases {
                    let before = try netlink.rules(of: family)
                    found.expect(before, is: [], "rules of a tunnel before there is one")
                    let companion = RoutingRule(family, .lookUpWithoutDefault(table: Route.mainTable))
                    var made: [RoutingRule] = []
                    for mark: UInt32 in [51820, 51821] {
                        made.append(
                            try netlink.addRule(RoutingRule(family, .lookUpUnlessMarked(mark: mark, table: mark))))
                        made.append(try netlink.addRule(companion))
                    }
                    found.expect(try netlink.rules(of: family), is: made.reversed(), "rules")
                    found.expect(Set(made.map(\.priority)).count, is: 4, "different priorities")
                    try netlink.removeRule(made[1])
                    found.expect(try netlink.rules(of: family), is: [made[3], made[2], made[0]], "rules")
                    found.expectError(ENOENT, nil) { try netlink.removeRule(made[1]) }
                    for index in [0, 2, 3] { try netlink.removeRule(made[index]) }
                }
            }
        }

        @Test func aTableIsInUseWhileThereIsARouteOfEitherFamilyInIt() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "nltables", kind: .tun)
                let other = try TunDevice(name: "nlother", kind: .tun)
                try netlink.setUp(tun.index)
                try netlink.setUp(other.index)
                for (text, table) in [("0.0.0.0/0", UInt32(51820)), ("::/0", 70_000)] {
                    guard let prefix = Prefix(text) else { continue }
                    found.expect(try !netlink.tablesInUse().contains(table), "table \(table) is in use at first")
                    let route = Route(prefix, interface: tun.index, table: table)
                    try netlink.addRoute(route)
                    found.expect(try netlink.tablesInUse().contains(table), "table \(table) is free")
                    let ours = try netlink.routes(through: tun.index).filter { $0.table == table }
                    found.expect(ours.map(\.destination), is: [prefix], "routes through the interface")
                    let others = try netlink.routes(through: other.index).filter { $0.table == table }
                    found.expect(others, is: [], "routes through the other one")
                    try netlink.removeRoute(route)
                    found.expect(try !netlink.tablesInUse().contains(table), "table \(table) is in use at the end")
                }
            }
        }

        @Test func aMonitorTellsWhatChanges() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                var monitor = try NetlinkMonitor()
                found.expect(monitor.read(), is: [], "changes before there are any")
                let tun = try TunDevice(name: "nlmon", kind: .tun)
                let index = tun.index
                let address = try interfaceAddress("10.83.0.1/24")
                try netlink.setMTU(1400, of: index)
                try netlink.setUp(index)
                try netlink.addAddress(address, to: index)
                let first = monitor.read()
                found.expect(first.contains(.device(DeviceState(index: index, mtu: 1400, isUp: true))), "\(first)")
                found.expect(first.contains(.addressAdded(address.address, interface: index)), "\(first)")
                found.expect(first.contains(.routesChanged), "\(first)")

                try netlink.removeAddress(address, from: index)
                let second = monitor.read()
                found.expect(second.contains(.addressRemoved(address.address, interface: index)), "\(second)")
                tun.close()
                found.expect(isReadable(monitor.descriptor, milliseconds: 1000), "nothing to read after the end")
                let third = monitor.read()
                found.expect(third.contains(.deviceGone(index: index)), "\(third)")
            }
        }

        @Test func anInterfaceWithoutLinkLocalAddressStaysSilent() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "nlquiet", kind: .tun)
                var monitor = try NetlinkMonitor()
                try netlink.disableLinkLocalAddress(of: tun.index)
                try netlink.setUp(tun.index)
                found.expect(!isReadable(tun.descriptor, milliseconds: 300), "it sent something")
                let addresses = monitor.read().filter { if case .addressAdded = $0 { true } else { false } }
                found.expect(addresses, is: [], "addresses")
            }
        }

        @Test func withoutPrivilegeAChangeIsAClearError() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                guard setThreadUser(65534) else { return found.expect(false, "the user could not be changed") }
                found.expectError(EPERM, "set interface 1 down: Operation not permitted") { try netlink.setDown(1) }
            }
        }
    }
}

extension Findings {
    /// Notes a failure unless `body` fails with this errno and, if given, this text.
    func expectError(
        _ number: Int32, _ text: String?, at location: SourceLocation = #_sourceLocation,
        _ body: () throws -> Void
    ) {
        do {
            try body()
            expect(false, "no error, expected \(SystemError.text(of: number))", at: location)
        } catch {
            expect((error as? SystemError)?.number == number, "\(error)", at: location)
            if let text { expect("\(error)", is: text, "error", at: location) }
        }
    }
}

extension Prefix {
    /// An address of the network that is not the first host's.
    fileprivate var neighbour: IPAddress {
        switch address {
        case .v4(let bits): .v4(bits | 9)
        case .v6(let bits): .v6(bits | 9)
        }
    }
}
