import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Synchronization
import TunnelCore

/// A running interface: what its threads share.
///
///     data thread (main)   device ◀─▶ tunnel ◀─▶ sockets
///     handshake thread     what costs X25519
///     control thread       HTTP on /run/gateway/NAME.sock, UAPI on /var/run/wireguard/NAME.sock
///     chores thread        names and reloads: what may block
final class Daemon: Sendable {
    /// As the file was when it was last read, with the key of now.
    let configuration: Mutex<Configuration>
    let log: Log
    /// What other threads want done to the tunnel, on the data thread.
    let commands: Mailbox<LoopCommand>
    /// Addresses, routes and rules, while they are there.
    let network = Mutex<Network?>(nil)
    /// The port that the sockets have, once they are open.
    let listenPort = Atomic<UInt16>(0)
    /// The mark on what they send; 0 is none.
    let mark = Atomic<UInt32>(0)
    private let started = bootTime()

    init(_ configuration: Configuration, _ log: Log) throws(Failure) {
        self.configuration = Mutex(configuration)
        self.log = log
        commands = try Failure.from(.unavailable) { () throws(SystemError) in try Mailbox(capacity: 1024) }
    }

    var uptime: UInt64 { UInt64((bootTime() - started) / 1_000_000_000) }

    /// Takes over what others may ask for of the sockets.
    func note(_ loop: borrowing DataLoop) {
        listenPort.store(loop.sockets.port, ordering: .relaxed)
        mark.store(loop.mark, ordering: .relaxed)
    }

    /// What a person calls a peer: its name, or the beginning of its key.
    func name(of key: PublicKey) -> String {
        let name = configuration.withLock { $0.peers.first { $0.publicKey == key }?.name }
        return name ?? "peer \(key.description.prefix(8))…"
    }
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
