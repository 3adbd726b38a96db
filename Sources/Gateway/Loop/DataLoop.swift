import CTun
import Control
import Glibc
import LinuxIO
import Steward
import Synchronization
import TunnelCore

/// Something to be done on the data thread. It must not block, nor take longer than a few milliseconds.
typealias LoopCommand = @Sendable (inout DataLoop, Now) -> Void

/// The data thread: one epoll over the device, the sockets, a timer and the mailboxes.
///
/// Each packet is read, sealed and sent, or received, opened and written, by this one thread in batches: waking another
/// one costs more than sealing a handful of packets. Everything that is sent in one turn leaves in one flush, and what
/// the inbox borrows from the receive buffer is written before that buffer is received into again.
struct DataLoop: TunnelDriver, ~Copyable {
    enum Source: UInt64 {
        case device, v4, v6, timer, signals, commands, results, deviceState, socketFile, controlFile, hooks,
            network, retiredV4, retiredV6, keeper, predecessor
    }

    /// Reads of the device and turns of the sockets that one wake-up handles before it looks at the others.
    private static let turn = 64
    private static let slotSize = 65_536
    /// Batches that one turn takes from a socket while messages wait.
    private static let mostBatches = 16

    var tunnel: Tunnel
    let device: TunDevice
    var sockets: UDPSocketPair
    /// The sockets of the port before, which still receive for a while; and until when.
    var retired = UDPSocketPair.none
    var retiredUntil: Instant?
    let icmp: ICMPSocket
    let losses: UDPLossFiles
    let steward: Steward
    /// The mark on what the sockets send; 0 is none.
    var mark: UInt32 = 0
    var offloads: Set<Configuration.Offload> = []
    var epoll: Epoll
    private let timer: TimerFD
    let signals: SignalFD
    let commands: Mailbox<LoopCommand>
    let results: Mailbox<HandshakeResult>
    let handshakes: WorkThread<HandshakeJob>

    private var deviceRead = Arena(capacity: Limits.deviceRead)
    private var received = Arena(capacity: UDPSocket.batch * Self.slotSize)
    private var messages = [ctun_received](repeating: ctun_received(), count: UDPSocket.batch)
    var departures = Departures()
    var lossesAtStart: UDPLosses
    private var timerSetTo: Instant?
    /// The watch on the interface; `nil` while there can be none, and then when to look again.
    var deviceWatch: DeviceWatch?
    var lookDueAt = Instant.distantPast
    var hasBeenWatched = false
    /// The interface was down, and what it lost then is not back yet.
    var needsMending = false
    /// Readable when something happened to the file of the UAPI socket, whose end is that of a drop-in.
    var socketFile: LinuxIO.FileDescriptor?
    var control: ControlServer?
    /// Readable when something happened to the file of the control socket.
    var controlFile: LinuxIO.FileDescriptor?
    /// The control socket is being made again.
    var isControlDue = false
    var refused = RefusedCounters()
    /// The watch on routes and interfaces outside, and when to look at what it told.
    var networkWatch: NetlinkMonitor?
    var routesDueAt: Instant?
    /// There were too many questions about routes for one turn.
    var routesPending = false
    /// `PostUp` is done, and nothing ends it yet.
    private(set) var isServing = false
    /// Another process wants to take over; then that it has.
    var handover: Handover?
    var isHandedOver = false
    /// Until when what waits may leave before.
    var drainUntil: Instant?
    /// The process before this one that stayed for the sake of its number, and the one before, if it was another.
    var keeper: MessageChannel?
    var predecessor: MessageChannel?

