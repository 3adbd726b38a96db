import Addresses
import LinuxIO
import TunnelCore

// The ways to the peers outside: how large the interface at their beginning lets datagrams be, asked when a peer is first sent to and
// again when routes or interfaces change.

extension DataLoop {
    /// Changes that follow one another so soon are looked at once.
    private static let pause = Interval.milliseconds(100)
    /// Questions that one turn answers, some 20 µs each.
    private static let mostQuestions = 64

    /// Begins to watch the network that the sockets are in; without that, only peers that move are asked about.
    mutating func watchNetwork() {
        guard networkWatch == nil, let monitor = try? NetlinkMonitor() else { return }
        guard (try? epoll.add(monitor.descriptor, token: Source.network.rawValue)) != nil else { return }
        networkWatch = consume monitor
    }

    /// Takes what changed in the network.
    mutating func readNetwork(at now: Now) {
        guard let changes = networkWatch?.read(), !changes.isEmpty else { return }
        routesDueAt = min(routesDueAt ?? .distantFuture, now.instant + Self.pause)
    }

    /// Asks for the ways that may be others, if it is time.
    mutating func followRoutes(_ chores: Chores, at now: Now) {
        guard let dueAt = routesDueAt, dueAt <= now.instant else { return }
        routesDueAt = nil
        tunnel.forgetRoutes(at: now)
        chores.followRoutes()
    }

    /// Answers the tunnel's questions about ways.
    mutating func answerRouteQuestions(at now: Now) {
        guard let first = tunnel.pollRouteQuestion() else { return }
        guard var netlink = try? Netlink() else { return }
        var question: (PeerSlot, Endpoint)? = first
        for _ in 0..<Self.mostQuestions {
            guard let (slot, endpoint) = question else { return }
            if let path = try? netlink.path(to: endpoint.address, mark: mark),
                let device = netlink.deviceMTU(path.interface)
            {
                tunnel.setRouteMTU(device, route: min(path.mtu ?? device, device), ofPeer: slot, at: now)
            }
            question = tunnel.pollRouteQuestion()
        }
        // The rest at once, after the other things that the loop does.
        if let (slot, _) = question { tunnel.askRoute(ofPeer: slot) }
        routesPending = true
    }
}

extension Netlink {
    /// The MTU of an interface; `nil` if there is none.
    mutating func deviceMTU(_ index: UInt32) -> Int? {
        guard let name = Network.name(of: index), let state = try? device(named: name) else { return nil }
        return state.mtu
    }
}
