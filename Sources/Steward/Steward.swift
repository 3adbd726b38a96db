public import Addresses
public import Control
import Glibc
public import Keys
public import LinuxIO
import Synchronization

/// The daemon's steward: a small process beside it with the rights that the daemon gives up. It reads and writes the
/// configuration's files, runs the operator's commands and `nft`, asks for addresses of names, and makes the sockets that
/// others speak to the daemon by. It sees no byte of the network, and ends when the daemon does.
///
/// There is a channel for each kind of affair, so that a disk that hangs holds up no command; each has a thread there. A
/// channel takes one question at a time. What the steward answers is looked at as if it came from anybody: what is wrong ends
/// the channel, whereupon the steward ends, and with it the daemon.
public final class Steward: Sendable {
    /// How a line is told: how bad it is, and the line.
    public typealias Log = @Sendable (Severity, String) -> Void

    public enum Severity: Sendable { case information, warning }

    enum Affair: Int, CaseIterable {
        case hooks, files, names, network, sockets, succession
    }

    /// Milliseconds that the thread which carries packets waits for an answer at most.
    private static let patience: Int32 = 2000

    private let lines: [Line]
    private let process: ChildProcess

    /// What a process that takes the daemon's place is told, besides what the daemon was.
    public struct Successor: Sendable {
        let isConfined: Bool
        let environment: [String]

        public init(isConfined: Bool, environment: [String]) {
            self.isConfined = isConfined
            self.environment = environment
        }
    }

    /// Starts it, with the rights that the caller has. `control` is the path of the control socket. Only while there is one
    /// thread.
    public static func start(
        _ configuration: Configuration, control: String, _ successor: Successor, _ log: @escaping Log
    ) throws(SystemError) -> Steward {
        var ours: [MessageChannel] = []
        var its: [MessageChannel] = []
        for _ in Affair.allCases {
            let (one, other) = try MessageChannel.pair()
            ours.append(one)
            its.append(other)
        }
        let channels = its
        let process = try ChildProcess(
            title: "gateway-helper of \(configuration.interface.name)", keeping: its.map(\.descriptor)
        ) {
            do throws(SystemError) {
                let runner = SuccessorRunner(
                    configuration, control: control, isConfined: successor.isConfined,
                    environment: successor.environment)
                try StewardProcess(configuration, control: control, runner, log, channels).run()
            } catch {
                log(.warning, "\(error)")
                _exit(1)
            }
        }
        return Steward(ours, process)
    }

    private init(_ channels: [MessageChannel], _ process: ChildProcess) {
        lines = channels.map { Line($0) }
        self.process = process
    }

    /// Lets it end, and waits a second for that.
    public func end() {
        for line in lines { line.channel.end() }
        process.waitForEnd(milliseconds: 1000)
    }

    // MARK: The operator's commands

    /// Readable when the commands that were started have ended, or the steward.
    public var hooksDescriptor: Int32 { lines[Affair.hooks.rawValue].channel.descriptor }

    /// Has the commands of that moment begin, one after the other; their end is told by `takeHooksEnd`.
    public func startHooks(_ moment: HookMoment) { try? post(.runHooks(moment), .hooks) }

    /// Ends the command that runs.
    public func interruptHooks() { try? post(.interruptHooks, .hooks) }

    /// What became of a list of commands.
    public enum HooksEnd: Sendable {
        case done
        case failed(String)
        /// The steward is gone.
        case lost
    }

    /// The end of a list. Call it when the descriptor is readable.
    public func takeHooksEnd() -> HooksEnd {
        let line = lines[Affair.hooks.rawValue]
        do throws(SystemError) {
            let message = try line.channel.receive(milliseconds: Self.patience)
            if case .hooksEnded(let failure)? = try? StewardReply(message.bytes) {
                return failure.map { .failed($0) } ?? .done
            }
        } catch {}
        line.channel.end()
        return .lost
    }

    // MARK: Files

    /// The config file, and what it names.
    public func readConfiguration() throws(FileFailure) -> RecordedFiles {
        if case .files(let records)? = try askAboutFiles(.readConfiguration) { return RecordedFiles(records) }
        throw Self.lost("read")
    }

    /// What was read last is what the operator's commands, keys and `SaveConfig` go by from now on.
    public func adoptConfiguration() { _ = try? ask(.adoptConfiguration, .files) }

