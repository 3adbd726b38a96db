import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import TunnelCore

/// The new process' side of an upgrade: what the old one gives, and the words that go between them.
struct Inherited: ~Copyable {
    /// Milliseconds that the old process may take for each message, and until it has looked after itself.
    private static let patience: Int32 = 60_000

    private let channel: MessageChannel
    private var descriptors = InlineArray<11, LinuxIO.FileDescriptor?> { _ in nil }
    private let memory: SecretMemory
    /// What the old process made, once the state was read.
    private(set) var kept: KeptDaemon?
    /// The process that stayed for the sake of its number.
    private(set) var keeper: MessageChannel?
    /// The one before, which may still have a signal to pass on.
    private(set) var predecessor: MessageChannel?

    /// Says that this process waits, and takes what comes.
    init(from channel: MessageChannel) throws(Failure) {
        self.channel = channel
        var memory: SecretMemory?
        try Failure.from(.unavailable) { () throws(SystemError) in
            try channel.send(SuccessionMessage.prepared(version: Release.version, process: getpid()).bytes)
        }
        receiving: while true {
            let message = try Failure.from(.unavailable) { () throws(SystemError) in
                try channel.receive(milliseconds: Self.patience)
            }
            switch SuccessionMessage(message.bytes) {
            case .descriptor(let what):
                guard let descriptor = message.takeDescriptor() else { throw Self.senseless }
                if what == .memory {
                    memory = try Self.map(descriptor)
                } else {
                    descriptors[Int(what.rawValue)] = consume descriptor
                }
            case .handedOver: break receiving
            case .abort: throw Failure(.unavailable, "the old process goes on")
            default: throw Self.senseless
            }
        }
        guard let memory else { throw Self.senseless }
        self.memory = memory
        if let channel = take(.keeper) { keeper = MessageChannel(adopting: channel) }
    }

    private static let senseless = Failure(.unavailable, "the old process said what makes no sense")

    mutating func take(_ what: Inheritance) -> LinuxIO.FileDescriptor? { descriptors[Int(what.rawValue)].take() }

    private static func map(_ descriptor: consuming LinuxIO.FileDescriptor) throws(Failure) -> SecretMemory {
        do throws(SystemError) {
            return try SecretMemory(adopting: descriptor, atMost: Daemon.largestState)
        } catch {
            throw Failure(.unavailable, error)
        }
    }

    // MARK: What there is

    /// Makes a loop of it that goes on where the other stopped. The state is wiped, whatever becomes of it.
    mutating func makeLoop(
        _ daemon: Daemon, _ icmp: consuming ICMPSocket, _ losses: consuming UDPLossFiles, _ signals: consuming SignalFD
    ) throws(Failure) -> DataLoop {
        defer { memory.wipe() }
        let memory = memory
        let content = unsafe try Self.reading { () throws(StateProblem) in
            unsafe try StateEnvelope.unwrap(UnsafeRawBufferPointer(memory.bytes))
        }
        let version = try Self.reading { () throws(StateProblem) in
            unsafe try StateEnvelope.version(of: UnsafeRawBufferPointer(memory.bytes))
        }
        var state = unsafe StateReader(content, version: version)
        let (kept, keptLoop) = try Self.reading { () throws(StateProblem) in
            let kept = try KeptDaemon(&state)
            guard kept.name == daemon.configuration.interface.name.description else {
                throw .implausible("another interface")
            }
            return (kept, try KeptLoop(&state))
        }
        let device = try takeDevice(daemon.configuration.interface.mode)
        let sockets = try takePair(.v4, .v6, keptLoop.dropped)
        let openings = Openings(device: device, sockets: sockets, icmp: icmp, losses: losses)
        var loop = try daemon.makeLoop(openings, signals)
        if descriptors[Int(Inheritance.retiredV4.rawValue)] != nil
            || descriptors[Int(Inheritance.retiredV6.rawValue)] != nil
        {
            loop.retired = try takePair(.retiredV4, .retiredV6, (0, 0))
        }
        loop.adopt(keptLoop)
        let configuration = daemon.configuration
        let now = DataLoop.now()
        loop.tunnel.setRate(configuration.interface, at: now)
        loop.tunnel.segmentClamp = configuration.interface.clampMSS.core
        loop.tunnel.answersNeighbours = configuration.interface.answersNeighbours
        let settings = daemon.settings
        try Self.reading { () throws(StateProblem) in
            try loop.tunnel.readState(&state, at: now) { settings.peer($0)?.tunnelConfiguration }
            try state.finish()
        }
        self.kept = kept
        return loop
    }

