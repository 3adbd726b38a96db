import Control
import LinuxIO
import NIOCore
import TunnelCore

/// Looks at the statistics every few seconds for what nobody tells as it happens: many drops, and a queue that stands. It goes into
/// the history of events, not into the log. Ports of a bridge that don't take large frames do. On the control socket's event loop.
final class EventWatch {
    /// How often it looks; with very many peers less often.
    private static let interval = TimeAmount.seconds(5)
    private static let peersPerSecond = 1000
    /// Drops between two looks that are worth telling, and how many looks it then keeps quiet about them.
    private static let many: UInt64 = 100
    private static let quiet = 12
    /// How long half of the packets wait in a queue that stands, and in one that stands no more, in microseconds.
    private static let standing: UInt64 = 100_000
    private static let flowing: UInt64 = 50_000
    /// Drops that are told by themselves, or are nobody's fault.
    private static let unsaid: Set<String> = ["multicast", "allowedIPs", "budget"]

    private struct Subject {
        var told: [String: UInt64] = [:]
        var quietUntil = 0
        var isStanding = false
    }

    private let statistics: SharedStatistics
    private let daemon: Daemon
    private var log: Log { daemon.log }
    private var trial = CompressionTrial()
    private let loop: any EventLoop
    private var subjects: [String: Subject] = [:]
    private var looks = 0
    private var next: Scheduled<Void>?
    private var isOver = false

    init(_ statistics: SharedStatistics, _ daemon: Daemon, on loop: any EventLoop) {
        self.statistics = statistics
        self.daemon = daemon
        self.loop = loop
    }

    /// Looks for the first time.
    func start() { look() }

    func stop() {
        isOver = true
        next?.cancel()
    }

    private func look() {
        daemon.bridge.look(daemon.configuration.interface, log)
        let own = NIOLoopBound(self, eventLoop: loop)
        daemon.commands.post { [loop] data, _ in
            let samples = data.tunnel.takePlainSamples()
            let shares = data.tunnel.takeServiceShares()
            if !samples.isEmpty || !shares.isEmpty { loop.execute { own.value.count(samples, shares) } }
        }
        statistics.snapshot(on: loop).whenComplete { result in
            var pause = Self.interval
            if case .success(let snapshot) = result {
                own.value.compare(snapshot.statistics)
                let peers = snapshot.statistics.peers.count
                pause = max(pause, .seconds(Int64(peers / Self.peersPerSecond)))
            }
            guard !own.value.isOver else { return }
            own.value.next = own.value.loop.scheduleTask(in: pause) { own.value.look() }
        }
    }

    private func count(_ samples: [PlainSample], _ shares: [ServiceShare]) {
        daemon.wouldSave.take(samples, &trial)
        daemon.serviceCounts.take(shares)
    }

    private func compare(_ statistics: InterfaceStatistics) {
        looks += 1
        var present: Set<String> = [""]
        note("", nil, statistics.drops.byReason)
        for peer in statistics.peers {
            present.insert(peer.publicKey)
            note(peer.publicKey, peer, peer.drops.byReason)
            noteQueue(peer)
        }
        if subjects.count > present.count { subjects = subjects.filter { present.contains($0.key) } }
    }

    private func note(_ subject: String, _ peer: Control.PeerStatistics?, _ counts: [(reason: String, count: UInt64)]) {
        var known = subjects[subject] ?? Subject()
        defer { subjects[subject] = known }
        let isFirst = known.told.isEmpty
        var more: [(String, UInt64)] = []
        for (reason, count) in counts {
            let before = known.told[reason] ?? (isFirst ? count : 0)
            if !Self.unsaid.contains(reason), count >= before + Self.many { more.append((reason, count - before)) }
        }
        if !isFirst, !more.isEmpty {
            // What comes while it keeps quiet is told together.
            guard looks >= known.quietUntil else { return }
            known.quietUntil = looks + Self.quiet
            let list = more.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
            tell(.drops, .warning, peer, "\(peer.map { Self.name(of: $0) + ": " } ?? "")dropped: \(list)")
        }
        for (reason, count) in counts { known.told[reason] = count }
    }

    private func noteQueue(_ peer: Control.PeerStatistics) {
        guard let queue = peer.queue, let median = queue.delayMicrosecondsP50 else { return }
        let isStanding = subjects[peer.publicKey]?.isStanding ?? false
        let name = Self.name(of: peer)
        if !isStanding, median >= Self.standing {
            subjects[peer.publicKey]?.isStanding = true
            tell(
                .queue, .warning, peer,
                "\(name): the queue in front of its link stands: half of the packets wait \(median / 1000) ms or more")
        } else if isStanding, median < Self.flowing {
            subjects[peer.publicKey]?.isStanding = false
            tell(.queue, .info, peer, "\(name): the queue in front of its link stands no more")
        }
    }

    private func tell(
        _ kind: GatewayEvent.Kind, _ level: GatewayEvent.Level, _ peer: Control.PeerStatistics?, _ text: String
    ) {
        log.history.append(GatewayEvent(kind, level, peer: peer?.name, publicKey: peer?.publicKey, text: text))
    }

    private static func name(of peer: Control.PeerStatistics) -> String {
        peer.name ?? "peer \(peer.publicKey.prefix(8))…"
    }
}
