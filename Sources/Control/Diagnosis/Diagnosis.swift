/// The checks of `gatewayctl diagnose` in their order, and what they found.
public struct Diagnosis: Codable, Hashable, Sendable {
    public enum Status: String, Codable, Sendable {
        case ok
        /// Nothing is wrong with it, but it may not be what was meant.
        case note
        /// It works, and worse than it could.
        case warning
        /// It keeps packets from getting through.
        case fails
    }

    /// One check.
    public struct Step: Codable, Hashable, Sendable {
        /// A word for programs: a contract.
        public var step: String
        /// The peer that it is about: its name or public key; absent if it is about the interface.
        public var peer: String?
        public var status: Status
        /// What is so, in a line.
        public var text: String
        /// What shows it.
        public var evidence: [String]
        /// What to do about it.
        public var cure: String?

        init(
            _ step: String, _ status: Status, _ text: String, peer: String? = nil, evidence: [String] = [],
            cure: String? = nil
        ) {
            self.step = step
            self.peer = peer
            self.status = status
            self.text = text
            self.evidence = evidence
            self.cure = cure
        }
    }

    public var interface: String
    public var steps: [Step]
    /// What could not be looked at, and why.
    public var unseen: [String]

    /// The first step that fails.
    public var verdict: Step? { steps.first { $0.status == .fails } }
    /// The worst of all.
    public var status: Status {
        for status in [Status.fails, .warning, .note] where steps.contains(where: { $0.status == status }) {
            return status
        }
        return .ok
    }

    /// No daemon answers.
    public static func withoutDaemon(_ interface: String, _ error: ControlError) -> Diagnosis {
        let cure =
            if case .permission = error {
                "run it as root"
            } else {
                "look why it ended (journalctl -u gateway@\(interface)), and start it: systemctl start gateway@\(interface)"
            }
        return Diagnosis(
            interface: interface,
            steps: [Step("daemon", .fails, "no gateway answers", evidence: ["\(error)"], cure: cure)],
            unseen: [])
    }

    init(interface: String, steps: [Step], unseen: [String]) {
        self.interface = interface
        self.steps = steps
        self.unseen = unseen
    }

    /// Judges what is known. `host` is `nil` where nobody looked; `peer` is a name or a public key, all if it is left out.
    public init(_ facts: DiagnosisFacts, host: HostFacts? = nil, peer: String? = nil) {
        interface = facts.statistics.interface
        unseen = host?.unseen ?? []
        steps = Self.interface(facts, host)
        let peers = facts.statistics.peers.filter { peer == nil || $0.name == peer || $0.publicKey == peer }
        if peers.isEmpty {
            steps.append(
                peer == nil
                    ? Step(
                        "peer", .fails, "there is no peer", cure: "write a [Peer] section into the file, and reload")
                    : Step(
                        "peer", .fails, "no peer has that name or public key",
                        cure: "gatewayctl stats \(interface) lists them"))
        }
        for one in peers { steps += PeerDiagnosis(one, facts, host).steps() }
        steps += Self.machine(facts, host)
    }

    // MARK: What stands before all peers

    private static func interface(_ facts: DiagnosisFacts, _ host: HostFacts?) -> [Step] {
        let interface = facts.statistics.interface
        let uptime = Quantities.roughly(facts.statistics.uptimeSeconds)
        var steps = [Step("daemon", .ok, "gateway \(facts.version) answers, up \(uptime)")]
        if facts.statistics.publicKey == nil {
            steps.append(
                Step(
                    "key", .fails, "there is no private key",
                    cure: "gatewayctl genkey | gatewayctl key set \(interface) -"))
        }
        guard let host else { return steps }
        if !host.exists {
            steps.append(
                Step(
                    "interface", .fails, "there is no interface \(interface) in this network namespace",
                    cure: "run gatewayctl where the daemon runs, or as root"))
            return steps
        }
        steps.append(
            host.isUp
                ? Step("interface", .ok, "\(interface) is up, MTU \(facts.mtu)")
                : Step("interface", .fails, "\(interface) is down", cure: "ip link set \(interface) up"))
        let missing = facts.addresses.filter { address in !host.addresses.contains(String(address.prefix { $0 != "/" }))
        }
        if missing.isEmpty {
            let all = facts.addresses.joined(separator: ", ")
            steps.append(Step("address", .ok, all.isEmpty ? "the file has none" : all))
        } else {
            steps.append(
                Step(
                    "address", .fails, "\(interface) lacks \(missing.joined(separator: ", "))",
                    evidence: [
                        "it has " + (host.addresses.isEmpty ? "none" : host.addresses.joined(separator: ", "))
                    ],
                    cure: "ip address add \(missing[0]) dev \(interface), and look who took it away"))
        }
        return steps
    }

    // MARK: The machine