    private init(
        _ openings: consuming Openings, _ daemon: Daemon, _ epoll: consuming Epoll, _ timer: consuming TimerFD,
        _ signals: consuming SignalFD, _ results: Mailbox<HandshakeResult>, _ handshakes: WorkThread<HandshakeJob>
    ) {
        tunnel = Tunnel(chacha: .fastest, mode: daemon.configuration.interface.tunnelMode)
        tunnel.port = openings.sockets.port
        lossesAtStart = openings.losses.read()
        device = openings.device
        sockets = openings.sockets
        icmp = openings.icmp
        losses = openings.losses
        steward = daemon.steward
        self.epoll = epoll
        self.timer = timer
        self.signals = signals
        commands = daemon.commands
        self.results = results
        self.handshakes = handshakes
    }

    /// Takes over the device and the sockets and starts the handshake thread.
    static func make(
        _ openings: consuming Openings, _ signals: consuming SignalFD, _ daemon: Daemon
    ) throws(SystemError) -> DataLoop {
        var epoll = try Epoll()
        let timer = try TimerFD()
        // Every initiation under way has room for its result, and so has every peer for one of ours.
        let results = try Mailbox<HandshakeResult>(capacity: Limits.handshakeQueue + Limits.peers)
        let handshakes = try WorkThread<HandshakeJob>(
            name: "handshakes", capacity: Limits.handshakeQueue + 4 * Limits.peers
        ) {
            let worker = HandshakeWorker(results)
            return { worker.perform($0) }
        }
        try epoll.add(openings.device.descriptor, token: Source.device.rawValue)
        try watch(&openings.sockets, &epoll)
        try epoll.add(timer.descriptor, token: Source.timer.rawValue)
        try epoll.add(signals.descriptor, token: Source.signals.rawValue)
        try epoll.add(daemon.commands.descriptor, token: Source.commands.rawValue)
        try epoll.add(results.descriptor, token: Source.results.rawValue)
        return DataLoop(openings, daemon, epoll, timer, signals, results, handshakes)
    }

    /// Runs until the course is over, which a signal or the end of the device brings about.
    mutating func run(
        _ course: inout Course, _ chores: Chores, _ events: inout EventLog, _ pulse: consuming Pulse?
    ) throws(SystemError) {
        try epoll.add(course.hooksDescriptor, token: Source.hooks.rawValue)
        watchDevice(at: Self.now())
        watchNetwork()
        finishTurn(at: Self.now(), &events, &pulse)
        while !course.isOver {
            let before = bootTime()
            let count = epoll.wait(milliseconds: tunnel.hasKept || routesPending ? 0 : -1)
            let now = Self.now()
            tunnel.beginTurn(at: now, idle: Interval(nanoseconds: now.instant.nanoseconds - before))
            for index in 0..<max(count, 0) {
                switch Source(rawValue: epoll.event(at: index).token) {
                case .device:
                    guard readDevice(at: now) else {
                        // It would wake us for ever.
                        try? epoll.remove(device.descriptor)
                        course.end(.deviceGone)
                        break
                    }
                case .v4:
                    if epoll.event(at: index).ready.contains(.error) { Self.takeErrors(&sockets.v4, &tunnel, at: now) }
                    receive(from: .v4, at: now)
                case .v6:
                    if epoll.event(at: index).ready.contains(.error) { Self.takeErrors(&sockets.v6, &tunnel, at: now) }
                    receive(from: .v6, at: now)
                case .retiredV4:
                    Self.takeErrors(&retired.v4, &tunnel, at: now)
                    openMessages(Self.receive(&retired.v4, &received, &messages), at: now)
                case .retiredV6:
                    Self.takeErrors(&retired.v6, &tunnel, at: now)
                    openMessages(Self.receive(&retired.v6, &received, &messages), at: now)
                case .timer: timer.take()
                case .signals:
                    if let signal = signals.read() { take(signal: signal, &course, chores) }
                case .commands: for command in commands.takeAll() { command(&self, now) }
                case .keeper: readKeeper(&course, chores)
                case .predecessor: readPredecessor(&course, chores)
                case .results: for result in results.takeAll() { take(result, at: now) }
                case .deviceState: readDeviceState(at: now)
                case .controlFile: lookAfterControl(chores)
                case .socketFile: if steward.isSocketGone(.uapi) { course.end(.socketGone) }
                case .hooks: course.noteHooks()
                case .network: readNetwork(at: now)
                case nil: break
                }
            }
            handleKept(at: now)
            if deviceWatch == nil { watchDevice(at: now) }
            mend(chores)
            followRoutes(chores, at: now)
            handleTimeouts(at: now)
            finishTurn(at: now, &events, &pulse)
            isServing = course.isServing
            if handover != nil { handOver(&course, chores) }
        }
    }

