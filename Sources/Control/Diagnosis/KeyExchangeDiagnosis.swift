/// The check of the key exchange that a quantum computer does not undo (`PostQuantum`), with one peer.
struct KeyExchangeDiagnosis {
    private let peer: PeerStatistics
    private let facts: DiagnosisFacts
    private let host: HostFacts?

    /// UDP payload of the datagrams that encapsulation key and ciphertext take whole.
    private static let sizes = "1232 and 1136"

    init(_ peer: PeerStatistics, _ facts: DiagnosisFacts, _ host: HostFacts?) {
        self.peer = peer
        self.facts = facts
        self.host = host
    }

    /// `nil` if it is not wanted, or there is no session.
    func step() -> Diagnosis.Step? {
        guard let stage = peer.keyExchangeStage else { return nil }
        switch stage {
        case .agreed:
            let age = peer.keyExchangeAge.map { ", the key is \(Quantities.roughly($0)) old" } ?? ""
            return step(.ok, "x25519+mlkem768\(age)")
        case .unsaid, .underWay:
            return step(
                isDemanded ? .warning : .note,
                isDemanded
                    ? "it is under way: PostQuantum = require lets packets wait until it is done"
                    : "it is under way: until it is done, the session has x25519 alone",
                cure: "nothing, if it is done in a few seconds; look again")
        case .refused: return refused()
        case .unanswered: return unanswered()
        }
    }

    private var isDemanded: Bool { peer.keyExchangeWanted == "require" }

    private func step(
        _ status: Diagnosis.Status, _ text: String, evidence: [String] = [], cure: String? = nil
    ) -> Diagnosis.Step {
        Diagnosis.Step("keyExchange", status, text, peer: peer.name ?? peer.publicKey, evidence: evidence, cure: cure)
    }

    /// What follows for packets, with a reason.
    private func without(_ reason: String) -> String {
        isDemanded ? "PostQuantum = require lets nothing pass: \(reason)" : "x25519 alone: \(reason)"
    }

    private var dropped: [String] {
        let drops = peer.drops.keyExchange ?? 0
        return drops > 0 ? ["\(drops) packets of the peer's came without it and were dropped"] : []
    }

    private func refused() -> Diagnosis.Step {
        let isGateway = peer.isGateway == true
        return step(
            isDemanded ? .fails : .note,
            without(
                isGateway
                    ? "the peer is a gateway that takes no part in it"
                    : "the peer is plain WireGuard, or asks for no more, and has no other"),
            evidence: dropped,
            cure: isGateway
                ? "PostQuantum = prefer in its section for us, on a version that has it"
                    + (isDemanded ? "; or prefer here" : "")
                : isDemanded
                    ? "PostQuantum = prefer here, or off; or a gateway at the other end, with PostQuantum = prefer"
                    : "nothing, if that is what was meant; if it is a gateway: PostQuantum = prefer in its section for us"
        )
    }

    private func unanswered() -> Diagnosis.Step {
        let ours = peer.keyExchangeUnanswered ?? 0
        let inVain = peer.keyExchangeInVain ?? 0
        var evidence: [String] = []
        if ours > 0 { evidence.append("\(ours) times in a row this end began, and nothing came back") }
        if inVain > 0 { evidence.append("\(inVain) answers of this end that nothing followed") }
        if ours == 0, inVain == 0 { evidence.append("the other end is to begin, and nothing of it has come") }
        if let trip = host?.pings[peer.publicKey]?.microseconds {
            evidence.append("small datagrams pass: round trip \(Quantities.roundTrip(microseconds: trip))")
        }
        if let largest = host?.innerPings[peer.publicKey]?.largest {
            evidence.append("packets of more than \(largest) bytes vanish on the way")
        }
        return step(
            isDemanded ? .fails : .warning,
            without("the records of the exchange get lost on the way, and the session goes on"),
            evidence: evidence + dropped,
            cure:
                "look for what drops UDP datagrams of \(Self.sizes) bytes between the two: a firewall, a path that takes less (a lower "
                + "MTU on both ends sends them in fragments), or somebody who wants you to go without"
                + (isDemanded ? "" : "; PostQuantum = require lets nothing pass meanwhile"))
    }
}
