import LinuxIO
import Steward
import TunnelCore

// The state of the interface: up, down, another MTU, another namespace.

extension DataLoop {
    /// How often an interface that can't be watched is looked at.
    private static let pollInterval = Interval.seconds(1)

    /// Begins to watch the interface, or looks at it every second while it is in another namespace. Where that is not
    /// allowed, the device itself knows whether it is up, but not its MTU.
    mutating func watchDevice(at now: Now) {
        guard now.instant >= lookDueAt else { return }
        do throws(SystemError) {
            let watch = try DeviceWatch(device)
            try epoll.add(watch.descriptor, token: Source.deviceState.rawValue)
            // Nobody saw what happened before; at the start, nothing is missing.
            note(watch.state, hasBeenDown: hasBeenWatched, at: now)
            hasBeenWatched = true
            deviceWatch = consume watch
        } catch {
            lookDueAt = now.instant + Self.pollInterval
            if var netlink = try? netlinkBesideDevice(), let state = try? device.deviceState(&netlink) {
                note(state, hasBeenDown: false, at: now)
            } else {
                tunnel.setUp(device.state == .up, at: now)
            }
        }
    }

    /// A socket to ask about the device in the namespace where it is.
    func netlinkBesideDevice() throws(SystemError) -> Netlink {
        device.isHere ? try Netlink() : try steward.netlink(beside: device)
    }

    /// Takes what the watch has to tell.
    mutating func readDeviceState(at now: Now) {
        switch deviceWatch?.read() {
        case .device(let state, let hasBeenDown): note(state, hasBeenDown: hasBeenDown, at: now)
        case .gone:
            // If it was deleted, the device says so too.
            deviceWatch = nil
            lookDueAt = now.instant
        case nil: break
        }
    }

    /// Has what was lost brought back, once the interface is up again.
    mutating func mend(_ chores: Chores) {
        guard needsMending, tunnel.isUp else { return }
        needsMending = false
        chores.mend()
    }

    /// Looks whether the interface is up after all.
    mutating func noteUp(at now: Now) {
        if device.state == .up { tunnel.setUp(true, at: now) }
    }

    /// Takes over how the interface is. What was down is to be looked at: it has lost routes.
    private mutating func note(_ state: DeviceState, hasBeenDown: Bool, at now: Now) {
        if !state.isUp || hasBeenDown { needsMending = true }
        tunnel.mtu = state.mtu
        tunnel.setUp(state.isUp, at: now)
    }
}
