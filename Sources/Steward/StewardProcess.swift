import Addresses
import CTun
import Control
import Glibc
import Keys
import LinuxIO
import Synchronization

/// The steward's own side: a thread for each channel does what is asked for there, one after the other. When a channel ends,
/// so does the process.
final class StewardProcess: Sendable {
    private let name: InterfaceName
    private let control: String
    private let channels: [MessageChannel]
    private let hooks: HookRunner
    private let files: ConfigurationFiles
    private let firewall: FirewallTables
    private let successors: SuccessorRunner
    private let watches = Mutex<[Door: SocketWatch]>([:])
    private let log: Steward.Log

    init(
        _ configuration: Configuration, control: String, _ successors: SuccessorRunner, _ log: @escaping Steward.Log,
        _ channels: [MessageChannel]
    ) throws(SystemError) {
        self.successors = successors
        name = configuration.interface.name
        self.control = control
        self.channels = channels
        self.log = log
        hooks = try HookRunner(configuration.interface, log)
        files = ConfigurationFiles(configuration, hooks)
        firewall = FirewallTables(configuration.interface.name)
    }

    func run() -> Never {
        _ = signal(SIGPIPE, SIG_IGN)
        do throws(SystemError) {
            for affair in Steward.Affair.allCases where affair != .sockets {
                try startThread("\(affair)") { self.serve(affair) }
            }
        } catch {
            log(.warning, "\(error)")
            _exit(1)
        }
        // What is asked for here takes no time, so the end is noticed at once.
        serve(.sockets)
        _exit(0)
    }

    private func serve(_ affair: Steward.Affair) {
        let channel = channels[affair.rawValue]
        while let message = try? channel.receive() {
            var request: StewardRequest?
            do throws(MessageReader.Malformed) { request = try StewardRequest(message.bytes) } catch {}
            let answer =
                if let request {
                    self.answer(request, affair, channel, message.descriptor)
                } else {
                    Answer(.refused)
                }
            guard let reply = answer.reply else { continue }
            do throws(SystemError) {
                try channel.send(reply.bytes, passing: answer.descriptor)
            } catch { break }
        }
        finish()
    }

    /// Nobody asks any more: a command that runs is not to outlive the daemon.
    private func finish() -> Never {
        hooks.stop()
        _exit(0)
    }

    private struct Answer: ~Copyable {
        /// `nil` if it comes later.
        let reply: StewardReply?
        private let passed: FileDescriptor?

        init(_ reply: StewardReply?, _ passed: consuming FileDescriptor? = nil) {
            self.reply = reply
            self.passed = passed
        }

        var descriptor: Int32 {
            switch passed {
            case .some(let passed): passed.raw
            case .none: -1
            }
        }
    }

    private func answer(
        _ request: StewardRequest, _ affair: Steward.Affair, _ channel: MessageChannel, _ passed: Int32
    ) -> Answer {
        switch (affair, request) {
        case (.hooks, .runHooks(let moment)):
            hooks.start(moment) { try? channel.send(StewardReply.hooksEnded($0).bytes) }
            return Answer(nil)
        case (.hooks, .interruptHooks):
            hooks.interrupt()
            return Answer(nil)
        case (.files, _): return Answer(files.answer(request))
        case (.names, .resolve(let host)): return Answer(Self.resolve(host))
        case (.network, .acceptMarkedReplies):
            return Self.answer { () throws(SystemError) in try Self.acceptMarkedReplies() }
        case (.network, _): return Answer(firewall.answer(request))
        case (.sockets, _): return answerAboutSockets(request, passed)
        case (.succession, _): return answerAboutSuccession(request)
        default: return Answer(.refused)
        }
    }

    private static func resolve(_ host: HostAndPort) -> StewardReply {
        do throws(ResolutionError) { return .endpoint(try host.resolve()) } catch { return .noAddress(error.reason) }
    }

    private static func answer(_ body: () throws(SystemError) -> Void) -> Answer {
        do throws(SystemError) {
            try body()
            return Answer(.done)
        } catch {
            return Answer(.failed(error.attempt, error.number))
        }
    }