    private static func machine(_ facts: DiagnosisFacts, _ host: HostFacts?) -> [Step] {
        var steps: [Step] = []
        let drops = facts.statistics.drops
        if let host { steps += forwarding(facts, host) + firewall(host) }
        if let step = host.flatMap(processor) { steps.append(step) }
        if drops.kernelReceive + drops.kernelTransmit > 0 {
            let counts = "receive \(drops.kernelReceive), transmit \(drops.kernelTransmit)"
            steps.append(
                Step(
                    "kernel", .warning, "the kernel dropped packets since the gateway was too slow to take them",
                    evidence: [counts + ", since the daemon began"],
                    cure:
                        "if it goes on (gatewayctl events \(facts.statistics.interface) --follow): less compression, or a faster "
                        + "processor"))
        }
        if let damaged = drops.checksum, damaged > 0 {
            steps.append(
                Step(
                    "checksum", .warning, "datagrams arrive damaged: the kernel dropped them for a wrong UDP checksum",
                    evidence: ["\(damaged) since the daemon began"],
                    cure:
                        "this is not load: look at the cable, the card, its driver and its offloads (ethtool -K … rx off)"
                ))
        }
        let off = facts.offloads.filter { !$0.value && !facts.offloadsLeftOut.contains($0.key) }.keys.sorted()
        if !facts.offloadsLeftOut.isEmpty {
            steps.append(
                Step(
                    "offload", .note, "Offload in the file leaves out \(facts.offloadsLeftOut.joined(separator: ", "))",
                    cure: "Offload = auto, unless that was meant"))
        }
        if !off.isEmpty {
            steps.append(
                Step(
                    "offload", .note, "the kernel has not, or refuses, \(off.joined(separator: ", "))",
                    cure: "Linux 6.2 or newer"))
        }
        return steps + bridge(facts)
    }

    /// Says so when the data thread has no time left, or when what else runs here takes it away.
    private static func processor(_ host: HostFacts) -> Step? {
        let load = host.load ?? 0
        let waits = host.waits ?? 0
        guard load + waits > 0.9 else { return nil }
        let least = "Compression = off or receive for peers that do not need it; a faster processor"
        guard waits > 0.2 else {
            let text = "the data thread takes \(Int(load * 100)) % of a processor: it is as fast as it gets"
            return Step("cpu", .warning, text, cure: least)
        }
        return Step(
            "cpu", .warning, "the data thread is kept waiting for a processor: others here take it",
            evidence: [
                "it ran for \(Int(load * 100)) % of the time and was ready and waited for \(Int(waits * 100)) %"
            ],
            cure: "CPUWeight = 1000 in the unit, or fewer programs beside it (top); " + least)
    }

    private static func bridge(_ facts: DiagnosisFacts) -> [Step] {
        let isLarge = facts.offloads.values.contains(true)
        return (facts.ports ?? []).flatMap { $0.troubles(mtu: facts.mtu, isLarge: isLarge) }.map {
            Step($0.isLoss ? "bridge" : "offload", $0.isLoss ? .warning : .note, $0.text, cure: $0.cure)
        }
    }

    private static func forwarding(_ facts: DiagnosisFacts, _ host: HostFacts) -> [Step] {
        guard facts.mode == "tun" else { return [] }
        var steps: [Step] = []
        let prefixes = facts.statistics.peers.flatMap(\.allowedIPs)
        let off = [
            (prefixes.contains { !$0.contains(":") } && host.forwardsV4 == false, "net.ipv4.ip_forward", "IPv4"),
            (
                prefixes.contains { $0.contains(":") } && host.forwardsV6 == false, "net.ipv6.conf.all.forwarding",
                "IPv6"
            ),
        ]
        for (isOff, setting, family) in off where isOff {
            let isFelt = family == "IPv4" && host.unforwarded > 0
            steps.append(
                Step(
                    "forwarding", isFelt ? .fails : .note,
                    isFelt
                        ? "packets for others come, and this machine forwards none: \(setting) = 0"
                        : "\(setting) = 0: what this machine itself sends passes, what a network behind it sends does not",
                    evidence: isFelt ? ["InAddrErrors of IPv4 grew by \(host.unforwarded) in a second"] : [],
                    cure: "sysctl -w \(setting)=1, and a file in /etc/sysctl.d that says so"))
        }
        if host.reversePathDrops > 0 {
            steps.append(
                Step(
                    "reversePath", .fails,
                    "the reverse path filter drops packets: the way back to their source is another one",
                    evidence: [
                        "IPReversePathFilter grew by \(host.reversePathDrops) in a second",
                        "strict on " + (host.strict.isEmpty ? "no interface now" : host.strict.joined(separator: ", ")),
                    ],
                    cure: "a route to the source through the interface that it comes from, or rp_filter = 2 on that"))
        }
        if steps.isEmpty, host.forwardsV4 != nil {
            steps.append(Step("forwarding", .ok, "packets of others are forwarded"))
        }
        return steps
    }

    private static func firewall(_ host: HostFacts) -> [Step] {
        if !host.firewallDrops.isEmpty {
            return [
                Step(
                    "firewall", .fails, "nftables drops packets of the tunnel", evidence: host.firewallDrops,
                    cure: "a rule before it that accepts them (nft list ruleset)")
            ]
        }
        guard !host.firewallPolicies.isEmpty else { return [] }
        return [
            Step(
                "firewall", .note,
                "nftables drops what no rule lets through; no packet of the tunnel was dropped just now",
                evidence: host.firewallPolicies)
        ]
    }
}