    /// Takes a signal, whoever it was sent to.
    mutating func take(signal: Int32, _ course: inout Course, _ chores: Chores) {
        guard signal == SIGHUP else { return course.end(.signal) }
        chores.reload(isServing: course.isServing)
        lookAfterControl(chores)
    }

    /// Sends, writes and passes on what the turn brought, and sets the timer.
    private mutating func finishTurn(at now: Now, _ events: inout EventLog, _ pulse: inout Pulse?) {
        sendGathered(at: now)
        answerRefusals()
        routesPending = false
        answerRouteQuestions(at: now)
        flush()
        while let job = tunnel.pollHandshake() {
            if !handshakes.post(job) { refused.handshakes += 1 }
        }
        while let event = tunnel.pollEvent() {
            pulse?.note(event, at: now.instant)
            events.note(event, at: now.instant)
        }
        events.tellLeftOut(tunnel.unnotedEvents, at: now.instant)
        var next = deviceWatch == nil ? min(tunnel.nextTimeout ?? lookDueAt, lookDueAt) : tunnel.nextTimeout
        if let dueAt = routesDueAt { next = min(next ?? dueAt, dueAt) }
        if let dueAt = events.dueAt { next = min(next ?? dueAt, dueAt) }
        if let dueAt = pulse?.beat(tunnel, at: now.instant) { next = min(next ?? dueAt, dueAt) }
        if let retiredUntil {
            if retiredUntil <= now.instant {
                retired = .none
                self.retiredUntil = nil
            } else {
                next = min(next ?? retiredUntil, retiredUntil)
            }
        }
        guard next != timerSetTo else { return }
        timerSetTo = next
        if let next { timer.arm(at: next.nanoseconds) } else { timer.disarm() }
    }

    // MARK: Device to wire

    /// Reads until there is nothing or the turn is over, and sends what was gathered; false if the device is gone.
    private mutating func readDevice(at now: Now) -> Bool {
        defer { sendGathered(at: now) }
        for _ in 0..<Self.turn {
            let length = Self.readOnce(device, &deviceRead, &tunnel, at: now)
            guard length > 0 else { return -length != EBADFD }
            // What is not up sends nothing: it went up, and the watch has not told yet.
            if !tunnel.isUp { noteUp(at: now) }
            makeRoomToSend()
        }
        return true
    }

    /// Reads once and gives what came to the tunnel; its length, or -errno.
    @inline(__always)
    private static func readOnce(
        _ device: borrowing TunDevice, _ space: inout Arena, _ tunnel: inout Tunnel, at now: Now
    ) -> Int {
        var buffer = space[0..<space.capacity]
        let length = device.read(into: &buffer)
        if length > 0 { tunnel.handleDeviceRead(in: &space, length: length, at: now) }
        return length
    }

    // MARK: Wire to device

    /// Receives a batch, and while one peer's messages wait all those that may be another's behind them.
    private mutating func receive(from family: UDPSocket.Family, at now: Now) {
        for _ in 0..<Self.mostBatches {
            let count =
                switch family {
                case .v4: Self.receive(&sockets.v4, &received, &messages)
                case .v6: Self.receive(&sockets.v6, &received, &messages)
                }
            openMessages(count, at: now)
            guard count == UDPSocket.batch, tunnel.hasKept else { return }
        }
    }