    /// Hands the name servers of that to the system; why that failed. Some seconds at most.
    public func setNameServers() -> String? {
        if case .hooksEnded(let failure)? = try? ask(.setNameServers, .files) { return failure }
        return "the helper process does not answer"
    }

    /// Writes another private key to where the last configuration that was read has its own.
    public func store(_ key: PrivateKey) throws(FileFailure) {
        guard case .done? = try askAboutFiles(.storeKey(key)) else { throw Self.lost("write") }
    }

    /// Writes down the private key that is to be the next one, or takes it away.
    public func storeNext(_ key: PrivateKey?) throws(FileFailure) {
        guard case .done? = try askAboutFiles(.storeNextKey(key)) else { throw Self.lost("write") }
    }

    /// Writes the config file anew, with what is known of its peers.
    public func save(_ peers: [SavedPeer]) throws(FileFailure) {
        guard case .done? = try askAboutFiles(.saveConfiguration(peers)) else { throw Self.lost("write") }
    }

    /// Changes a peer in the config file.
    public func edit(_ edit: PeerEdit) throws(Failure) {
        let reply: StewardReply?
        do throws(FileFailure) { reply = try askAboutFiles(.editPeer(edit)) } catch { throw Failure(error) }
        switch reply {
        case .done: break
        case .failed(let message, let status): throw Failure(ExitStatus(rawValue: status) ?? .software, message)
        default: throw Failure(Self.lost("change"))
        }
    }

    /// Makes the file what it was before the last edit.
    public func takeBackEdit() { _ = try? ask(.takeBackEdit, .files) }

    private func askAboutFiles(_ request: StewardRequest) throws(FileFailure) -> StewardReply? {
        let reply = try? ask(request, .files)
        if case .fileFailed(let failure)? = reply { throw failure }
        return reply
    }

    private static func lost(_ operation: String) -> FileFailure {
        FileFailure(operation, path: "files: the helper process does not answer", code: ESRCH)
    }

    // MARK: Names

    /// Asks the system for an address of the host. It takes as long as the resolver likes.
    public func resolve(_ host: HostAndPort) throws(ResolutionError) -> Endpoint {
        if let numeric = host.numeric { return numeric }
        switch try? ask(.resolve(host), .names) {
        case .endpoint(let endpoint): return endpoint
        case .noAddress(let reason): throw ResolutionError(host: host.host, reason: reason)
        default: throw ResolutionError(host: host.host, reason: "the helper process does not answer")
        }
    }

    // MARK: The packet filter

    public func makeFirewall(_ rules: FirewallRules) -> ProgramOutcome { askForProgram(.makeFirewall(rules)) }
    public func removeFirewall(_ families: [NetworkFamily]) { _ = askForProgram(.removeFirewall(families)) }
    /// Removes what a daemon of this interface that was killed may have left behind.
    public func sweepFirewall() { _ = askForProgram(.sweepFirewall) }

    /// Lets answers to marked datagrams pass the reverse path filter (`net.ipv4.conf.all.src_valid_mark`).
    public func acceptMarkedReplies() throws(SystemError) { _ = try askForSystem(.acceptMarkedReplies, .network) }

    private func askForProgram(_ request: StewardRequest) -> ProgramOutcome {
        if case .program(let outcome)? = try? ask(request, .network) { return outcome }
        return .missing
    }

    // MARK: Sockets

    /// Makes the socket anew and listens. `EADDRINUSE` if another daemon answers there.
    public func listen(_ door: Door) throws(SystemError) -> FileDescriptor {
        try askForDescriptor(.listen(door))
    }

    /// Removes the socket's file.
    public func removeSocket(_ door: Door) { _ = try? askForSystem(.removeSocket(door), .sockets) }

    /// What is readable when something happened to the socket's file.
    public func watchSocket(_ door: Door) throws(SystemError) -> FileDescriptor {
        try askForDescriptor(.watchSocket(door))
    }

    /// Whether the file that is watched is no longer there.
    public func isSocketGone(_ door: Door) -> Bool {
        if case .answer(let value)? = try? ask(.isSocketGone(door), .sockets, Self.patience) { return value }
        return false
    }

    /// A socket to ask the kernel in the namespace where the device is now.
    public func netlink(beside device: borrowing TunDevice) throws(SystemError) -> Netlink {
        Netlink(adopting: try askForDescriptor(.openNetlink, passing: device.descriptor))
    }

