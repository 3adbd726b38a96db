import Addresses
import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import TunnelCore

// What `gatewayctl diagnose` and `gatewayctl ping` ask for.

/// The answer to `GET /v1/diagnose`: what the daemon knows, and what it makes of that alone.
private struct DiagnosisReply: Encodable {
    let facts: DiagnosisFacts
    let steps: [Diagnosis.Step]
}

extension ControlDesk {
    /// Events of these kinds tell of trouble; so many of them are told.
    private static let telling: Set<GatewayEvent.Kind> = [
        .unanswered, .givenUp, .refused, .problem, .mismatch, .roamed, .drops,
    ]
    private static let mostEvents = 200

    func diagnose(_ peer: String?, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: (mtu: Int, offloads: [String: Bool]).self)
        let isPosted = daemon.commands.post { loop, _ in promise.succeed((loop.tunnel.mtu, loop.usedOffloads)) }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult.flatMap { [self] used in
            statistics.snapshot(on: loop).map { [self] snapshot in
                let facts = facts(snapshot.statistics, mtu: used.mtu, used.offloads)
                guard peer == nil || facts.statistics.peers.contains(where: { $0.name == peer || $0.publicKey == peer })
                else {
                    return ControlReply(
                        .notFound, "no peer has that name or public key", code: "noPeer",
                        cure: "GET /v1/peers lists them")
                }
                return ControlReply(DiagnosisReply(facts: facts, steps: Diagnosis(facts, peer: peer).steps))
            }
        }
    }

    private func facts(_ statistics: InterfaceStatistics, mtu: Int, _ offloads: [String: Bool]) -> DiagnosisFacts {
        let interface = daemon.configuration.interface
        let question = EventQuestion(telling: Set(Self.telling.map(\.rawValue)), limit: Self.mostEvents)
        return DiagnosisFacts(
            statistics: statistics, addresses: interface.addresses.map(\.description),
            table: "\(interface.table)", mode: interface.mode.rawValue, mtu: mtu, offloads: offloads,
            offloadsLeftOut: Configuration.Offload.allCases.filter { !interface.offloads.contains($0) }.map(\.rawValue),
            ports: interface.mode == .tap ? BridgePortFacts.all(beside: "\(interface.name)").ports : nil,
            events: question.page(of: daemon.log.history).events, now: wallClock().seconds)
    }

    // MARK: Ping

    /// How long a session, and then an answer, is waited for. An initiation is given up after five seconds.
    private static let patience: Int64 = 6_500_000_000

    /// Has a peer asked how long the way there and back takes. Without a session one is asked for.
    func ping(_ name: String, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let settings = daemon.settings
        guard
            let key = settings.configuration.peers.first(where: { $0.name == name || $0.publicKey.description == name }
            )?.publicKey
                ?? PublicKey(name)
        else { return loop.makeSucceededFuture(Self.noPeer) }
        let promise = loop.makePromise(of: ControlReply.self)
        let now = bootTime()
        ask(Question(key: key, beganAt: now, endsAt: now + Self.patience), promise)
        return promise.futureResult
    }

    private static let noPeer = ControlReply(
        .notFound, "no peer has that name or public key", code: "noPeer", cure: "GET /v1/peers lists them")

    private struct Question: Sendable {
        let key: PublicKey
        let beganAt: Int64
        var endsAt: Int64
        /// The token of a PING that is on its way.
        var token: UInt64?
        /// How long the peer may still say that it is a gateway.
        var speaksBy: Int64?
    }

    /// Looks how far it is, and looks again a little later.
    private func ask(_ question: Question, _ promise: EventLoopPromise<ControlReply>) {
        let isPosted = daemon.commands.post { [self] loop, now in
            var question = question
            let time = now.instant.nanoseconds
            if let token = question.token {
                if let trip = loop.tunnel.answer(to: token, of: question.key) {
                    let microseconds = UInt64(max(trip.nanoseconds, 0) / 1000)
                    return promise.succeed(
                        ControlReply(PingReply(session: true, gateway: true, microseconds: microseconds)))
                }
                guard time < question.endsAt else {
                    return promise.succeed(ControlReply(PingReply(session: true, gateway: true)))
                }
            } else {
                switch loop.tunnel.ping(question.key, at: now) {
                case .noPeer: return promise.succeed(Self.noPeer)
                case .asked(let token):
                    question.token = token
                    // Two seconds are long for an answer, however late the session was.
                    question.endsAt = time + 2_000_000_000
                case .noSession:
                    let problem = loop.tunnel.problem(of: question.key).map { $0.1.nanoseconds } ?? 0
                    guard time < question.endsAt, problem < question.beganAt else {
                        return promise.succeed(ControlReply(PingReply(session: false, gateway: nil)))
                    }
                case .takesNone(let saysNothing):
                    question.speaksBy = question.speaksBy ?? min(time + 1_000_000_000, question.endsAt)
                    guard saysNothing, let end = question.speaksBy, time < end else {
                        return promise.succeed(
                            ControlReply(PingReply(session: true, gateway: saysNothing ? nil : true)))
                    }
                }
            }
            let next = question
            promise.futureResult.eventLoop.scheduleTask(in: .milliseconds(10)) { [self] in ask(next, promise) }
        }
        if !isPosted { promise.fail(TooBusy()) }
    }
}

extension DataLoop {
    /// The offloads by their names in the file, and whether they are used.
    fileprivate var usedOffloads: [String: Bool] {
        var used: [String: Bool] = [:]
        for offload in Configuration.Offload.allCases { used[offload.rawValue] = offloads.contains(offload) }
        if device.kind == .tun, offloads.contains(.tunGRO), !tunnel.inbox.mergesTCP {
            used[Configuration.Offload.tunGRO.rawValue] = false
        }
        return used
    }
}
