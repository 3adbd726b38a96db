import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

/// A running interface: what its threads share.
///
///     data thread (main)   device ◀─▶ tunnel ◀─▶ sockets
///     handshake thread     what costs X25519
///     control thread       HTTP on /run/gateway/NAME.sock, UAPI on /var/run/wireguard/NAME.sock
///     chores threads       files and names: what may block
///
/// And another process, the steward, for what takes more rights than carrying packets.
final class Daemon: Sendable {
    private let current: Mutex<Settings>
    let log: Log
    /// Who started it as a service and hears how it goes.
    let supervisor: Supervisor?
    /// Commands of other threads to the tunnel, done on the data thread.
    let commands: Mailbox<LoopCommand>
    /// The public key of the private one that the file held when it was last read or written; on the chores' thread for
    /// files, once the interface runs.
    let keyInFile = Mutex<PublicKey?>(nil)
    /// Addresses, routes and rules, while they are there.
    let network = Mutex<Network?>(nil)
    /// The port that the sockets have, once they are open.
    let listenPort = Atomic<UInt16>(0)
    /// The mark on what they send; 0 is none.
    let mark = Atomic<UInt32>(0)
    /// The process that does what this one gives up the right to.
    let steward: Steward
    let isConfined: Bool
    /// What compression would have saved where there is none.
    let wouldSave = WouldSave()
    let serviceCounts = ServiceCounts()
    /// What is wrong with other ports of the interface's bridge.
    let bridge = BridgeWatch()
    /// The servers, as long as they take connections.
    let doors = Mutex(Doors())
    /// Another process has taken over; it is told of that once.
    let departure = Mutex<Handover?>(nil)
    /// A process that stayed for the sake of its number hears of our end.
    let keeper = Mutex<MessageChannel?>(nil)
    /// Peers that have the public key that is to be ours, or refuse it.
    let keyHolders = Mutex(KeyHolders())
    private let start: Atomic<Int64>

    /// Make it before there are threads.
    init(_ configuration: Configuration, _ log: Log, isConfined: Bool) throws(Failure) {
        current = Mutex(Settings(configuration))
        start = Atomic(bootTime())
        self.log = log
        self.isConfined = isConfined
        let supervisor = Supervisor.takeFromEnvironment()
        self.supervisor = supervisor
        let control = RunDirectory.current.socket(of: configuration.interface.name)
        steward = try Failure.from(.unavailable) { () throws(SystemError) in
            let successor = Steward.Successor(isConfined: isConfined, environment: supervisor?.environment ?? [])
            return try Steward.start(configuration, control: control, successor) { severity, line in
                switch severity {
                case .information: log.info(line)
                case .warning: log.warning(line)
                }
            }
        }
        commands = try Failure.from(.unavailable) { () throws(SystemError) in try Mailbox(capacity: 1024) }
    }

    /// When the first process of this interface started.
    var started: Int64 { start.load(ordering: .relaxed) }
    func adoptStart(_ time: Int64) { start.store(min(time, bootTime()), ordering: .relaxed) }

    var uptime: UInt64 { UInt64(max(bootTime() - started, 0) / 1_000_000_000) }

    var hasKeeper: Bool { keeper.withLock { $0 != nil } }
    var isHandedOver: Bool { departure.withLock { $0 != nil } }

    /// Takes over what others may ask for of the sockets.
    func note(_ loop: borrowing DataLoop) {
        listenPort.store(loop.sockets.port, ordering: .relaxed)
        mark.store(loop.mark, ordering: .relaxed)
    }

    /// The settings that hold now: the file as it was when it was last read, with the keys of now. Nothing is done under the
    /// lock but to take over a reference, so no thread waits for what another one does.
    var settings: Settings { current.withLock { $0 } }

    var configuration: Configuration { settings.configuration }

    /// Goes over to another configuration. Only what runs on the chores' thread for files does so, one after the other: a
    /// change between `settings` and this would be lost.
    func change(to configuration: Configuration) {
        var settings = Settings(configuration)
        current.withLock { swap(&$0, &settings) }
    }

    /// The name by which a person calls a peer.
    func name(of key: PublicKey) -> String { settings.name(of: key) }
}

extension Failure {
    /// A system's error, as a failure with this status; `cure` says what to do about it.
    init(_ status: ExitStatus, _ error: SystemError, cure: String? = nil) {
        let status = error.number == EPERM || error.number == EACCES ? .permission : status
        self.init(status, cure.map { "\(error); \($0)" } ?? "\(error)")
    }

    /// Runs what fails with a system's error.
    static func from<Result: ~Copyable>(
        _ status: ExitStatus, cure: String? = nil, _ body: () throws(SystemError) -> Result
    ) throws(Failure) -> Result {
        do throws(SystemError) { return try body() } catch { throw Failure(status, error, cure: cure) }
    }
}
