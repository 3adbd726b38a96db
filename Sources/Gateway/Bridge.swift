import Control
import LinuxIO

/// A bridge of the operator's, which a TAP interface is to join.
struct Bridge {
    let name: InterfaceName
    let index: UInt32
    /// As it is before the interface joins: the kernel lowers it then, unless somebody has set it.
    let mtu: Int
    let isUp: Bool

    /// Finds it; it must be there already, and be a bridge.
    init(_ name: InterfaceName, file: String) throws(Failure) {
        let (state, kind) = try Failure.from(.unavailable) { () throws(SystemError) in
            var netlink = try Netlink()
            return (try netlink.link(named: "\(name)"), try netlink.kind(ofLink: "\(name)"))
        }
        guard let state else {
            throw Failure(
                .unavailable,
                "\(file): there is no bridge \(name); make it first: "
                    + "ip link add \(name) type bridge && ip link set \(name) up")
        }
        guard kind == "bridge" else {
            throw Failure(
                .unavailable,
                "\(file): Bridge = \(name) is no bridge but \(kind.map { "of kind \($0)" } ?? "a network card"); "
                    + "make one, and let \(name) join it: ip link set \(name) master BRIDGE")
        }
        self.name = name
        index = state.index
        mtu = state.mtu
        isUp = state.isUp
    }
}

extension Daemon {
    /// Says what the sizes on the way do to full frames. `packet`: what fits into a datagram without fragments outside.
    func reportSizes(mtu: Int, packet: Int, _ bridge: Bridge?) {
        if let bridge, !bridge.isUp { log.warning("the bridge \(bridge.name) is down: ip link set \(bridge.name) up") }
        if let bridge, bridge.mtu > mtu {
            log.warning(
                "the bridge \(bridge.name) had an MTU of \(bridge.mtu), the interface has \(mtu): larger frames get lost; "
                    + "write MTU = \(bridge.mtu), or set that of the bridge and its hosts to \(mtu)")
        }
        // Before the payload stand a record's head of 4 bytes and the Ethernet header.
        let fitting = min(packet, 1420) - 4 - 14
        if mtu > fitting {
            log.warning(
                "frames that carry more than \(fitting) bytes go in several datagrams each; with an MTU of \(fitting) "
                    + "(with VLAN tags: \(fitting - 4)) at the hosts of all sites they fit into one")
        }
    }
}