    private mutating func takeDevice(_ mode: Configuration.Mode) throws(Failure) -> TunDevice {
        guard let descriptor = take(.device) else { throw Self.senseless }
        let device: TunDevice
        do throws(SystemError) {
            device = try TunDevice(adopting: descriptor)
        } catch {
            throw Failure(.unavailable, error)
        }
        guard (device.kind == .tap) == (mode == .tap) else {
            throw Failure(.data, "the interface is of another kind than Mode says")
        }
        return device
    }

    private mutating func takePair(
        _ v4: Inheritance, _ v6: Inheritance, _ dropped: (v4: UInt32, v6: UInt32)
    ) throws(Failure) -> UDPSocketPair {
        do throws(SystemError) {
            return try UDPSocketPair(
                adopting: try Self.adopt(take(v4), .v4, dropped.v4), try Self.adopt(take(v6), .v6, dropped.v6))
        } catch {
            throw Failure(.unavailable, error)
        }
    }

    private static func adopt(
        _ descriptor: consuming LinuxIO.FileDescriptor?, _ family: UDPSocket.Family, _ dropped: UInt32
    ) throws(SystemError) -> UDPSocket? {
        guard let descriptor else { return nil }
        return try UDPSocket(adopting: descriptor, family: family, dropped: dropped)
    }

    private static func reading<Value: ~Copyable>(
        _ body: () throws(StateProblem) -> Value
    ) throws(Failure) -> Value {
        do throws(StateProblem) {
            return try body()
        } catch {
            throw Failure(.data, "the state can't be taken over: \(error.text)")
        }
    }

    // MARK: Words

    /// Says that all is taken over, and waits for the word. An old process that is gone has given it.
    mutating func awaitWord() throws(Failure) {
        try? channel.send(SuccessionMessage.ready.bytes)
        let word: SuccessionMessage?
        do throws(SystemError) {
            word = SuccessionMessage(try channel.receive(milliseconds: Self.patience).bytes)
        } catch {
            guard error.number == ECONNRESET else { throw Failure(.unavailable, error) }
            return
        }
        switch word {
        case .go(let stays): if stays, keeper == nil { keeper = channel } else { predecessor = channel }
        case .abort: throw Failure(.unavailable, "the old process goes on")
        default: throw Self.senseless
        }
    }

    /// Says that this process does it all from now on.
    func tellRunning() { try? channel.send(SuccessionMessage.running.bytes) }
}

/// What a process that takes over opens before it gives up its rights.
struct EarlyOpenings: ~Copyable {
    let icmp = ICMPSocket()
    let losses = UDPLossFiles()
    /// Where `MetricsListen` is, if the old process does not have it.
    var metrics: LinuxIO.FileDescriptor?

    init(_ configuration: Configuration) {
        guard let endpoint = configuration.interface.metricsListen else { return }
        do throws(Failure) { metrics = try MetricsServer.listen(endpoint, configuration) } catch {}
    }
}

extension StateProblem {
    /// For people.
    var text: String {
        switch self {
        case .cutOff: "it is cut off"
        case .foreign: "it is none"
        case .version(let version):
            "it is of version \(version), and \(Release.version) reads version \(StateEnvelope.version)"
        case .damaged: "it is damaged"
        case .implausible(let what): "it tells of \(what)"
        }
    }
}
