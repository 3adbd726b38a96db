import Control
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

    /// Makes nothing but the threads beside the loop. Make it after what blocks signals: threads inherit that.
    init(_ daemon: Daemon, _ hooks: Hooks) throws(Failure) {
        self.daemon = daemon
        self.hooks = hooks
        chores = try Failure.from(.unavailable) { () throws(SystemError) in try Chores(daemon) }
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    deinit {
        close()
        chores.finish()
        daemon.unmakeNetwork()
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
        daemon.log.info("ready: UDP port \(loop.sockets.port)")
        self.loop = consume loop
    }

    /// Runs `PostUp`, serves until something ends that, and runs `PreDown`; what it was.
    mutating func serve(isDropIn: Bool) throws(Failure) -> Course.Ending? {
        var events = EventLog(daemon, chores)
        var course = Course(hooks, daemon.log, daemon.supervisor, isDropIn: isDropIn)
        do throws(SystemError) {
            try loop?.run(&course, chores, &events, Pulse(daemon))
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
        uapi?.close()
        control?.close()
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
