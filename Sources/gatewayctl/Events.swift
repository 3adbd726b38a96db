import ArgumentParser
import Control
import Glibc

/// `gatewayctl events`: what happened to an interface, and what happens.
struct Events: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints what happened: handshakes, roaming, problems, drops, reloads.",
        discussion: """
            The daemon keeps the last 10,000 events: all that its log says, whatever LOG_LEVEL is, and beside that queues \
            that stand and drops beyond a hundred in five seconds.
            """)

    @Argument(help: "The interface; may be left out if only one runs.")
    var name: InterfaceName?

    @Flag(help: "Go on with what happens, until Ctrl-C.")
    var follow = false

    @Option(help: "Only events about this peer: its name or public key.", completion: .peers)
    var peer: String?

    @Option(
        help: "Only events of this kind: \(GatewayEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")).",
        completion: .list(GatewayEvent.Kind.allCases.map(\.rawValue)))
    var kind: String?

    @Option(help: "How many of the last ones.")
    var last = 50

    @Flag(help: "A line of JSON for each.")
    var json = false

    func perform() throws(Failure) {
        if let kind, GatewayEvent.Kind(rawValue: kind) == nil {
            let kinds = GatewayEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(
                .usage, "there are no events of the kind \"\(Diagnostic.printable(kind))\": choose one of \(kinds)")
        }
        guard (0...10_000).contains(last) else { throw Failure(.usage, "--last takes 0 to 10000") }
        let client = try RunningGateway.client(name)
        var filter = EventFilter(limit: last, peer: peer, kind: kind)
        let page = try reporting { () throws(ControlError) in try client.events(filter) }
        for event in page.events { print(event) }
        guard follow else { return }
        filter.since = page.next
        filter.limit = nil
        try reporting { () throws(ControlError) in
            try client.follow(filter, lost: { Terminal.complain("\($0) events went by unread") }) { event in
                print(event)
                return true
            }
        }
        throw Failure(.unavailable, "the gateway \(client.interface) ended")
    }

    private func print(_ event: GatewayEvent) {
        if json {
            if let line = try? JSON.encode(event) { Terminal.write(line + [UInt8(ascii: "\n")]) }
        } else {
            Terminal.write(EventText.line(event, ink: Terminal.ink) + "\n")
        }
    }
}

extension CompletionKind {
    /// The names of the peers of what runs.
    static var peers: CompletionKind {
        .custom { _, _, _ in
            let running = RunDirectory.current.running().map { ControlClient(interface: $0, patience: .seconds(1)) }
            return running.flatMap { client in
                ((try? client.statistics())?.peers ?? []).map { $0.name ?? $0.publicKey }
            }
        }
    }
}
