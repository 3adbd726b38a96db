import Control
import Keys
import LinuxIO
import TunnelCore

/// What the supervisor hears while the loop runs: that it is not stuck, twice in the time in which it must hear that, and in a
/// line with how many peers it is in touch. On the data thread, which does nothing else when it does not come to this.
struct Pulse {
    /// How long after its handshake a peer counts: one that sends or is sent to makes the next one before.
    private static let memory = Interval.seconds(180)
    /// How often the line may change.
    private static let rest = Interval.seconds(1)
    /// After how long it is looked who is still in touch.
    private static let look = Interval.seconds(30)

    private let daemon: Daemon
    private let supervisor: Supervisor
    /// Between two signs of life; `nil` if nobody waits for them.
    private let interval: Interval?
    private var aliveDueAt = Instant.distantPast
    private var statusDueAt = Instant.distantPast
    private var status = ""
    /// When each peer shook hands last.
    private var met: [PublicKey: Instant] = [:]

    /// `nil` if there is nobody to hear it.
    init?(_ daemon: Daemon) {
        guard let supervisor = daemon.supervisor else { return nil }
        self.daemon = daemon
        self.supervisor = supervisor
        interval = supervisor.patience.map { Interval(nanoseconds: $0 / 2) }
    }

    /// Takes note of who was in touch with a process before.
    mutating func resume(_ tunnel: borrowing Tunnel, at now: Now) {
        for peer in tunnel.statistics(at: now.instant).peers {
            guard let last = peer.lastHandshake else { continue }
            let age = Interval.seconds(min(max(now.wall.seconds - last.seconds, 0), 1 << 32))
            if age < Self.memory { met[peer.publicKey] = now.instant + age * -1 }
        }
    }

    /// Takes note of who is in touch.
    mutating func note(_ event: TunnelEvent, at time: Instant) {
        guard case .handshakeDone(let key, _, _) = event else { return }
        if met.updateValue(time, forKey: key) == nil { statusDueAt = min(statusDueAt, time + Self.rest) }
    }

    /// Tells what is due; when the next is.
    mutating func beat(_ tunnel: borrowing Tunnel, at time: Instant) -> Instant {
        if let interval, aliveDueAt <= time {
            aliveDueAt = time + interval
            supervisor.tell(.alive)
        }
        if statusDueAt <= time {
            statusDueAt = time + Self.look
            for (key, moment) in met where moment + Self.memory <= time || !tunnel.hasPeer(key) { met[key] = nil }
            tell(port: tunnel.port)
        }
        return interval == nil ? statusDueAt : min(aliveDueAt, statusDueAt)
    }

    private mutating func tell(port: UInt16) {
        let peers = max(daemon.configuration.peers.count, met.count)
        let line = "UDP port \(port), in touch with \(met.count) of \(peers == 1 ? "1 peer" : "\(peers) peers")"
        guard line != status else { return }
        status = line
        supervisor.tell(status: line)
    }
}
