import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import NIOCore
import NIOPosix
import Steward
import Synchronization
import TunnelCore

/// An interface from its making to its end, in both forms: `gateway run`, with what the file says, and in the place of
/// wireguard-go.
///
/// What is made on the way up stands here. When this value ends, after its service or because a step failed, all of it goes
/// in reverse, the interface at last. `PreUp` is done before it begins, `PostDown` when it is gone.
struct RunningInterface: ~Copyable {
    private let daemon: Daemon
    private let hooks: Hooks
    private let chores: Chores
    private let group: MultiThreadedEventLoopGroup
    private var uapi: UAPIServer?
    private var control: ControlServer?
    private var metrics: MetricsServer?
    /// The device with the interface, and the sockets.
    private var loop: DataLoop?
    /// Another process has taken over: what was made stays.
    private var isHandedOver = false
    /// It goes on with what another process made.
    private var isTakenOver = false

    /// Makes nothing but the threads beside the loop. Make it after what blocks signals: threads inherit that.
    init(_ daemon: Daemon, _ hooks: Hooks) throws(Failure) {
        self.daemon = daemon
        self.hooks = hooks
        chores = try Failure.from(.unavailable) { () throws(SystemError) in try Chores(daemon) }
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    deinit {
        // Whoever asked for the upgrade is answered by one of them.
        if isHandedOver { chores.finish() }
        close()
        chores.finish()
        if isHandedOver { daemon.network.withLock { $0 = nil } } else { daemon.unmakeNetwork() }
        // The group stays, idle, until the process ends (`OpenConnections`).
        _ = unsafe Unmanaged.passRetained(group)
    }

    /// Makes the interface that the file describes, with its addresses and routes.
    mutating func make(
        _ key: PrivateKey, _ openings: consuming Openings, _ signals: consuming SignalFD
    ) throws(Failure) {
        let configuration = daemon.configuration
        let interface = configuration.interface
        let socket = try UAPIServer.open(interface.name) { [daemon] () throws(SystemError) in
            try daemon.steward.listen(.uapi)
        }
        uapi = try UAPIServer(daemon, socket, on: group)
        let server = try ControlServer(daemon, chores, on: group)
        control = server
        if let endpoint = interface.metricsListen, let socket = openings.metrics.take() {
            metrics = try MetricsServer(endpoint, socket, server.statistics, on: group)
        }
        let (sizes, mark) = try daemon.makeNetwork(configuration, key.publicKey, openings.device.index)
        var loop = try daemon.makeLoop(openings, signals)
        try Failure.from(.unavailable) { () throws(SystemError) in try loop.setMark(mark) }
        loop.setOffloads(interface.offloads)
        loop.watch(server)
        daemon.keyInFile.withLock { $0 = key.publicKey }
        daemon.note(loop)
        noteDoors()
        Daemon.configure(&loop.tunnel, configuration, key, sizes)
        daemon.log.info(
            "up: \(Daemon.summary(configuration)), UDP port \(loop.sockets.port), MTU \(sizes.mtu), "
                + "key \(key.publicKey)")
        chores.resolveAll(configuration.peers)
        self.loop = consume loop
    }

    /// Takes over an interface and a UAPI socket, over which all else comes.
    mutating func adopt(
        _ openings: consuming Openings, _ socket: consuming LinuxIO.FileDescriptor, _ signals: consuming SignalFD
    ) throws(Failure) {
        let configuration = daemon.configuration
        uapi = try UAPIServer(daemon, socket, on: group)
        do throws(Failure) {
            control = try ControlServer(daemon, chores, on: group)
        } catch {
            // Statistics and the rest are what wireguard-go does not have and its users can do without.
            daemon.log.warning("gatewayctl will not work: \(error.message)")
        }
        var loop = try daemon.makeLoop(openings, signals)
        loop.setOffloads(configuration.interface.offloads)
        try loop.watchUAPI()
        if let control { loop.watch(control) }
        daemon.note(loop)
        noteDoors()
        daemon.log.info("ready: UDP port \(loop.sockets.port)")
        self.loop = consume loop
    }

    /// Goes on with what another process gives away, on its word. `key` is that of the file.
    mutating func takeOver(
        _ inherited: consuming Inherited, _ key: PrivateKey?, _ early: consuming EarlyOpenings,
        _ signals: consuming SignalFD
    ) throws(Failure) {
        isTakenOver = true
        // Until the word is given all of it is the other's.
        isHandedOver = true
        var inherited = inherited
        let metrics = early.metrics
        var loop = try inherited.makeLoop(daemon, early.icmp, early.losses, signals)
        if let kept = inherited.kept { try daemon.adopt(kept, loop.device.index) }
        if let key { daemon.keyInFile.withLock { $0 = key.publicKey } }
        try inherited.awaitWord()
        isHandedOver = false
        // Nobody else does any of it from here on: what goes wrong now is said, and all that can goes on.
        loop.setOffloads(daemon.configuration.interface.offloads)
        serve(&inherited, metrics)
        daemon.note(loop)
        noteDoors()
        if let control { loop.watch(control) }
        if key == nil { try? loop.watchUAPI() }
        let keeper = inherited.keeper
        daemon.keeper.withLock { $0 = keeper }
        do throws(SystemError) {
            try loop.watchRetired()
            try loop.follow(keeper: keeper, predecessor: inherited.predecessor)
        } catch {
            daemon.log.warning("\(error)")
        }
        chores.resolveAll(
            daemon.configuration.peers.filter { $0.endpoint?.numeric == nil && !loop.tunnel.hasEndpoint($0.publicKey) })
        inherited.tellRunning()
        daemon.log.info(
            "took over: \(Release.version), process \(getpid()), UDP port \(loop.sockets.port), \(loop.tunnel.peerCount) peers"
        )
        self.loop = consume loop
    }

    /// Serves on the sockets that another process made.
    private mutating func serve(
        _ inherited: inout Inherited, _ opened: consuming LinuxIO.FileDescriptor?
    ) {
        do throws(Failure) {
            if let socket = inherited.take(.uapi) { uapi = try UAPIServer(daemon, socket, on: group) }
            let server = try ControlServer(daemon, chores, on: group, inherited.take(.control))
            control = server
            guard let endpoint = daemon.configuration.interface.metricsListen else { return }
            var opened = opened
            let theirs = inherited.take(.metrics)
            if let socket = opened.take() {
                metrics = try MetricsServer(endpoint, socket, server.statistics, on: group)
            } else if inherited.kept?.metrics == endpoint, let socket = theirs {
                metrics = try MetricsServer(endpoint, socket, server.statistics, on: group)
            }
        } catch {
            daemon.log.error(error.message)
        }
    }

    private func noteDoors() {
        let doors = Doors(uapi: uapi, control: control, metrics: metrics)
        daemon.doors.withLock { $0 = doors }
    }

    /// Lets go of everything, which another process has now.
    consuming func leave() { isHandedOver = true }

    /// Runs `PostUp`, serves until something ends that, and runs `PreDown`; what it was.
    mutating func serve(isDropIn: Bool) throws(Failure) -> Course.Ending? {
        var events = EventLog(daemon, chores)
        var course =
            isTakenOver
            ? Course(takingOver: hooks, daemon.log, daemon.supervisor, isDropIn: isDropIn)
            : Course(hooks, daemon.log, daemon.supervisor, isDropIn: isDropIn)
        var pulse = Pulse(daemon)
        if isTakenOver { loop?.resume(&pulse) }
        do throws(SystemError) {
            try loop?.run(&course, chores, &events, pulse)
        } catch {
            throw Failure(.unavailable, error)
        }
        return course.ending
    }

    /// Ends it, and writes into the file what `SaveConfig` wants to keep.
    consuming func end() {
        // Nobody can ask for a change after this.
        close()
        guard daemon.configuration.interface.savesConfiguration else { return }
        let last = loop?.tunnel.statistics(at: DataLoop.now().instant)
        _ = chores.post { [daemon] in if let last { daemon.save(last) } }
    }

    /// Closes the sockets before the interface goes: whoever waits for its end may make both anew at once.
    private func close() {
        daemon.doors.withLock { $0 = Doors() }
        uapi?.close(keepingFile: isHandedOver)
        control?.close(keepingFile: isHandedOver)
        metrics?.close()
    }
}

extension DataLoop {
    /// Ends the loop when the file is no longer there.
    fileprivate mutating func watchUAPI() throws(Failure) {
        do throws(SystemError) {
            let watch = try steward.watchSocket(.uapi)
            try epoll.add(watch.raw, token: Source.socketFile.rawValue)
            socketFile = consume watch
        } catch {
            throw Failure(.unavailable, error)
        }
    }
}
