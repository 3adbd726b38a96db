import CTun
import Glibc

/// Tells when a device's interface goes up or down or gets another MTU, while it is in our network namespace.
///
/// In another one it has to be asked, by `TunDevice.deviceState()`: a socket there that listens would keep that namespace
/// alive after its end, and the interface with it.
public struct DeviceWatch: ~Copyable {
    public enum News: Sendable {
        /// What the interface is now, and whether it was down since the last read, if only for a moment.
        case device(DeviceState, hasBeenDown: Bool)
        /// It was deleted or moved to another namespace: this watch is of no more use, the device knows which.
        case gone
    }

    /// How the interface was when the watch began.
    public let state: DeviceState
    private var monitor: NetlinkMonitor

    /// Begins to watch; the error is `ENODEV` if the interface is elsewhere.
    public init(_ device: borrowing TunDevice) throws(SystemError) {
        let name = try device.currentName
        guard device.isHere else { throw SystemError("watch the interface \(name)", number: ENODEV) }
        // The monitor first: what changes between the two is then told twice, not never.
        let monitor = try NetlinkMonitor(devicesAlone: true)
        var netlink = try Netlink()
        guard let state = try netlink.device(named: name) else {
            throw SystemError("watch the interface \(name)", number: ENODEV)
        }
        self.state = state
        self.monitor = monitor
    }

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { monitor.descriptor }

    /// The last that happened to the interface since the last read; `nil` if nothing did.
    public mutating func read() -> News? {
        var news: News?
        var hasBeenDown = false
        for change in monitor.read() {
            switch change {
            case .device(let now) where now.index == state.index:
                hasBeenDown = hasBeenDown || !now.isUp
                news = .device(now, hasBeenDown: hasBeenDown)
            case .deviceGone(let index) where index == state.index: return .gone
            case .lost: return .gone
            default: break
            }
        }
        return news
    }
}

extension TunDevice {
    /// Whether the interface is in our namespace; kernels that can't tell are taken to say yes.
    public var isHere: Bool { ctun_tun_is_here(descriptor) != 0 }

    /// A netlink socket in the namespace where the device's interface is now. Takes some 100 µs, and `CAP_SYS_ADMIN` if that is
    /// not ours; `device` is borrowed.
    public static func openNetlinkBeside(_ device: Int32) throws(SystemError) -> FileDescriptor {
        try FileDescriptor(ctun_tun_netlink_open(device, 0), "open a netlink socket beside the interface")
    }

    /// What the interface is now, asked by a socket of its namespace.
    public func deviceState(_ netlink: inout Netlink) throws(SystemError) -> DeviceState {
        let name = try currentName
        guard let state = try netlink.device(named: name) else {
            throw SystemError("look at the interface \(name)", number: ENODEV)
        }
        return state
    }

    /// How many packets the kernel dropped because the interface's queue was full, asked by a socket of its namespace.
    public func transmitDrops(_ netlink: inout Netlink) throws(SystemError) -> UInt64 {
        try netlink.transmitDrops(ofDevice: try currentName) ?? 0
    }
}
