import Control
import LinuxIO
import Synchronization

extension BridgePortFacts {
    /// The other ports of the bridge that an interface is a port of, and the interface's MTU; none if it is of no bridge, or the kernel
    /// does not say.
    static func all(beside interface: String) -> (ports: [BridgePortFacts], mtu: Int) {
        do throws(SystemError) {
            var netlink = try Netlink()
            guard let own = try netlink.device(named: interface),
                let bridge = try netlink.bridge(ofDevice: interface)
            else { return ([], 0) }
            let others = try netlink.ports(ofBridge: bridge.index).filter { $0.index != own.index }
            return (others.map { BridgePortFacts($0, of: bridge.name) }, own.mtu)
        } catch {
            return ([], 0)
        }
    }

    private init(_ port: BridgePort, of bridge: String) {
        let words: [(LinkOffloads, String)] = [
            (.pieces, "sg"), (.checksums, "tx"), (.segmentation, "tso"), (.lateSegmentation, "gso"), (.merging, "gro"),
        ]
        // One that has gone meanwhile, or does not say, is taken to have all.
        let on = (try? LinkOffloads(ofDevice: port.name)) ?? LinkOffloads(rawValue: .max)
        self.init(
            name: port.name, bridge: bridge, mtu: port.mtu, off: words.filter { !on.contains($0.0) }.map(\.1),
            largest: port.largest, isCard: port.kind == nil)
    }
}

/// Looks for bridge ports at which large frames get lost or cost time, and tells of each once in the log, also of those that come later.
final class BridgeWatch: Sendable {
    private let found = Mutex<[BridgePortTrouble]?>(nil)

    /// What was found when it looked last; `nil`: it has not looked, or there is no Ethernet.
    var troubles: [BridgePortTrouble]? { found.withLock { $0 } }

    /// Looks at the ports beside the interface.
    func look(_ interface: Configuration.Interface, _ log: Log) {
        guard interface.mode == .tap else { return }
        let (ports, mtu) = BridgePortFacts.all(beside: "\(interface.name)")
        let troubles = ports.flatMap { $0.troubles(mtu: mtu, isLarge: !interface.offloads.isEmpty) }
        let told = Set(self.troubles ?? [])
        found.withLock { $0 = troubles }
        for trouble in troubles where !told.contains(trouble) {
            if trouble.isLoss {
                log.warning("\(trouble.text): \(trouble.cure)")
            } else {
                log.info("\(trouble.text): \(trouble.cure)")
            }
        }
    }
}
