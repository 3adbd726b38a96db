public import Addresses
import CTun
import Glibc

/// A change of the network that somebody made.
public enum NetworkChange: Equatable, Sendable {
    /// An interface came, or something about it changed; what it is now.
    case device(DeviceState)
    /// An interface was deleted or moved to another network namespace.
    case deviceGone(index: UInt32)
    case addressAdded(IPAddress, interface: UInt32)
    case addressRemoved(IPAddress, interface: UInt32)
    /// Some route came, changed or went: what was known of paths may be wrong.
    case routesChanged
    /// More happened than the socket could hold: look at everything anew.
    case lost
}

/// Tells what changes in the network namespace of the thread that made it.
public struct NetlinkMonitor: ~Copyable, Sendable {
    private let file: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 32 << 10)

    /// `devicesAlone` leaves addresses and routes out, of which there may be very many.
    public init(devicesAlone: Bool = false) throws(SystemError) {
        let others = RTNetlink.addressGroups | RTNetlink.routeGroups
        let groups = RTNetlink.linkGroup | (devicesAlone ? 0 : others)
        file = try FileDescriptor(ctun_netlink_open(groups), "open a netlink socket that listens")
    }

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { file.raw }

    /// Everything that changed since the last read, in order, with runs of `routesChanged` as one; empty if nothing.
    public mutating func read() -> [NetworkChange] {
        let socket = file.raw
        var changes: [NetworkChange] = []
        while true {
            var span = buffer.mutableSpan
            let length = ctun_netlink_receive(socket, &span, 0)
            guard length >= 0 else {
                // ENOBUFS or a datagram too long: the kernel goes on with what comes after.
                guard length == -ENOBUFS || length == -EMSGSIZE else { return changes }
                changes.append(.lost)
                continue
            }
            for message in NetlinkMessage.all(in: buffer.prefix(Int(length))) {
                guard let change = NetworkChange(message) else { continue }
                if change == .routesChanged, changes.last == change { continue }
                changes.append(change)
            }
        }
    }
}

extension NetworkChange {
    fileprivate init?(_ message: NetlinkMessage) {
        switch message.type {
        case RTNetlink.newLink:
            guard let state = DeviceState(message) else { return nil }
            self = .device(state)
        case RTNetlink.deleteLink:
            guard let index = message.body.native(UInt32.self, at: 4) else { return nil }
            self = .deviceGone(index: index)
        case RTNetlink.newAddress, RTNetlink.deleteAddress:
            let attributes = message.attributes(after: RTNetlink.addressSize)
            // IFA_ADDRESS is the far end of a point-to-point link where IFA_LOCAL is given.
            guard let interface = message.body.native(UInt32.self, at: 4),
                let value = attributes[RTNetlink.Address.local] ?? attributes[RTNetlink.Address.address],
                let address = value.networkAddress
            else { return nil }
            self =
                message.type == RTNetlink.newAddress
                ? .addressAdded(address, interface: interface) : .addressRemoved(address, interface: interface)
        case RTNetlink.newRoute, RTNetlink.deleteRoute:
            self = .routesChanged
        default:
            return nil
        }
    }
}
