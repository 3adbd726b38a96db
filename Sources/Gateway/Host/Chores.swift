import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

/// Chores, which may block: reading and writing files, mending the network, and asking for the addresses of names. Each has a
/// thread of its own, so that a name server which does not answer, or a disk that is slow, holds up nothing else.
final class Chores: Sendable {
    /// Milliseconds that the end waits for files.
    private static let patience: Int32 = 5000

    private let daemon: Daemon
    private let files: WorkThread<@Sendable () -> Void>
    /// True: only the MTU is to follow the routes.
    private let mending: WorkThread<Bool>
    private let names: WorkThread<Question>
    /// Peers whose addresses are being asked for: each once.
    private let asked = Mutex<Set<PublicKey>>([])

    init(_ daemon: Daemon) throws(SystemError) {
        self.daemon = daemon
        files = try WorkThread(name: "files", capacity: 64) { { chore in chore() } }
        mending = try WorkThread(name: "network", capacity: 16) {
            { isRoutes in if isRoutes { daemon.followRoutes() } else { daemon.mend() } }
        }
        names = try WorkThread(name: "names", capacity: 65_536) { { question in question.chores.answer(question) } }
    }

    /// Has something done that reads or writes files, after all that was asked for before; false if too much waits.
    func post(_ chore: @escaping @Sendable () -> Void) -> Bool { files.post(chore) }

    /// Has the file read again. The supervisor is told, if it knows already that the interface serves, and hears of the end
    /// when the loop has done what changed.
    func reload(isServing: Bool) {
        _ = post { [self] in
            // The other process hears of it as well.
            if daemon.isHandedOver { return }
            let supervisor = isServing ? daemon.supervisor : nil
            supervisor?.tell(.reloading)
            daemon.reload(self)
            guard let supervisor else { return }
            if !daemon.commands.post({ _, _ in supervisor.tell(.ready) }) { supervisor.tell(.ready) }
        }
    }

    /// Has a peer's word about a key taken. What is too much comes again.
    func take(_ record: RotateRecord, from key: PublicKey) {
        _ = post { [self] in daemon.take(record, from: key, self) }
    }

    /// Has what the interface lost brought back.
    func mend() { mending.post(false) }

    /// Has the interface's MTU follow the routes to the endpoints, if it was made of them.
    func followRoutes() { mending.post(true) }

    /// Waits until the files are as they were asked to be, but not for ever: a disk may hang.
    func finish() {
        guard let done = try? Mailbox<Void>(capacity: 1), post({ _ = done.post(()) }) else { return }
        done.wait(milliseconds: Self.patience)
    }

    /// Asks for the addresses of all endpoints that are names.
    func resolveAll(_ peers: [Configuration.Peer]) {
        for peer in peers {
            guard let host = peer.endpoint, host.numeric == nil else { continue }
            if asked.withLock({ $0.insert(peer.publicKey).inserted }) {
                names.post(Question(chores: self, peer: peer.publicKey, host: host))
            }
        }
    }

    /// Asks for a peer's address again, if it has a name: it may have moved.
    func resolveAgain(_ key: PublicKey) {
        if let peer = daemon.settings.peer(key) { resolveAll([peer]) }
    }

    /// A name whose address is wanted. One that has none now is asked for again and again, at growing intervals: the
    /// network may not be up yet.
    private struct Question: Sendable {
        private static let longestWait = Interval.seconds(60)

        let chores: Chores
        let peer: PublicKey
        let host: HostAndPort
        var attempts = 0
        /// The time of `bootTime()` before which it is not asked.
        var notBefore: Int64 = 0

        mutating func wait() {
            attempts += 1
            notBefore = bootTime() + min(Interval.seconds(Int64(attempts)), Self.longestWait).nanoseconds
        }
    }

    private func answer(_ question: Question) {
        var question = question
        if bootTime() < question.notBefore {
            // Its turn comes again after those that wait behind it.
            usleep(100_000)
        } else {
            do throws(ResolutionError) {
                let endpoint = try daemon.steward.resolve(question.host)
                asked.withLock { _ = $0.remove(question.peer) }
                daemon.commands.post { [peer = question.peer] loop, _ in
                    loop.tunnel.setEndpoint(endpoint, of: peer)
                }
                return
            } catch {
                daemon.commands.post { [peer = question.peer] loop, now in
                    loop.tunnel.note(.noAddress("\(error)"), of: peer, at: now)
                }
                question.wait()
            }
        }
        if daemon.settings.peer(question.peer)?.endpoint == question.host {
            names.post(question)
        } else {
            asked.withLock { _ = $0.remove(question.peer) }
        }
    }
}
