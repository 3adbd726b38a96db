/// `gatewayctl top`: what each peer does, second by second, as lines for a screen of any size.
public struct TopScreen: Sendable {
    public enum Order: String, CaseIterable, Sendable {
        case traffic, name, ratio, loss, drops
    }

    /// What a peer did from one look to the next.
    private struct Look {
        var sent = 0.0
        var received = 0.0
        var plain = 0.0
        var compressed = 0.0
        var skipped: [(reason: String, rate: Double)] = []
        var drops: [(reason: String, rate: Double)] = []
        var repaired = 0.0
    }

    private struct Row {
        var peer: PeerStatistics
        var look = Look()
        /// Bytes a second on the wire, the newest last.
        var sent: [Double] = []
        var received: [Double] = []
    }

    /// Looks that a graph shows at most.
    private static let memory = 120
    /// Lines of the head, and of a peer.
    private static let headLines = 3
    private static let peerLines = 4

    public var order = Order.traffic
    /// How many peers are scrolled away above.
    public var first = 0
    private let isUnicode: Bool
    private var interface: InterfaceStatistics?
    private var time = 0.0
    private var rows: [String: Row] = [:]

    /// - Parameter isUnicode: whether the terminal shows more than ASCII.
    public init(isUnicode: Bool) { self.isUnicode = isUnicode }

    // MARK: Looks

    /// Takes the statistics of a moment; `time` is in seconds of a clock that goes on.
    public mutating func take(_ statistics: InterfaceStatistics, at time: Double) {
        let elapsed = max(time - self.time, 0.001)
        var next: [String: Row] = [:]
        for peer in statistics.peers {
            var row = rows[peer.publicKey] ?? Row(peer: peer)
            if rows[peer.publicKey] != nil, statistics.uptimeSeconds >= interface?.uptimeSeconds ?? 0 {
                row.look = Self.look(from: row.peer, to: peer, seconds: elapsed)
                row.sent = Array((row.sent + [row.look.sent]).suffix(Self.memory))
                row.received = Array((row.received + [row.look.received]).suffix(Self.memory))
            }
            row.peer = peer
            next[peer.publicKey] = row
        }
        rows = next
        interface = statistics
        self.time = time
    }

    private static func look(from old: PeerStatistics, to new: PeerStatistics, seconds: Double) -> Look {
        func rate(_ before: UInt64, _ after: UInt64) -> Double { Double(after - min(before, after)) / seconds }
        func rates(_ before: [(reason: String, count: UInt64)], _ after: [(reason: String, count: UInt64)])
            -> [(reason: String, rate: Double)]
        {
            zip(before, after).map { ($1.reason, rate($0.count, $1.count)) }.filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
        }
        var look = Look()
        look.sent = rate(old.txBytes, new.txBytes)
        look.received = rate(old.rxBytes, new.rxBytes)
        look.plain = rate(old.compression.tx.plainBytes, new.compression.tx.plainBytes)
        look.compressed = rate(
            old.compression.codecs.values.reduce(0) { $0 + $1.plainBytes },
            new.compression.codecs.values.reduce(0) { $0 + $1.plainBytes })
        look.skipped = rates(old.compression.skipped.byReason, new.compression.skipped.byReason)
        look.drops = rates(old.drops.byReason, new.drops.byReason)
        look.repaired = rate(
            (old.repair?.resent ?? 0) + (old.repair?.repaired ?? 0),
            (new.repair?.resent ?? 0) + (new.repair?.repaired ?? 0))
        return look
    }

    // MARK: Lines

    /// The screen: `height` lines of `width` columns at most.
    public func lines(width: Int, height: Int, ink: Ink = .none) -> [String] {
        guard let interface, width >= 20, height >= 4 else { return ["too small"] }
        var lines = head(interface, width, ink)
        let sorted = sortedRows()
        let room = max((height - Self.headLines - 1) / Self.peerLines, 1)
        let start = min(first, max(sorted.count - room, 0))
        for row in sorted[start..<min(start + room, sorted.count)] { lines += self.lines(of: row, width, ink) }
        let hidden = sorted.count - min(room, sorted.count)
        let foot =
            "q quit  s sort  arrows scroll" + (hidden > 0 ? "  (\(hidden) of \(sorted.count) peers not shown)" : "")
        while lines.count < height - 1 { lines.append("") }
        return Array(lines.prefix(height - 1)) + [Self.cut(foot, width)]
    }

    /// How far it can be scrolled.
    public func lastFirst(height: Int) -> Int {
        max(rows.count - max((height - Self.headLines - 1) / Self.peerLines, 1), 0)
    }

    private func head(_ interface: InterfaceStatistics, _ width: Int, _ ink: Ink) -> [String] {
        let sent = rows.values.reduce(0) { $0 + $1.look.sent }
        let received = rows.values.reduce(0) { $0 + $1.look.received }
        let peers = interface.peers.count == 1 ? "1 peer" : "\(interface.peers.count) peers"
        let first =
            "\(interface.interface)  up \(Quantities.roughly(interface.uptimeSeconds))  \(peers)"
            + "  sent \(Self.rate(sent))  received \(Self.rate(received))"
        let second = "by \(order.rawValue)  drops: \(Self.counts(interface.drops.byReason))"
        return [ink.bold(Self.cut(first, width)), Self.cut(second, width), ""]
    }

