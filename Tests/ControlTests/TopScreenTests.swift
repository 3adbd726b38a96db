import Testing

@testable import Control

@Suite struct TopScreenTests {
    static func statistics(_ peers: [(name: String, sent: UInt64)], uptime: UInt64 = 1) -> InterfaceStatistics {
        let all = peers.map {
            PeerStatistics(publicKey: $0.name + "=", name: $0.name, latestHandshake: 1, txBytes: $0.sent)
        }
        return InterfaceStatistics(interface: "hq", publicKey: nil, listenPort: 1, uptimeSeconds: uptime, peers: all)
    }

    @Test("rates are of the time between two looks, and a graph grows from the right")
    func rates() {
        var screen = TopScreen(isUnicode: true)
        screen.take(Self.statistics([("a", 0)]), at: 0)
        screen.take(Self.statistics([("a", 1_000_000)]), at: 2)
        let line = screen.lines(width: 80, height: 24)[4]
        #expect(line.hasPrefix("  >   4.00 Mbit/s ") && line.contains("█   <"))
        screen.take(Self.statistics([("a", 1_125_000)]), at: 3)
        #expect(screen.lines(width: 80, height: 24)[4].contains("█▂   <"))
    }

    @Test("a daemon that began anew makes no rate of what it had counted before")
    func restart() {
        var screen = TopScreen(isUnicode: false)
        screen.take(Self.statistics([("a", 1 << 40)], uptime: 100), at: 0)
        screen.take(Self.statistics([("a", 10)], uptime: 0), at: 1)
        #expect(screen.lines(width: 80, height: 24)[4].contains(" 0 bit/s"))
    }

    @Test(
        "who has most comes first, by name what is equal, and what has no room is counted", arguments: [4, 8, 24, 200])
    func order(height: Int) {
        var screen = TopScreen(isUnicode: false)
        let names = (0..<10).map { "peer\($0)" }
        screen.take(Self.statistics(names.map { ($0, 0) }), at: 0)
        screen.take(Self.statistics(names.map { ($0, $0 == "peer7" ? 9 : 0) }), at: 1)
        let lines = screen.lines(width: 80, height: height)
        #expect(lines.count == height && lines.allSatisfy { $0.count <= 80 })
        if height > 4 { #expect(lines[3].hasPrefix("peer7 ")) }
        if height == 24 { #expect(lines[7].hasPrefix("peer0 ") && lines[23].contains("(5 of 10 peers not shown)")) }
        screen.order = .name
        screen.first = 99
        if height == 24 { #expect(screen.lines(width: 80, height: height)[19].hasPrefix("peer9 ")) }
    }

    @Test(
        "a rate has three digits",
        arguments: [
            (0.0, "0 bit/s"), (124, "992 bit/s"), (125, "1.00 kbit/s"), (12_345_678, "98.7 Mbit/s"),
            (2e9, "16.0 Gbit/s"),
        ])
    func digits(bytes: Double, text: String) { #expect(TopScreen.rate(bytes) == text) }
}
