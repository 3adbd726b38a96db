import Addresses
import Control
import Keys
import LinuxIO

/// A bridge of the operator's, which a TAP interface is to join.
struct Bridge {
    let name: InterfaceName
    let index: UInt32
    /// The MTU before the interface joins: the kernel lowers it then, unless somebody has set it.
    let mtu: Int
    let isUp: Bool

    /// Finds it; it must be there already, and be a bridge.
    init(_ name: InterfaceName, file: String) throws(Failure) {
        let (state, kind) = try Failure.from(.unavailable) { () throws(SystemError) in
            var netlink = try Netlink()
            return (try netlink.device(named: "\(name)"), try netlink.kind(ofDevice: "\(name)"))
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

extension MACAddress {
    /// The address of an Ethernet tunnel's interface: the same at each start, and so high that a bridge, which takes the lowest
    /// of its ports', does not change its own when the interface comes and goes.
    init(of key: PublicKey) {
        self.init((0..<5).reduce(0xfe) { $0 << 8 | UInt64(key.bytes[$1]) })
    }
}

/// The sizes that fit: the interface's MTU, and the largest payload of a datagram.
struct Sizes {
    /// Into the interface: its MTU.
    let mtu: Int
    /// The payload that a datagram of an Ethernet tunnel may have on the way to the peers: no more than into that of a full
    /// packet of a common link, since a larger MTU of this host says little of what lies behind it.
    let framePayload: Int
}

extension Daemon {
    /// Says what the sizes on the way do to full frames.
    func report(_ sizes: Sizes, _ bridge: Bridge?) {
        let mtu = sizes.mtu
        if let bridge, !bridge.isUp { log.warning("the bridge \(bridge.name) is down: ip link set \(bridge.name) up") }
        if let bridge, bridge.mtu > mtu {
            log.warning(
                "the bridge \(bridge.name) had an MTU of \(bridge.mtu), the interface has \(mtu): larger frames get lost; "
                    + "write MTU = \(bridge.mtu), or set that of the bridge and its hosts to \(mtu)")
        }
        // Before the payload stand a record's head of 4 bytes and the Ethernet header.
        let fitting = sizes.framePayload - 4 - 14
        if mtu > fitting {
            log.warning(
                "frames that carry more than \(fitting) bytes go in several datagrams each; with an MTU of \(fitting) "
                    + "(with VLAN tags: \(fitting - 4)) at the hosts of all sites they fit into one")
        }
    }
}