    /// Standard output and error are nobody's from now on, here and there.
    public func releaseOutput() {
        guard let nothing = try? askForDescriptor(.releaseOutput) else { return }
        for output in [STDOUT_FILENO, STDERR_FILENO] { dup2(nothing.raw, output) }
    }

    private func askForDescriptor(
        _ request: StewardRequest, passing descriptor: Int32 = -1
    ) throws(SystemError) -> FileDescriptor {
        let answer = try askForSystem(request, .sockets, passing: descriptor)
        guard let descriptor = answer.takeDescriptor() else { throw Self.gone }
        return descriptor
    }

    private func askForSystem(
        _ request: StewardRequest, _ affair: Affair, passing descriptor: Int32 = -1
    ) throws(SystemError) -> MessageChannel.Message {
        let message = try exchange(request, affair, Self.patience, passing: descriptor)
        switch try? StewardReply(message.bytes) {
        case .done: return message
        case .failed(let attempt, let number): throw SystemError(attempt, number: number)
        default: throw Self.gone
        }
    }

    // MARK: An upgrade

    /// What became of the question for another process.
    public enum Succession: Sendable {
        /// It begins, and speaks over this.
        case begun(MessageChannel)
        /// A line that says why not.
        case refused(String)
    }

    /// Begins a process that is to take the daemon's place.
    public func beginSuccessor() -> Succession {
        guard let message = try? exchange(.beginSuccessor, .succession, 10_000) else {
            return .refused("the helper process does not answer")
        }
        switch try? StewardReply(message.bytes) {
        case .done:
            guard let descriptor = message.takeDescriptor() else { return .refused("the helper process is lost") }
            return .begun(MessageChannel(adopting: descriptor))
        case .noSuccessor(let line): return .refused(line)
        case .failed(let attempt, let number): return .refused("\(SystemError(attempt, number: number))")
        default: return .refused("the helper process is lost")
        }
    }

    /// Ends it, and waits for that.
    public func endSuccessor() { _ = try? exchange(.endSuccessor, .succession, 5000) }

    /// Memory for the state.
    public func makeMemory(size: Int, isSecret: Bool) throws(SystemError) -> FileDescriptor {
        let answer = try exchange(.makeMemory(UInt64(size), isSecret: isSecret), .succession, Self.patience)
        switch try? StewardReply(answer.bytes) {
        case .done:
            guard let descriptor = answer.takeDescriptor() else { throw Self.gone }
            return descriptor
        case .failed(let attempt, let number): throw SystemError(attempt, number: number)
        default: throw Self.gone
        }
    }

    // MARK: Questions

    private static let gone = SystemError("ask the helper process", number: ECONNRESET)

    private func ask(
        _ request: StewardRequest, _ affair: Affair, _ milliseconds: Int32 = -1
    ) throws(SystemError) -> StewardReply {
        let message = try exchange(request, affair, milliseconds)
        do throws(MessageReader.Malformed) { return try StewardReply(message.bytes) } catch { throw Self.gone }
    }

    private func exchange(
        _ request: StewardRequest, _ affair: Affair, _ milliseconds: Int32, passing descriptor: Int32 = -1
    ) throws(SystemError) -> MessageChannel.Message {
        try lines[affair.rawValue].exchange(request, milliseconds, passing: descriptor)
    }

    private func post(_ request: StewardRequest, _ affair: Affair) throws(SystemError) {
        try lines[affair.rawValue].channel.send(request.bytes)
    }

    /// A channel, and whose turn it is.
    private final class Line: Sendable {
        let channel: MessageChannel
        private let turn = Mutex(())

        init(_ channel: MessageChannel) { self.channel = channel }

        func exchange(
            _ request: StewardRequest, _ milliseconds: Int32, passing descriptor: Int32
        ) throws(SystemError) -> MessageChannel.Message {
            try turn.withLock { _ throws(SystemError) -> MessageChannel.Message in
                do throws(SystemError) {
                    var bytes = request.bytes
                    try channel.send(bytes, passing: descriptor)
                    var span = bytes.mutableSpan
                    wipe(&span)
                    return try channel.receive(milliseconds: milliseconds)
                } catch {
                    // What comes too late would be taken for the answer to the next question.
                    channel.end()
                    throw error
                }
            }
        }
    }
}
