import Addresses

/// The checks of one peer.
struct PeerDiagnosis {
    private typealias Step = Diagnosis.Step

    /// A session is renewed after two minutes, and no older than three.
    private static let freshness: Int64 = 180

    private let peer: PeerStatistics
    private let facts: DiagnosisFacts
    private let host: HostFacts?
    private let name: String

    init(_ peer: PeerStatistics, _ facts: DiagnosisFacts, _ host: HostFacts?) {
        self.peer = peer
        self.facts = facts
        self.host = host
        name = peer.name ?? peer.publicKey
    }

    func steps() -> [Diagnosis.Step] {
        var steps = [routes(), overlap(), endpoint(), wayOut()].compactMap(\.self)
        let session = session()
        // What was found before need not be said twice.
        if !steps.contains(where: { $0.step == session.step && $0.status == .fails }) { steps.append(session) }
        guard session.status == .ok else { return steps + [refusal()].compactMap(\.self) }
        let exchange = KeyExchangeDiagnosis(peer, facts, host).step()
        steps += [
            refusal(), exchange, sources(), inside(), size(), translation(), compression(), path(), queue(),
            processor(),
        ]
        .compactMap(\.self)
        return steps
    }

    private func step(
        _ step: String, _ status: Diagnosis.Status, _ text: String, evidence: [String] = [], cure: String? = nil
    ) -> Step { Step(step, status, text, peer: name, evidence: evidence, cure: cure) }

    private var interface: String { facts.statistics.interface }
    private var hasSession: Bool {
        if let ping = host?.pings[peer.publicKey] { return ping.session }
        return peer.latestHandshake > 0 && facts.now - peer.latestHandshake < Self.freshness
    }
    private var ago: String { Quantities.ago(peer.latestHandshake, now: max(facts.now, peer.latestHandshake)) }

    // MARK: The way there

    private func routes() -> Step? {
        guard facts.mode == "tun" else { return nil }
        guard !peer.allowedIPs.isEmpty else {
            return step(
                "route", .fails, "AllowedIPs is empty: no packet belongs to the peer",
                cure: "write its networks into AllowedIPs")
        }
        guard let host else { return nil }
        guard facts.table != "off" else {
            return step("route", .note, "Table = off: routes are made by somebody else")
        }
        for prefix in peer.allowedIPs {
            guard let route = host.routes[prefix], route.device != interface else { continue }
            guard let device = route.device else {
                return step(
                    "route", .fails, "there is no route to \(prefix)", evidence: [route.text],
                    cure: "ip route add \(prefix) dev \(interface); a reload brings back what the file asks for")
            }
            return step(
                "route", .fails, "what is for \(prefix) goes to \(device), not into \(interface)",
                evidence: [route.text],
                cure: "look for a route or rule that comes before (ip rule; ip route show table all)")
        }
        let seen = peer.allowedIPs.filter { host.routes[$0] != nil }
        return seen.isEmpty ? nil : step("route", .ok, "\(seen.joined(separator: ", ")) goes into \(interface)")
    }

    /// A part of its networks that is another peer's.
    private func overlap() -> Step? {
        let own = peer.allowedIPs.compactMap { Prefix($0) }
        for other in facts.statistics.peers where other.publicKey != peer.publicKey {
            for prefix in other.allowedIPs.compactMap({ Prefix($0) }) {
                for mine in own where mine.length > 0 && mine.length < prefix.length && mine.contains(prefix.address) {
                    return step(
                        "allowedIPs", .note, "\(prefix), a part of \(mine), is \(other.name ?? other.publicKey)'s",
                        cure: "if it should be here, take it from there")
                }
            }
        }
        return nil
    }

    private func endpoint() -> Step? {
        if peer.endpoint == nil, let name = peer.endpointName {
            return step(
                "name", .fails, "\(name) has no address", evidence: [peer.lastProblem].compactMap(\.self),
                cure: "resolve it by hand (getent hosts), or write an address as Endpoint")
        }
        guard let endpoint = peer.endpoint else {
            let hasMet = peer.latestHandshake > 0
            return step(
                "endpoint", hasMet ? .note : .fails,
                "it has no Endpoint here" + (hasMet ? "" : " and has never come: this end can only wait"),
                cure: "look at the other end: has it our address and port as Endpoint, and a keepalive?")
        }
        return step("endpoint", .ok, peer.endpointName.map { "\($0) is \(endpoint)" } ?? endpoint)
    }

    private func wayOut() -> Step? {
        guard let endpoint = peer.endpoint, let way = host?.wayOut[endpoint] else { return nil }
        if way.device == interface {
            return step(
                "wayOut", .fails, "the endpoint \(endpoint) is routed into the tunnel itself", evidence: [way.text],
                cure: "take it out of AllowedIPs, or add a longer route to it past the tunnel")
        }
        guard let device = way.device else {
            return step(
                "wayOut", .fails, "this machine has no way to \(endpoint)", evidence: [way.text],
                cure: "look at the default route and the uplink")
        }
        return step("wayOut", .ok, "datagrams leave by \(device)")
    }