    private func lines(of row: Row, _ width: Int, _ ink: Ink) -> [String] {
        let peer = row.peer
        let name = Self.left(peer.name ?? String(peer.publicKey.prefix(16)), 16)
        let state = peer.error ?? (peer.latestHandshake == 0 ? "no handshake yet" : "")
        let trip = peer.rttMicroseconds > 0 ? "rtt \(Quantities.roundTrip(microseconds: peer.rttMicroseconds))  " : ""
        let loss = peer.rttMicroseconds > 0 ? "loss \(peer.lossPermille / 10).\(peer.lossPermille % 10) %  " : ""
        let queue =
            peer.queue.map { queue in
                "queue \(queue.packets) "
                    + (queue.delayMicrosecondsP50.map { "\(Quantities.roundTrip(microseconds: $0))  " } ?? " ")
            } ?? ""
        let repair = row.look.repaired > 0 ? "repaired \(Self.count(row.look.repaired))  " : ""
        let first = "\(trip)\(loss)\(queue)\(repair)\(state)"

        // Two graphs beside one another, each with its number.
        let room = max((width - 16 - 2 * 22) / 2, 4)
        let sent = "> \(Self.right(Self.rate(row.look.sent), 13)) \(graph(row.sent, room))"
        let received = "< \(Self.right(Self.rate(row.look.received), 13)) \(graph(row.received, room))"

        let ratio = row.look.sent > 0 && row.look.plain > 0 ? row.look.plain / row.look.sent : 1
        let share = row.look.plain > 0 ? min(row.look.compressed / row.look.plain, 1) : 0
        var second = "ratio \(Self.decimal(ratio))  compressed \(Int(share * 100)) %  "
        second += "plain: " + (row.look.skipped.isEmpty ? "-" : Self.rates(row.look.skipped))
        second += "  drops: " + (row.look.drops.isEmpty ? "-" : Self.rates(row.look.drops))
        return [
            ink.paint(name, .yellow) + " " + Self.cut(first, width - 17),
            Self.cut("  \(sent)   \(received)", width), Self.cut("  \(second)", width), "",
        ]
    }

    private func sortedRows() -> [Row] {
        let byName = rows.values.sorted { ($0.peer.name ?? $0.peer.publicKey) < ($1.peer.name ?? $1.peer.publicKey) }
        func key(_ row: Row) -> Double {
            switch order {
            case .traffic: row.look.sent + row.look.received
            case .name: 0
            case .ratio: row.look.sent > 0 ? row.look.plain / row.look.sent : 0
            case .loss: Double(row.peer.lossPermille)
            case .drops: row.look.drops.reduce(0) { $0 + $1.rate }
            }
        }
        // A stable order: what is equal stays by name.
        return byName.enumerated().sorted { a, b in
            let (x, y) = (key(a.element), key(b.element))
            return x == y ? a.offset < b.offset : x > y
        }.map(\.element)
    }

    /// The last values as bars, the highest as high as it gets.
    private func graph(_ values: [Double], _ width: Int) -> String {
        let bars = Array(isUnicode ? " ▁▂▃▄▅▆▇█" : " .:-=+*#@")
        let shown = values.suffix(width)
        let most = shown.max() ?? 0
        let drawn = shown.map { value -> Character in
            guard most > 0, value > 0 else { return bars[0] }
            return bars[min(max(Int((value / most * Double(bars.count - 1)).rounded()), 1), bars.count - 1)]
        }
        return String(repeating: " ", count: width - drawn.count) + String(drawn)
    }

    // MARK: Numbers

    /// `12.3 Mbit/s`.
    static func rate(_ bytes: Double) -> String {
        var bits = bytes * 8
        for unit in ["bit/s", "kbit/s", "Mbit/s"] {
            if bits < 999.5 { return "\(unit == "bit/s" ? "\(Int(bits.rounded()))" : decimal(bits)) \(unit)" }
            bits /= 1000
        }
        return "\(decimal(bits)) Gbit/s"
    }

    private static func decimal(_ value: Double) -> String {
        let hundredths = Int((min(value, 1e12) * 100).rounded())
        if value >= 100 { return "\(hundredths / 100)" }
        if value >= 10 { return "\(hundredths / 100).\(hundredths % 100 / 10)" }
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    private static func count(_ rate: Double) -> String { "\(Int(rate.rounded(.up)))/s" }

    private static func rates(_ all: [(reason: String, rate: Double)]) -> String {
        all.prefix(2).map { "\($0.reason) \(count($0.rate))" }.joined(separator: ", ")
    }

    private static func counts(_ all: [(reason: String, count: UInt64)]) -> String {
        let seen = all.filter { $0.count > 0 }.sorted { $0.count > $1.count }
        return seen.isEmpty ? "none" : seen.map { "\($0.reason) \($0.count)" }.joined(separator: ", ")
    }

    private static func cut(_ text: String, _ width: Int) -> String { String(text.prefix(max(width, 0))) }
    private static func left(_ text: String, _ width: Int) -> String {
        String(text.prefix(width)) + String(repeating: " ", count: max(width - text.count, 0))
    }
    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}
