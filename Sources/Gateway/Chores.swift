import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Synchronization
import TunnelCore

/// What may block: asking for the addresses of names, reading the configuration again. On a thread of its own.
final class Chores: Sendable {
    private enum Chore: Sendable {
        case resolve(PublicKey, HostAndPort)
        case reload
    }

    private let daemon: Daemon
    private let thread: WorkThread<Chore>

    init(_ daemon: Daemon) throws(SystemError) {
        self.daemon = daemon
        thread = try WorkThread(name: "chores", capacity: 4096) {
            { chore in
                switch chore {
                case .resolve(let key, let host): Self.resolve(host, of: key, daemon)
                case .reload: daemon.reload()
                }
            }
        }
    }

    func reload() { thread.post(.reload) }

    /// Asks for the addresses of all endpoints that are names.
    func resolveAll(_ peers: [Configuration.Peer]) {
        for peer in peers {
            if let endpoint = peer.endpoint, endpoint.numeric == nil { thread.post(.resolve(peer.publicKey, endpoint)) }
        }
    }

    /// Asks for a peer's address again, if it has a name: it may have moved.
    func resolveAgain(_ key: PublicKey) {
        resolveAll(daemon.configuration.withLock { $0.peers.filter { $0.publicKey == key } })
    }

    private static func resolve(_ host: HostAndPort, of key: PublicKey, _ daemon: Daemon) {
        // A name may have no address yet, because the network isn't up: that is no reason to give up.
        for attempt in 0... {
            do throws(ResolutionError) {
                let endpoint = try host.resolve()
                daemon.commands.post { tunnel, _ in tunnel.setEndpoint(endpoint, of: key) }
                return
            } catch {
                if attempt == 0 { daemon.log.warning("\(daemon.name(of: key)): no address for \(error), asking again") }
                guard attempt < 20 else { return }
                sleep(UInt32(min(attempt + 1, 5)))
            }
        }
    }
}