    // MARK: The session

    private func session() -> Step {
        let problem = peer.lastProblemTime.map { $0 >= peer.latestHandshake } == true ? peer.lastProblemCode : nil
        if hasSession, problem != "unconfirmed" || peer.rxBytes > 0 {
            return step("session", .ok, peer.latestHandshake > 0 ? "handshake \(ago)" : "there is one")
        }
        let seen = [
            peer.lastProblem.map { text in
                text + (peer.lastProblemTime.map { " (\(Quantities.ago($0, now: max(facts.now, $0))))" } ?? "")
            }
        ].compactMap(\.self)
        switch problem {
        case "notSent":
            let isFirewall = peer.lastProblem?.contains("not permitted") == true
            return step(
                isFirewall ? "firewall" : "wayOut", .fails, "this machine does not send there", evidence: seen,
                cure: isFirewall
                    ? "its own firewall drops what goes out (nft list ruleset): let UDP to the endpoint through"
                    : "a route to the endpoint (ip route get)")
        case "rejected":
            return step(
                "udp", .fails, "somebody refuses our datagrams", evidence: seen,
                cure: peer.lastProblem?.contains("port unreachable") == true
                    ? "the machine is there and nothing listens on the port: start the peer, or mend the port in Endpoint"
                    : "look at the machine that says so, and at the address in Endpoint")
        case "loop":
            return step(
                "wayOut", .fails, "the endpoint is routed into the tunnel itself", evidence: seen,
                cure: "take it out of AllowedIPs, or add a longer route to it past the tunnel")
        case "noAddress":
            return step(
                "name", .fails, "the endpoint's name has no address", evidence: seen,
                cure: "resolve it by hand (getent hosts), or write an address as Endpoint")
        case "response":
            return step(
                "presharedKey", .fails, "the preshared keys differ: its answer to our handshake does not open",
                evidence: seen,
                cure: "write the same PresharedKey on both ends, or none")
        case "unconfirmed":
            return step(
                "presharedKey", .fails,
                "we answer its handshakes and nothing comes of it: the preshared keys differ, or what we send does not arrive",
                evidence: seen,
                cure: "write the same PresharedKey on both ends; else look for a firewall on the way there")
        case "replayed": return clock(seen)
        default: return silence(seen)
        }
    }

    private func clock(_ seen: [String]) -> Step {
        step(
            "clock", .fails,
            "its handshakes are not newer than its last one: its clock went back, or somebody repeats old ones",
            evidence: seen,
            cure: "set the clock of the other end, then begin this end's daemon anew (it keeps the latest time)")
    }

    /// Nothing is known but that nothing comes back: perhaps somebody else's handshakes tell why.
    private func silence(_ seen: [String]) -> Step {
        let place = peer.endpoint.flatMap { Endpoint($0) }.map {
            $0.address.isV4 ? "from \($0.address):" : "from [\($0.address)]:"
        }
        let refused = facts.events.last { event in
            event.kind == GatewayEvent.Kind.refused.rawValue && (place.map { event.text.contains($0) } ?? true)
        }
        let old = facts.events.last { $0.publicKey == peer.publicKey && $0.text.contains("not newer than the last") }
        if let old, Double(facts.now) - old.time < 120 { return clock([old.text]) }
        if let refused, refused.text.contains("another public key than ours") {
            return step(
                "key", .fails, "it has another public key for us than ours: its handshakes are made for that",
                evidence: [refused.text],
                cure: "write on the other end: PublicKey = \(facts.statistics.publicKey ?? "ours")")
        }
        if let refused, refused.text.contains("is no peer of ours") {
            let key = refused.publicKey.map { "PublicKey = \($0)" } ?? "the key that the other end has"
            return step(
                "key", .fails, "somebody with another key than the peer's shakes hands from its address",
                evidence: [refused.text],
                cure: "if that is the peer, write here: \(key)")
        }
        guard peer.endpoint != nil else {
            return step(
                "session", .fails, "there is no session, and the peer does not come", cure: "look at the other end")
        }
        if host != nil || !seen.isEmpty {
            return step(
                "udp", .fails, "nothing comes back from the endpoint", evidence: seen,
                cure:
                    "the address and port in Endpoint; whether the peer runs; a firewall on the way; and whether it has our public "
                    + "key (its log says \"another public key\" or \"no peer of ours\")")
        }
        return step(
            "session", .note, "there is no session: nothing was sent lately", cure: "run it as root, which asks for one"
        )
    }

    private func refusal() -> Step? {
        guard let error = peer.error else { return nil }
        let isCipher = error.contains("AES")
        return step(
            isCipher ? "cipher" : "mode", .fails, error,
            cure: isCipher
                ? "Cipher = auto here; or Cipher = auto there, on a processor that can"
                : "the same Mode on both ends")
    }

    // MARK: Inside

