import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

extension Daemon {
    /// Makes the interface and runs it until a signal, or the end of the interface. What was made is unmade in reverse,
    /// also when something on the way fails.
    func run(_ key: PrivateKey) throws(Failure) {
        // Before any thread starts, since threads inherit the mask.
        let signals = try Failure.from(.unavailable) { () throws(SystemError) in
            try SignalFD([SIGTERM, SIGINT, SIGHUP])
        }
        Self.prepareProcess()
        // The last of all, since it removes the sockets and runs the commands.
        defer { steward.end() }
        let hooks = Hooks(steward)
        // Nothing is there yet that would have to go.
        if try hooks.run(.preUp) { return log.info("down") }
        let isAfterCrash = TextFile.exists(RunDirectory.current.socket(of: configuration.interface.name))
        let openings = try open()
        let confined = try confine(portIsKnown: true)
        try Failure.from(.unavailable) { () throws(SystemError) in try log.writeBehind() }
        defer { log.finish() }
        if isAfterCrash { steward.sweepFirewall() }
        var interface = try RunningInterface(self, hooks)
        try interface.make(key, openings, signals)
        tell(confined)
        let ending = try interface.serve(isDropIn: false)
        if case .failed(let failure) = ending {
            _ = try hooks.run(.failure)
            throw failure
        }
        if case .handedOver = ending { return interface.leave() }
        try end(interface, ending, isDropIn: false, hooks)
    }

    private func open() throws(Failure) -> Openings {
        let interface = configuration.interface
        let device = try Self.makeDevice(interface.name, interface.mode == .tap ? .tap : .tun)
        var openings = Openings(device: device, sockets: try Self.openSockets(configuration, mark: interface.fwmark))
        if let endpoint = interface.metricsListen {
            openings.metrics = try MetricsServer.listen(endpoint, configuration)
        }
        return openings
    }

    /// Gives the interface what the file says; the sizes that hold then, and the mark that the sockets need.
    func makeNetwork(
        _ configuration: Configuration, _ key: PublicKey, _ index: UInt32
    ) throws(Failure) -> (Sizes, mark: UInt32) {
        let endpoints = configuration.peers.compactMap { $0.endpoint?.numeric }
        let isEthernet = configuration.interface.mode == .tap
        var bridge: Bridge?
        if let name = configuration.interface.bridge { bridge = try Bridge(name, file: configuration.file) }
        do throws(SystemError) {
            var network = try Network(index: index, configuration, steward, log)
            let derived = network.derivedMTU(for: endpoints)
            let sizes = Sizes(
                mtu: configuration.interface.mtu ?? (isEthernet ? 1500 : derived), framePayload: min(derived, 1420))
            do throws(SystemError) {
                try network.make(configuration, key, mtu: sizes.mtu, bridge)
            } catch {
                network.undo()
                throw error
            }
            if isEthernet { report(sizes, bridge) }
            let mark = network.plan.mark
            store(network)
            return (sizes, mark)
        } catch {
            // What is taken stays so, however often it is tried.
            throw Failure(
                error.number == EEXIST ? .cantCreate : .unavailable, error,
                cure: "see Address, AllowedIPs and Table in \(configuration.file)")
        }
    }

    /// Has the interface's MTU follow the routes to the endpoints.
    func followRoutes() {
        let endpoints = configuration.peers.compactMap { $0.endpoint?.numeric }
        let mtu = network.withLock { network in network?.followRoutes(to: endpoints) }
        guard let mtu else { return }
        log.info("MTU \(mtu): the routes to the endpoints take that now")
    }

    func store(_ made: consuming sending Network) {
        var made: Network? = consume made
        network.withLock { $0 = made.take() }
    }

    func unmakeNetwork() {
        network.withLock { network in
            network?.undo()
            network = nil
        }
    }

    func makeLoop(_ openings: consuming Openings, _ signals: consuming SignalFD) throws(Failure) -> DataLoop {
        do throws(SystemError) {
            return try DataLoop.make(openings, signals, self)
        } catch {
            throw Failure(.unavailable, error)
        }
    }

    static func makeDevice(_ name: InterfaceName, _ kind: TunDevice.Kind) throws(Failure) -> TunDevice {
        do throws(SystemError) {
            return try TunDevice(name: name.description, kind: kind)
        } catch {
            switch error.number {
            case EPERM, EACCES:
                throw Failure(.permission, "\(error); making an interface takes root or CAP_NET_ADMIN")
            case ENOENT, ENODEV, ENXIO:
                throw Failure(.unavailable, "\(error); load the kernel's tun module (modprobe tun)")
            case EBUSY:
                throw Failure(
                    .cantCreate, "an interface named \(name) exists already; choose another name or remove it")
            default: throw Failure(.unavailable, "\(error)")
            }
        }
    }

    static func openSockets(_ configuration: Configuration, mark: UInt32) throws(Failure) -> UDPSocketPair {
        do throws(SystemError) {
            return try UDPSocket.pair(port: configuration.interface.listenPort, fwmark: mark)
        } catch {
            guard error.number == EADDRINUSE else { throw Failure(.unavailable, "\(error)") }
            throw Failure(
                .unavailable,
                "\(configuration.file): UDP port \(configuration.interface.listenPort) is in use; "
                    + "choose another ListenPort or stop what has it (ss -ulpn)")
        }
    }

    static func configure(
        _ tunnel: inout Tunnel, _ configuration: Configuration, _ key: PrivateKey, _ sizes: Sizes
    ) {
        let now = DataLoop.now()
        tunnel.mtu = sizes.mtu
        tunnel.framePayload = sizes.framePayload
        tunnel.setPrivateKey(key, at: now)
        tunnel.setRate(configuration.interface, at: now)
        tunnel.segmentClamp = configuration.interface.clampMSS.core
        tunnel.answersNeighbours = configuration.interface.answersNeighbours
        for peer in configuration.peers { tunnel.setPeer(peer.publicKey, peer.tunnelConfiguration, at: now) }
    }

    static func summary(_ configuration: Configuration) -> String {
        let addresses = configuration.interface.addresses.map(\.description).joined(separator: ", ")
        let peers = configuration.peers.count == 1 ? "1 peer" : "\(configuration.peers.count) peers"
        return addresses.isEmpty ? peers : "\(addresses), \(peers)"
    }

    /// Writes the endpoints that peers have now into the file, as `SaveConfig` asks for.
    func save(_ statistics: TunnelStatistics) {
        let endpoints = Dictionary(
            statistics.peers.map { ($0.publicKey, $0.endpoint) }, uniquingKeysWith: { first, _ in first })
        let peers = configuration.peers.map {
            SavedPeer($0.publicKey, endpoint: endpoints[$0.publicKey] ?? nil, presharedKey: $0.presharedKey)
        }
        do throws(FileFailure) {
            try steward.save(peers)
        } catch {
            log.warning("SaveConfig: \(error)")
        }
    }

    /// A client that hangs up must not end us, and session keys must not end up in a file: no core
    /// dumps, and as much locked memory as there are sessions.
    static func prepareProcess() {
        _ = signal(SIGPIPE, SIG_IGN)
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        let locked = __rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue)
        var all = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)
        guard unsafe setrlimit(locked, &all) != 0, unsafe getrlimit(locked, &all) == 0 else { return }
        all.rlim_cur = all.rlim_max
        _ = unsafe setrlimit(locked, &all)
    }
}
