import Control
import Testing

@Suite struct RenderingTests {
    @Test("show prints what wg show prints")
    func show() {
        let text = ShowText.render([Sample.statistics, Sample.idle], now: 1_764_000_063)
        #expect(
            text == """
                interface: branch
                  public key: \(Sample.b)
                  private key: (hidden)
                  listening port: 51820
                  fwmark: 0xca6c

                peer: \(Sample.a)
                  preshared key: (hidden)
                  endpoint: 192.0.2.1:51820
                  allowed ips: 10.1.0.0/16, fd01::/64
                  latest handshake: 1 minute, 3 seconds ago
                  transfer: 1.37 MiB received, 1.59 MiB sent
                  persistent keepalive: every 25 seconds

                interface: idle

                peer: \(Sample.b)
                  allowed ips: (none)

                peer: \(Sample.a)
                  allowed ips: (none)

                """)
    }

    @Test("show paints as wg does")
    func colors() {
        let text = ShowText.render([Sample.statistics], now: 1_764_000_063, ink: .colors)
        #expect(text.hasPrefix("\u{1b}[0m\u{1b}[32m\u{1b}[1minterface\u{1b}[0m: \u{1b}[32mbranch\u{1b}[0m\n"))
        #expect(text.contains("\n\u{1b}[33m\u{1b}[1mpeer\u{1b}[0m: \u{1b}[33m\(Sample.a)\u{1b}[0m\n"))
        #expect(text.contains("  \u{1b}[1mallowed ips\u{1b}[0m: 10.1.0.0\u{1b}[36m/\u{1b}[0m16, "))
        #expect(text.contains("1 \u{1b}[36mminute\u{1b}[0m, 3 \u{1b}[36mseconds\u{1b}[0m ago"))
    }

    @Test("the peer heard last comes first, and one never heard last")
    func order() {
        var statistics = Sample.statistics
        statistics.peers = [
            PeerStatistics(publicKey: "never1"), PeerStatistics(publicKey: "old", latestHandshake: 1),
            PeerStatistics(publicKey: "new", latestHandshake: 2), PeerStatistics(publicKey: "never2"),
        ]
        let peers = ShowText.render([statistics], now: 3).split(separator: "\n").filter { $0.hasPrefix("peer: ") }
        #expect(peers == ["peer: new", "peer: old", "peer: never1", "peer: never2"])
    }

    @Test("stats prints a block for each peer")
    func stats() {
        let text = StatisticsText.render([Sample.statistics], now: 1_764_000_063)
        #expect(
            text == """
                interface: branch, port 51820, up 2 hours, 3 minutes
                  drops        no peer 5, mac1 4

                peer: hq (\(Sample.a))
                  endpoint     192.0.2.1:51820
                  handshake    1 minute, 3 seconds ago
                  transfer     1.37 MiB received, 1.59 MiB sent
                  cipher       aes256gcm
                  path         round trip 12.3 ms, loss 0.3 %
                                      plain          wire     ratio
                  sent             4.00 MiB      1.00 MiB     4.00x
                  received           1000 B         800 B     1.25x
                  deflate          3.00 MiB    512.00 KiB     6.00x  42 units
                  compression  auto, active
                  left plain   encrypted 7, small 2
                  drops        replay 3, malformed 1

                """)
    }

    @Test("units that refer to others have rows of their own: streams, dictionaries, and the memory of both")
    func history() {
        var statistics = Sample.statistics
        var history = HistoryStatistics()
        statistics.peers[0].history = history
        #expect(!StatisticsText.render([statistics], now: 0).contains("history"))
        (history.rxRecalls, history.memoryBytes, history.decoders) = (40, 3 << 20, 2)
        statistics.peers[0].history = history
        (history.txUnits, history.txRecalls, history.txLearned, history.txRecallSavedBytes) = (3, 300, 120, 2048)
        (history.dictionaries, history.peerDictionaries, history.streams) = (4, 5, 1)
        #expect(StatisticsText.render([statistics], now: 0).contains("got 40"))
        statistics.peers[0].history = history
        #expect(
            StatisticsText.render([statistics], now: 0).contains(
                """
                  history      sent 3 units, broken 0; got 0, in vain 0, wrong 0
                  dictionary   sent 300 units, 120 learned there, 2.00 KiB saved; got 40
                  memory       3.00 MiB, of all peers: streams 1 + 2, dictionaries 4 + 5

                """.split(separator: "\n").map { "  \($0.drop { $0 == " " })" }.joined(separator: "\n")))
    }

    @Test("the sample on the first page has the rows that stats prints")
    func page() throws {
        let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
        let page = try TextFile.read("\(root)/README.md")
        let begin = try #require(page.firstRange(of: "hq# gatewayctl stats\n")).upperBound
        let end = try #require(page[begin...].firstRange(of: "```")).lowerBound
        let rendered = StatisticsText.render([Sample.statistics], now: 1_764_000_063)
        #expect(labels(page[begin..<end]) == labels(rendered[...]))
    }

    /// The rows' names, without those that are not always there.
    private func labels(_ text: Substring) -> [String] {
        let optional = ["path", "deflate", "zstd", "bundles", "error", "last problem", "addresses"]
        return text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("  ") else { return nil }
            let label = line.dropFirst(2).prefix(13).split { $0.isWhitespace }.joined(separator: " ")
            return label.isEmpty || optional.contains(label) ? nil : label
        }
    }

    @Test("what keeps a peer from being reached stands in its block, with the name that has no address")
    func problems() {
        var statistics = Sample.statistics
        statistics.peers[0].endpoint = nil
        statistics.peers[0].endpointName = "hq.example:51820"
        statistics.peers[0].lastProblem = "can't send to 192.0.2.1:51820: Network is unreachable"
        statistics.peers[0].lastProblemTime = 1_764_000_060
        statistics.drops.checksum = 2
        statistics.drops.multicast = 9
        let text = StatisticsText.render([statistics], now: 1_764_000_063)
        #expect(text.contains("  endpoint     none yet, hq.example:51820 has no address\n"))
        #expect(
            text.contains(
                "  last problem can't send to 192.0.2.1:51820: Network is unreachable (3 seconds ago)\n"))
        #expect(text.contains("  drops        no peer 5, mac1 4, checksum 2\n"))
    }

    @Test("of an Ethernet tunnel the addresses that were learned are said")
    func addresses() {
        var statistics = Sample.idle
        let learned = (1...5).map { "52:54:00:00:00:0\($0)" }
        statistics.peers[0].addresses = learned
        statistics.peers[0].drops.storm = 7
        statistics.peers[1].addresses = []
        let stats = StatisticsText.render([statistics], now: 0)
        #expect(stats.contains("  addresses    5: \(learned.prefix(4).joined(separator: ", ")), …\n"))
        #expect(stats.contains("  addresses    none yet\n"))
        #expect(stats.contains("  drops        storm 7\n"))
        let show = ShowText.render([statistics], now: 0)
        #expect(show.contains("  addresses: \(learned.joined(separator: ", "))\n"))
        #expect(show.contains("  addresses: (none)\n"))
        #expect(!show.contains("allowed ips"))
    }

    @Test("stats of a peer that was never heard says so without numbers it doesn't have")
    func idle() {
        let text = StatisticsText.render([Sample.idle], now: 0)
        #expect(text.contains("  endpoint     none yet\n  handshake    never\n"))
        #expect(!text.contains("path"))
        #expect(text.contains("  sent                  0 B           0 B         -\n"))
        #expect(text.contains("  compression  off\n  left plain   none\n  drops        none\n"))
    }

    @Test(
        "bytes are rounded as printf does it",
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1152, "1.12 KiB"), (1408, "1.38 KiB"),
            (1_048_575, "1024.00 KiB"), (1_048_576, "1.00 MiB"), (1 << 30, "1.00 GiB"), (1 << 40, "1.00 TiB"),
            (1 << 50, "1024.00 TiB"), (UInt64.max, "16777216.00 TiB"),
        ] as [(UInt64, String)])
    func bytes(count: UInt64, expected: String) { #expect(Quantities.bytes(count) == expected) }

    @Test("an age is in the words of wg")
    func ages() {
        #expect(Quantities.ago(10, now: 10) == "Now")
        #expect(Quantities.ago(10, now: 11) == "1 second ago")
        #expect(Quantities.ago(11, now: 10) == "(System clock wound backward; connection problems may ensue.)")
        let long: Int64 = 31_536_000 * 2 + 86400 + 7200 + 60
        #expect(Quantities.ago(0, now: long) == "2 years, 1 day, 2 hours, 1 minute ago")
        #expect(Quantities.ago(.min, now: .max) != "")
    }

    @Test("colours follow WG_COLOR_MODE, and else the terminal")
    func colorMode() {
        func isOn(_ mode: String?, _ isTerminal: Bool) -> Bool {
            Ink.choose(mode: mode, isTerminal: isTerminal).bold("x") != "x"
        }
        #expect(isOn("always", false))
        #expect(!isOn("never", true))
        #expect(isOn("auto", true))
        #expect(isOn(nil, true))
        #expect(!isOn(nil, false))
    }
}

extension Sample {
    static let idle = InterfaceStatistics(
        interface: "idle", publicKey: nil, listenPort: 0,
        peers: [PeerStatistics(publicKey: b), PeerStatistics(publicKey: a)])
}