    private func sources() -> Step? {
        guard peer.drops.allowedIPs > 0 else { return nil }
        let event = facts.events.last { $0.publicKey == peer.publicKey && $0.text.contains("among its AllowedIPs") }
        let isRecent = event.map { Double(facts.now) - $0.time < 120 } ?? false
        return step(
            "allowedIPs", isRecent ? .fails : .note,
            "it sends packets from addresses that AllowedIPs here do not give it",
            evidence: ["\(peer.drops.allowedIPs) dropped"] + (event.map { [$0.text] } ?? []),
            cure: "add these addresses to the peer's AllowedIPs here, or translate them there")
    }

    private func inside() -> Step? {
        guard let ping = host?.innerPings[peer.publicKey] else { return nil }
        if ping.isAnswered { return step("inside", .ok, "\(ping.target) answers through the tunnel") }
        let isAlive = host?.pings[peer.publicKey]?.microseconds != nil
        return step(
            "inside", .warning,
            isAlive
                ? "the other gateway answers, \(ping.target) behind it does not"
                : "\(ping.target) does not answer through the tunnel",
            cure:
                "has the other end our addresses (\(facts.addresses.joined(separator: ", "))) among its AllowedIPs? Its drops "
                + "say so (allowedIPs). Else \(ping.target) is not there, or a firewall there drops pings")
    }

    private func size() -> Step? {
        guard let largest = host?.innerPings[peer.publicKey]?.largest else {
            guard let path = peer.pathMTU, path.blackHoles > 0 else { return nil }
            return step(
                "mtu", .note,
                "larger datagrams vanished on the way: the gateway noticed it, and sends \(path.mtu) bytes at most",
                evidence: ["\(path.blackHoles) times since the daemon began"])
        }
        let search =
            peer.compression.configured == "off"
            ? "; if both are gateways, Compression = receive on both finds what the path takes, and any MTU works" : ""
        return step(
            "mtu", .fails,
            "packets of more than \(largest) bytes vanish on the way: the path takes less than MTU \(facts.mtu)",
            evidence: ["a ping of \(largest) bytes comes back, larger ones do not"],
            cure: "MTU = \(largest) in [Interface] on both ends, and restart" + search)
    }

    private func translation() -> Step? {
        guard peer.persistentKeepalive == 0, let endpoint = peer.endpoint.flatMap({ Endpoint($0) }) else { return nil }
        let moves = facts.events.filter { event in
            event.kind == GatewayEvent.Kind.roamed.rawValue && event.publicKey == peer.publicKey
                && event.text.contains("\(endpoint.address):")
        }
        guard moves.count >= 2 else { return nil }
        return step(
            "keepalive", .warning,
            "its port changes again and again: a NAT on the way forgets it while nothing is sent",
            evidence: moves.suffix(3).map(\.text),
            cure: "PersistentKeepalive = 25 on the other end, which is the one behind the NAT")
    }

    private func compression() -> Step? {
        let compression = peer.compression
        if peer.isGateway == false, compression.configured != "off" {
            return step(
                "compression", .note, "the peer is plain WireGuard, or asks for no more: packets to it go as they are",
                cure: "if it is a gateway: Compression = auto in its section for us")
        }
        guard peer.isGateway == true else { return nil }
        if !compression.active, !["off", "receive"].contains(compression.configured) {
            return step(
                "compression", .note,
                "the peer decodes nothing that Compression = \(compression.configured) here would send",
                cure: "Compression = auto, or receive, on the other end")
        }
        let active =
            compression.active ? "compresses (\(compression.configured))" : "Compression = \(compression.configured)"
        return step("compression", .ok, "the peer is a gateway; this end \(active); cipher \(peer.cipher)")
    }

    private func path() -> Step? {
        if let trip = host?.pings[peer.publicKey]?.microseconds, peer.lossPermille <= 30 {
            return step("path", .ok, "round trip \(Quantities.roundTrip(microseconds: trip))")
        }
        guard peer.lossPermille > 30 else { return nil }
        return step(
            "path", .warning, "\(peer.lossPermille / 10) % of what is sent to it gets lost",
            cure: "a queue that is full: set Rate a little below the uplink's; or a bad line")
    }

    private func queue() -> Step? {
        guard let queue = peer.queue, let median = queue.delayMicrosecondsP50, median >= 100_000 else { return nil }
        return step(
            "queue", .warning,
            "the queue in front of its link stands: half of the packets wait \(median / 1000) ms or more",
            evidence: ["\(queue.packets) packets wait, \(queue.bulkFlows ?? 0) flows fill it"],
            cure: "the link is full: a higher Rate if it can take more, else less traffic")
    }

    private func processor() -> Step? {
        let skipped = peer.compression.skipped.busy
        let units = peer.compression.codecs.values.reduce(0) { $0 + $1.units }
        guard skipped > 1000, skipped > units else { return nil }
        return step(
            "cpu", .note, "packets go uncompressed since the processor has no time for it",
            evidence: ["\(skipped) packets"],
            cure: "nothing, if the link is not full; else a faster processor")
    }
}
