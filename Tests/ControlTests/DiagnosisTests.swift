import Testing

@testable import Control

@Suite struct DiagnosisTests {
    static let peer = PeerStatistics(
        publicKey: "key", name: "far", endpoint: "192.0.2.1:51820", allowedIPs: ["10.1.0.0/16"])

    static func facts(_ peer: PeerStatistics, _ change: (inout DiagnosisFacts) -> Void = { _ in }) -> DiagnosisFacts {
        let statistics = InterfaceStatistics(interface: "hq", publicKey: "ours", listenPort: 51820, peers: [peer])
        var facts = DiagnosisFacts(statistics: statistics, now: 1000)
        change(&facts)
        return facts
    }

    @Test(
        "the last problem leads to the step that fails",
        arguments: [
            ("notSent", "wayOut"), ("rejected", "udp"), ("loop", "wayOut"), ("noAddress", "name"),
            ("response", "presharedKey"),
            ("unconfirmed", "presharedKey"), ("replayed", "clock"), ("unanswered", "udp"),
            ("of a later version", "udp"),
        ])
    func problems(code: String, step: String) {
        var peer = Self.peer
        (peer.lastProblemCode, peer.lastProblem, peer.lastProblemTime) = (code, "text", 995)
        let diagnosis = Diagnosis(Self.facts(peer))
        #expect(diagnosis.verdict?.step == step && diagnosis.verdict?.peer == "far")
        #expect(diagnosis.verdict?.evidence == ["text (5 seconds ago)"] && diagnosis.verdict?.cure != nil)
    }

    @Test("a problem that is over fails nothing")
    func over() {
        var peer = Self.peer
        (peer.lastProblemCode, peer.lastProblem, peer.lastProblemTime) = ("response", "text", 900)
        (peer.latestHandshake, peer.rxBytes) = (990, 1)
        #expect(Diagnosis(Self.facts(peer)).status == .ok)
    }

    @Test("whose handshakes were refused tells why nothing comes back, if they came from the peer's address")
    func handshakes() {
        let refused = GatewayEvent(
            .refused, .warning,
            text: "handshake from 192.0.2.1:7 refused: it is made for another public key than ours, ours")
        let diagnosis = Diagnosis(Self.facts(Self.peer) { $0.events = [refused] })
        #expect(
            diagnosis.verdict?.step == "key" && diagnosis.verdict?.cure == "write on the other end: PublicKey = ours")
        var elsewhere = refused
        elsewhere.text = "handshake from 192.0.2.11:7 refused: it is made for another public key than ours, ours"
        #expect(Diagnosis(Self.facts(Self.peer) { $0.events = [elsewhere] }).verdict == nil)
    }

    @Test("a gateway that nobody is told of, and a name that no peer has, are failures")
    func peers() {
        #expect(Diagnosis(Self.facts(Self.peer) { $0.statistics.peers = [] }).verdict?.step == "peer")
        #expect(Diagnosis(Self.facts(Self.peer), peer: "nobody").verdict?.step == "peer")
    }

    @Test("a route into another device fails before all else of the peer, and its words are shown")
    func routes() {
        var host = HostFacts()
        host.routes = ["10.1.0.0/16": HostFacts.Route(device: "eth0", text: "10.1.0.1 dev eth0")]
        let diagnosis = Diagnosis(Self.facts(Self.peer), host: host)
        #expect(diagnosis.verdict?.text == "what is for 10.1.0.0/16 goes to eth0, not into hq")
        let text = DiagnosisText.render(diagnosis)
        #expect(text.contains("  FAILS    route         what is for 10.1.0.0/16 goes to eth0, not into hq\n"))
        #expect(text.contains("seen: 10.1.0.1 dev eth0\n") && text.contains("\nit fails at: route of far: what is for"))
    }

    @Test("what the kernel dropped for its checksum is not told as slowness")
    func checksums() {
        let damaged = Self.facts(Self.peer) { $0.statistics.drops.checksum = 7 }
        #expect(Diagnosis(damaged).steps.last?.step == "checksum")
        let slow = Self.facts(Self.peer) { $0.statistics.drops.kernelReceive = 7 }
        #expect(Diagnosis(slow).steps.last?.step == "kernel")
    }

    @Test(
        "a thread that has no time left is told apart from one whose processor others take",
        arguments: [
            (0.97, 0.01, "as fast as it gets"), (0.5, 0.45, "others here take it"), (0.6, 0.1, nil), (0.02, nil, nil),
        ]
            as [(Double?, Double?, String?)])
    func processor(load: Double?, waits: Double?, text: String?) {
        var host = HostFacts()
        (host.load, host.waits) = (load, waits)
        let said = Diagnosis(Self.facts(Self.peer), host: host).steps.filter { $0.step == "cpu" }
        #expect(said.map(\.status) == (text == nil ? [] : [.warning]))
        #expect(said.allSatisfy { $0.text.hasSuffix(text ?? "") && $0.cure?.isEmpty == false })
    }

    @Test(
        "the key exchange is judged by what is wanted and how far it is",
        arguments: [
            (.agreed, .ok, .ok), (.unsaid, .note, .warning), (.underWay, .note, .warning), (.refused, .note, .fails),
            (.unanswered, .warning, .fails),
        ] as [(PeerStatistics.KeyExchangeStage, Diagnosis.Status, Diagnosis.Status)])
    func keyExchange(stage: PeerStatistics.KeyExchangeStage, preferred: Diagnosis.Status, demanded: Diagnosis.Status) {
        for (wish, status) in [("prefer", preferred), ("require", demanded)] {
            for isGateway in [true, false] {
                var peer = Self.peer
                (peer.latestHandshake, peer.rxBytes, peer.isGateway) = (990, 1, isGateway)
                (peer.keyExchangeWanted, peer.keyExchangeStage, peer.keyExchangeUnanswered) = (wish, stage, 3)
                peer.drops.keyExchange = 7
                let steps = Diagnosis(Self.facts(peer)).steps.filter { $0.step == "keyExchange" }
                #expect(steps.map(\.status) == [status])
                #expect(stage == .agreed || steps.first?.cure?.isEmpty == false)
                let evidence = steps.first?.evidence ?? []
                #expect((evidence.last?.hasPrefix("7 packets") == true) == [.refused, .unanswered].contains(stage))
                if stage == .unanswered { #expect(evidence.first?.hasPrefix("3 times in a row") == true) }
                if stage == .refused {
                    #expect(steps.first?.text.contains(isGateway ? "is a gateway" : "plain WireGuard") == true)
                }
            }
        }
        // It is not asked for, or the daemon is older.
        #expect(!Diagnosis(Self.facts(Self.peer)).steps.contains { $0.step == "keyExchange" })
    }

    @Test("a diagnosis reads back from its JSON")
    func json() throws {
        let diagnosis = Diagnosis(Self.facts(Self.peer))
        #expect(try JSON.decode(Diagnosis.self, from: try JSON.encode(diagnosis)) == diagnosis)
    }
}