    /// Opens what is in the first `count` messages.
    private mutating func openMessages(_ count: Int, at now: Now) {
        if count > 0, !tunnel.isUp { noteUp(at: now) }
        for index in 0..<count {
            let message = messages[index]
            guard let sender = message.sender, message.truncated == 0 else { continue }
            let local = message.source.map { LocalAddress($0.address, interface: $0.interface) }
            let path = TunnelCore.Path(sender, local: local)
            let end = Int(message.offset + message.length)
            let step = message.segment > 0 ? Int(message.segment) : Int(message.length)
            var start = Int(message.offset)
            repeat {
                let next = min(start + step, end)
                Self.open(start..<next, of: &received, path, message.traffic_class, &tunnel, at: now)
                makeRoom()
                start = next
            } while start < end
            // What came as one run leaves as one; single datagrams may still be merged with the next.
            if message.segment > 0 { write() }
        }
        flush()
    }

    /// Receives one batch of messages, each into its slot of the arena; how many.
    private static func receive(
        _ socket: inout UDPSocket?, _ arena: inout Arena, _ messages: inout [ctun_received]
    ) -> Int {
        var slots = arena[0..<arena.capacity]
        var span = messages.mutableSpan
        return Int(max(socket?.receive(into: &slots, slotSize: slotSize, messages: &span) ?? 0, 0))
    }

    @inline(__always)
    private static func open(
        _ range: Range<Int>, of arena: inout Arena, _ path: TunnelCore.Path, _ trafficClass: UInt8,
        _ tunnel: inout Tunnel, at now: Now
    ) {
        var datagram = arena[range]
        tunnel.handleDatagram(&datagram, from: path, trafficClass: trafficClass, at: now)
    }

    // MARK: What comes out

    @inline(__always)
    mutating func withTunnel<Result>(_ body: (inout Tunnel) -> Result) -> Result { body(&tunnel) }

    @inline(__always)
    mutating func write(_ write: Inbox.Write) {
        let result = unsafe tunnel.inbox.pieces.extracting(write.pieces).withUnsafeBytes { bytes in
            unsafe device.write(pieces: bytes.assumingMemoryBound(to: ctun_piece.self))
        }
        if result < 0 { noteRefused(write, errno: Int32(-result)) }
    }

    mutating func sendRuns() {
        if tunnel.tracesWire { tunnel.traceOutbox(at: Self.now()) }
        refused.datagrams += departures.send(tunnel.outbox, on: &sockets)
        if !departures.failures.isEmpty { noteFailures() }
        if !departures.crowded.isEmpty { noteCrowded() }
        if !departures.divided.isEmpty { noteDivided() }
        for index in departures.refusedSources.indices { tunnel.forgetSource(ofPeer: departures.refusedSources[index]) }
    }

    /// The device did not take what was written. Some kernels refuse merged packets (6.6.44, early 6.10): then nothing is
    /// merged any more, and what was lost is sent again by its senders.
    private mutating func noteRefused(_ write: Inbox.Write, errno: Int32) {
        refused.packets += UInt64(write.packets)
        guard errno == EINVAL, write.packets > 1 else { return }
        tunnel.inbox.mergesTCP = false
        tunnel.inbox.mergesUDP = false
    }

    static func now() -> Now {
        let wall = wallClock()
        return Now(
            instant: Instant(nanoseconds: bootTime()),
            wall: WallTime(seconds: wall.seconds, nanoseconds: UInt32(wall.nanoseconds)))
    }
}

/// The engine, on its own thread.
private final class HandshakeWorker {
    private var engine = HandshakeEngine()
    private let results: Mailbox<HandshakeResult>

    init(_ results: Mailbox<HandshakeResult>) { self.results = results }

    func perform(_ job: HandshakeJob) {
        let result = engine.perform(job)
        if case .done = result { return }
        results.post(result)
    }
}