    private static func answer(descriptor body: () throws(SystemError) -> FileDescriptor) -> Answer {
        do throws(SystemError) {
            return Answer(.done, try body())
        } catch {
            return Answer(.failed(error.attempt, error.number))
        }
    }

    private static func acceptMarkedReplies() throws(SystemError) {
        let path = "/proc/sys/net/ipv4/conf/all/src_valid_mark"
        var value: UInt8 = 0
        let reader = FileDescriptor(owning: unsafe open(path, O_RDONLY | O_CLOEXEC))
        if reader.raw >= 0 { _ = unsafe read(reader.raw, &value, 1) }
        guard value != UInt8(ascii: "1") else { return }
        let writer = FileDescriptor(owning: unsafe open(path, O_WRONLY | O_CLOEXEC))
        guard unsafe writer.raw < 0 || write(writer.raw, "1", 1) != 1 else { return }
        throw SystemError("set net.ipv4.conf.all.src_valid_mark to 1", number: errno)
    }

    // MARK: Sockets

    private func path(of door: Door) -> String {
        switch door {
        case .control: control
        case .uapi: UAPISocket.path(of: name)
        }
    }

    private func answerAboutSockets(_ request: StewardRequest, _ passed: Int32) -> Answer {
        switch request {
        case .listen(.control):
            _ = unsafe mkdir(TextFile.folder(of: control), 0o755)
            return Self.answer { () throws(SystemError) in
                try UnixListener.open(path: control, mode: 0o660, group: "gateway")
            }
        case .listen(.uapi): return Self.answer { () throws(SystemError) in try UAPISocket.open(name) }
        case .removeSocket(let door):
            _ = unsafe unlink(path(of: door))
            return Answer(.done)
        case .watchSocket(let door): return watch(door)
        case .isSocketGone(let door): return Answer(.answer(watches.withLock { $0[door]?.isGone() ?? true }))
        case .openNetlink:
            guard passed >= 0 else { return Answer(.refused) }
            return Self.answer { () throws(SystemError) in try TunDevice.openNetlinkBeside(passed) }
        case .releaseOutput:
            return Self.answer { () throws(SystemError) in
                let nothing = FileDescriptor(owning: unsafe open("/dev/null", O_WRONLY | O_CLOEXEC))
                guard nothing.raw >= 0 else { throw SystemError("open /dev/null", number: errno) }
                for output in [STDOUT_FILENO, STDERR_FILENO] { dup2(nothing.raw, output) }
                return nothing
            }
        default: return Answer(.refused)
        }
    }

    private func answerAboutSuccession(_ request: StewardRequest) -> Answer {
        switch request {
        case .beginSuccessor:
            switch successors.begin() {
            case .success(let channel):
                return Self.answer(descriptor: { () throws(SystemError) in try channel.copyDescriptor() })
            case .failure(let refused): return Answer(.noSuccessor(refused.line))
            }
        case .endSuccessor:
            successors.end()
            return Answer(.done)
        case .makeMemory(let size, let isSecret):
            return Self.answer(descriptor: { () throws(SystemError) in
                try SecretMemory.make(size: Int(size), isSecret: isSecret)
            })
        default: return Answer(.refused)
        }
    }

    private func watch(_ door: Door) -> Answer {
        do throws(SystemError) {
            let watch = SocketWatch(try FileWatch(path: path(of: door)))
            watches.withLock { $0[door] = watch }
            return Answer(.done, try watch.copyDescriptor())
        } catch {
            return Answer(.failed(error.attempt, error.number))
        }
    }

    private final class SocketWatch: Sendable {
        private let watch: FileWatch
        init(_ watch: consuming FileWatch) { self.watch = watch }
        func isGone() -> Bool { watch.isGone() }

        func copyDescriptor() throws(SystemError) -> FileDescriptor {
            let copy = fcntl(watch.descriptor, F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else { throw SystemError("watch a socket", number: errno) }
            return FileDescriptor(owning: copy)
        }
    }
}
