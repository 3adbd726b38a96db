/// `gatewayctl stats`: the statistics for people.
public enum StatisticsText {
    /// - Parameter now: seconds since 1970.
    public static func render(_ interfaces: [InterfaceStatistics], now: Int64, ink: Ink = .none) -> String {
        interfaces.map { render($0, now: now, ink: ink) }.joined(separator: "\n")
    }

    /// The rate of a peer's queue.
    private static func rate(_ queue: QueueStatistics) -> String {
        guard queue.rate > 0 else { return "the interface's rate" }
        let now = "\(megabits(queue.rate)) Mbit/s"
        guard let least = queue.autoLeast, let most = queue.autoMost else { return now }
        let found = "\(now), found between \(megabits(least)) and \(megabits(most))"
        return queue.autoUnheard == true ? "\(found): the peer says nothing of what arrives" : found
    }

    /// In steps of a kbit/s.
    private static func megabits(_ rate: UInt64) -> Double { Double(rate / 1000) / 1000 }

    private static func render(_ interface: InterfaceStatistics, now: Int64, ink: Ink) -> String {
        let name = "\(ink.paint("interface", .green, bold: true)): \(ink.paint(interface.interface, .green))"
        var lines = ["\(name), port \(interface.listenPort), up \(Quantities.roughly(interface.uptimeSeconds))"]
        let drops = interface.drops
        lines += row(
            "drops",
            counts([
                ("no peer", drops.noPeer), ("not IP", drops.notIP), ("malformed", drops.malformed),
                ("unknown index", drops.unknownIndex), ("mac1", drops.mac1), ("handshake", drops.handshake),
                ("rate limited", drops.rateLimited), ("overflow", drops.overflow), ("incomplete", drops.incomplete),
                ("kernel receive", drops.kernelReceive), ("checksum", drops.checksum ?? 0),
                ("kernel transmit", drops.kernelTransmit),
                ("send", drops.send), ("device", drops.device), ("frame", drops.frame), ("storm", drops.storm),
            ]))
        if let answered = interface.answeredNeighbours { lines += row("ARP answered", "\(answered)") }
        for trouble in interface.bridgeTroubles ?? [] {
            lines += row("bridge", trouble.isLoss ? ink.paint(trouble.text, .red) : trouble.text)
        }
        for peer in ShowText.newestFirst(interface.peers) { lines += [""] + render(peer, now: now, ink: ink) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func render(_ peer: PeerStatistics, now: Int64, ink: Ink) -> [String] {
        let name = ink.paint(peer.name ?? peer.publicKey, .yellow)
        let key = peer.name == nil ? "" : " (\(peer.publicKey))"
        var lines = ["\(ink.paint("peer", .yellow, bold: true)): \(name)\(key)"]
        let unresolved = peer.endpointName.map { "none yet, \($0) has no address" }
        lines += row("endpoint", peer.endpoint ?? unresolved ?? "none yet")
        if let addresses = peer.addresses { lines += row("addresses", some(addresses)) }
        let age =
            peer.latestHandshake == 0
            ? ink.paint("never", .red) : Quantities.ago(peer.latestHandshake, now: now, ink: ink)
        lines += row("handshake", age)
        lines += row(
            "transfer", "\(Quantities.bytes(peer.rxBytes)) received, \(Quantities.bytes(peer.txBytes)) sent")
        lines += row("cipher", peer.cipher)
        if let exchange = peer.keyExchange, exchange != "x25519" || peer.keyExchangeBytes != nil {
            let age = peer.keyExchangeAge.map { ", the key is \($0) s old" } ?? ""
            let stage =
                switch peer.keyExchangeStage {
                case .refused: ": the peer takes no part in another"
                case .unanswered: ": what belongs to another gets lost on the way"
                default: ""
                }
            lines += row("key exchange", exchange + stage + age)
        }
        if let error = peer.error { lines += row("error", ink.paint(error, .red)) }
        if let problem = peer.lastProblem {
            let age = peer.lastProblemTime.map { " (\(Quantities.ago($0, now: now, ink: ink)))" } ?? ""
            lines += row("last problem", problem + age)
        }
        if peer.rttMicroseconds != 0 {
            let loss = "\(peer.lossPermille / 10).\(peer.lossPermille % 10) %"
            lines += row("path", "round trip \(Quantities.roundTrip(microseconds: peer.rttMicroseconds)), loss \(loss)")
        }
        if let path = peer.pathMTU {
            let words = ["route": "as the route says", "probes": "found by probes", "icmp": "as ICMP says"]
            let known = words[path.source] ?? path.source
            let lost = path.blackHoles == 0 ? "" : ", larger ones vanished without a word"
            lines += row("path MTU", "\(path.mtu), \(known)\(lost)")
        }
        if let queue = peer.queue {
            let rate = rate(queue)
            lines += row(
                "queue",
                "\(rate), \(queue.packets) packets of \(Quantities.bytes(queue.bytes)) wait, \(queue.marks) marked")
            if let median = queue.delayMicrosecondsP50, let most = queue.delayMicrosecondsP99 {
                let flows = "\(queue.bulkFlows ?? 0) bulk, \(queue.sparseFlows ?? 0) sparse flows"
                lines += row(
                    "waiting",
                    "half \(Quantities.roundTrip(microseconds: median)), 99 % \(Quantities.roundTrip(microseconds: most)) at most; \(flows)"
                )
            }
        }
        if let history = peer.history { lines += rows(history) }
        if let repair = peer.repair, repair.lost + repair.resent + repair.told + repair.gone > 0 {
            lines += row(
                "repair",
                "sent again \(repair.resent), let be seen \(repair.told), gone \(repair.gone); "
                    + "missed \(repair.lost), repaired \(repair.repaired), given up \(repair.givenUp)"
                    + (repair.parity + repair.rebuilt > 0
                        ? "; parity sent \(repair.parity), gave back \(repair.rebuilt)" : ""))
        }
        lines += table(peer, ink: ink)
        let compression = peer.compression
        let state = compression.configured == "off" ? "" : compression.active ? ", active" : ", not active"
        lines += row("compression", compression.configured + state)
        let skipped = compression.skipped
        lines += row(
            "left plain",
            counts([
                ("encrypted", skipped.encrypted), ("exposed", skipped.exposed), ("small", skipped.small),
                ("backoff", skipped.backoff), ("busy", skipped.busy),
            ]))
        if let would = compression.wouldSave, would.sampledBytes > 0 { lines += row("would save", wouldSave(would)) }
        let drops = peer.drops
        lines += row(
            "drops",
            counts([
                ("replay", drops.replay), ("allowed ips", drops.allowedIPs), ("malformed", drops.malformed),
                ("incomplete", drops.incomplete), ("authentication", drops.authentication), ("expired", drops.expired),
                ("congestion", drops.congestion), ("no session", drops.noSession), ("no endpoint", drops.noEndpoint),
                ("loop", drops.loop), ("frame", drops.frame), ("allowed macs", drops.allowedMACs),
                ("learning", drops.learning), ("storm", drops.storm), ("no ethernet", drops.noEthernet),
                ("queue full", drops.queueFull ?? 0), ("queue delay", drops.queueDelay ?? 0),
                ("budget", drops.budget ?? 0), ("backlog", drops.backlog ?? 0),
                ("too big", drops.tooBig ?? 0), ("key exchange", drops.keyExchange ?? 0),
            ]))
        return lines
    }

    /// Units that refer to others: those of streams, those that have a dictionary, and what all of that takes here.
    private static func rows(_ history: HistoryStatistics) -> [String] {
        let (recalls, others) = (history.txRecalls ?? 0, history.rxRecalls ?? 0)
        guard history.txUnits + history.rxUnits + recalls + others > 0 else { return [] }
        var lines: [String] = []
        lines += row(
            "history",
            "sent \(history.txUnits) units, broken \(history.broken); got \(history.rxUnits), "
                + "in vain \(history.lost), wrong \(history.wrong)")
        if recalls + others > 0 {
            lines += row(
                "dictionary",
                "sent \(recalls) units, \(history.txLearned ?? 0) learned there, "
                    + "\(Quantities.bytes(history.txRecallSavedBytes ?? 0)) saved; got \(others)")
        }
        lines += row(
            "memory",
            "\(Quantities.bytes(history.memoryBytes)), of all peers: streams \(history.streams) + \(history.decoders), "
                + "dictionaries \(history.dictionaries ?? 0) + \(history.peerDictionaries ?? 0)")
        return lines
    }

    /// `34 % (of 1.00 MiB looked at): tcp/5432 61 %, tcp/80 40 %`.
    private static func wouldSave(_ would: WouldSaveStatistics) -> String {
        func percent(_ saved: UInt64, _ all: UInt64) -> String { "\(all == 0 ? 0 : saved * 100 / all) %" }
        let services = would.services.prefix(6).map { "\($0.service) \(percent($0.savedBytes, $0.sampledBytes))" }
        let looked = Quantities.bytes(would.sampledBytes)
        return
            "\(percent(would.savedBytes, would.sampledBytes)) (of \(looked) looked at): \(services.joined(separator: ", "))"
    }

    /// Plain and wire bytes each way and for each codec, in aligned columns.
    private static func table(_ peer: PeerStatistics, ink: Ink) -> [String] {
        func cells(_ label: String, _ plain: UInt64, _ wire: UInt64, _ note: String = "") -> [String] {
            let ratio = Quantities.ratio(plain: plain, wire: wire)
            return [label, Quantities.bytes(plain), Quantities.bytes(wire), ratio, note]
        }
        let tx = peer.compression.tx
        let rx = peer.compression.rx
        var rows = [
            ["", "plain", "wire", "ratio", ""],
            cells("sent", tx.plainBytes, tx.wireBytes), cells("received", rx.plainBytes, rx.wireBytes),
        ]
        for (name, codec) in peer.compression.codecs.sorted(by: { $0.key < $1.key }) {
            rows.append(cells(name, codec.plainBytes, codec.wireBytes, "\(codec.units) units"))
        }
        if let bundles = peer.compression.bundles, bundles.datagrams > 0 {
            let note = "\(bundles.packets) packets in \(bundles.datagrams)"
            rows.append(cells("bundles", bundles.plainBytes, bundles.wireBytes, note))
        }
        return rows.enumerated().map { index, cells in
            var line = "  " + left(cells[0], 13) + right(cells[1], 12) + right(cells[2], 14) + right(cells[3], 10)
            if !cells[4].isEmpty { line += "  " + cells[4] }
            return index == 0 ? ink.bold(line) : line
        }
    }

    private static func row(_ label: String, _ value: String) -> [String] { ["  " + left(label, 13) + value] }

    /// How many there are, and the first of them.
    private static func some(_ addresses: [String]) -> String {
        guard !addresses.isEmpty else { return "none yet" }
        let first = addresses.prefix(4).joined(separator: ", ")
        return "\(addresses.count): \(first)\(addresses.count > 4 ? ", …" : "")"
    }

    /// `replay 3, malformed 1`; the reasons that didn't occur are left out.
    private static func counts(_ reasons: [(String, UInt64)]) -> String {
        let seen = reasons.filter { $0.1 > 0 }
        return seen.isEmpty ? "none" : seen.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }
}
