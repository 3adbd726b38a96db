import Testing

@testable import Control

@Suite struct MetricsTests {
    @Test("labels are escaped as Prometheus reads them, and a peer without a name has an empty one")
    func labels() {
        var statistics = Sample.statistics
        statistics.peers[0].name = "a \"b\" \\ c\nd"
        let text = MetricsText.render(statistics)
        #expect(text.contains(#"friendly_name="a \"b\" \\ c\nd""#))
        statistics.peers[0].name = nil
        #expect(MetricsText.render(statistics).contains(#",friendly_name=""} "#))
    }

    @Test("every metric is told once, with help and type before its samples")
    func families() {
        let lines = MetricsText.render(Sample.statistics).split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
        #expect(Set(types).count == types.count && types.count > 20)
        for sample in lines where !sample.hasPrefix("#") {
            #expect(types.contains(sample.prefix { $0 != "{" }))
        }
    }

    @Test("units that refer to others are told by kind and direction, failures by outcome, memory once")
    func history() {
        var statistics = Sample.statistics
        #expect(!MetricsText.render(statistics).contains("history"))
        var history = HistoryStatistics()
        (history.txUnits, history.txRecalls, history.txRecallSavedBytes, history.txLearned) = (5, 7, 900, 3)
        (history.rxRecallWireBytes, history.wrong, history.memoryBytes) = (44, 2, 4096)
        statistics.peers[0].history = history
        statistics.peers.append(statistics.peers[0])
        let text = MetricsText.render(statistics)
        for sample in [
            #"units_total{interface="branch",public_key="\#(Sample.a)",friendly_name="hq",kind="stream",direction="tx"} 5"#,
            #"kind="dictionary",direction="tx"} 7"#, #"kind="dictionary",direction="rx"} 44"#, #"outcome="wrong"} 2"#,
        ] { #expect(text.contains(sample), "\(sample)") }
        #expect(text.contains("gateway_peer_history_saved_bytes_total{") && text.contains(#"friendly_name="hq"} 900"#))
        #expect(text.split(separator: "gateway_history_memory_bytes{").count == 2)
    }

    @Test("drops and skips are told by the names that they have in JSON, all of them")
    func reasons() throws {
        func names(_ value: some Encodable) throws -> Set<String> {
            Set(try JSON.decode([String: UInt64].self, from: try JSON.encode(value)).keys)
        }
        var peer = PeerDrops()
        (peer.unannounced, peer.queueFull, peer.budget, peer.backlog, peer.queueDelay) = (0, 0, 0, 0, 0)
        (peer.tooBig, peer.keyExchange) = (0, 0)
        var interface = InterfaceDrops()
        (interface.checksum, interface.multicast) = (0, 0)
        #expect(Set(peer.byReason.map(\.reason)) == (try names(peer)))
        #expect(Set(interface.byReason.map(\.reason)) == (try names(interface)))
        #expect(Set(SkipCounts().byReason.map(\.reason)) == (try names(SkipCounts())))
    }

    @Test("server-sent events come line by line, whatever else stands between them")
    func streams() {
        var event = ServerSentEvent()
        var seen: [String] = []
        for line in [":", "", "id: 7", "event: reload\r", "data: {}", "", "retry: 2000", "", "junk", "data:x", ""] {
            if let (name, data) = event.take(line) { seen.append("\(name) \(data)") }
        }
        #expect(seen == ["reload {}", " x"])
    }

    @Test("a peer's key in a path has nothing that means something there")
    func encoding() {
        #expect("a/b+c=é %".percentEncoded == "a%2Fb%2Bc%3D%C3%A9%20%25")
    }
}
