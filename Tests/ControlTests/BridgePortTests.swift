import Testing

@testable import Control

@Suite struct BridgePortTests {
    @Test("a port at which nothing is lost and nothing is cut is not spoken of")
    func quiet() {
        let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1500, largest: 65_536, isCard: true)
        #expect(port.troubles(mtu: 1500, isLarge: true).isEmpty)
        #expect(port.troubles(mtu: 1400, isLarge: true).isEmpty)
    }

    @Test("a small MTU loses frames, whatever the offloads")
    func small() {
        let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1400)
        for isLarge in [true, false] {
            let troubles = port.troubles(mtu: 1500, isLarge: isLarge)
            #expect(troubles.map(\.isLoss) == [true])
            #expect(troubles.first?.cure.hasPrefix("ip link set eth1 mtu 1500") == true)
        }
    }

    @Test("what is off costs time, and the cure switches on what is off")
    func off() {
        let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1500, off: ["tso", "gso"], largest: 16_384)
        let troubles = port.troubles(mtu: 1500, isLarge: true)
        #expect(troubles.count == 1 && troubles[0].cure.hasPrefix("ethtool -K eth1 tso on gso on"))
        #expect(port.troubles(mtu: 1500, isLarge: false).isEmpty)
    }

    @Test("of network cards alone it is said that they merge nothing: elsewhere frames come large as they are")
    func merging() {
        for isCard in [true, false] {
            let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1500, off: ["gro"], isCard: isCard)
            #expect(port.troubles(mtu: 1500, isLarge: true).map(\.cure) == (isCard ? ["ethtool -K eth1 gro on"] : []))
        }
    }

    @Test("a port that takes large frames, but none of 16 KB, is spoken of")
    func largest() {
        let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1500, largest: 16_384)
        #expect(port.troubles(mtu: 1500, isLarge: true).map(\.isLoss) == [false])
    }

    @Test("each kind of trouble has a word of its own, and names the port and its bridge")
    func kinds() {
        let ports = [
            BridgePortFacts(name: "a", bridge: "br0", mtu: 1400, off: ["tso", "gro"], isCard: true),
            BridgePortFacts(name: "b", bridge: "br0", mtu: 1500, largest: 16_384),
        ]
        let troubles = ports.flatMap { $0.troubles(mtu: 1500, isLarge: true) }
        #expect(troubles.map(\.kind) == ["mtu", "offloads", "merging", "largest"])
        #expect(Set(troubles.map(\.kind)) == Set(BridgePortTrouble.Kind.allCases.map(\.rawValue)))
        #expect(troubles.map(\.port) == ["a", "a", "a", "b"] && troubles.allSatisfy { $0.bridge == "br0" })
    }

    @Test("the statistics have them as the contract says; of a daemon that says nothing there are none")
    func statistics() throws {
        let port = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1400)
        var statistics = Sample.statistics
        #expect(!String(decoding: try JSON.encode(statistics), as: UTF8.self).contains("bridgeTroubles"))
        statistics.bridgeTroubles = port.troubles(mtu: 1500, isLarge: true)
        let text = String(decoding: try JSON.encode(statistics), as: UTF8.self)
        #expect(text.contains(#""bridgeTroubles":[{"bridge":"br0","cure":"ip link set eth1 mtu 1500;"#))
        #expect(text.contains(#""kind":"mtu","losesFrames":true,"port":"eth1","text":"frames that carry more"#))
        #expect(try JSON.decode(InterfaceStatistics.self, from: Array(text.utf8)) == statistics)
        // A word of a later version.
        let later = text.replacing(#""kind":"mtu""#, with: #""kind":"speed""#)
        #expect(
            try JSON.decode(InterfaceStatistics.self, from: Array(later.utf8)).bridgeTroubles?.first?.kind == "speed")
    }

    @Test("stats and metrics tell of them, and are silent where nothing is wrong")
    func rendering() {
        var statistics = Sample.statistics
        for quiet in [nil, []] as [[BridgePortTrouble]?] {
            statistics.bridgeTroubles = quiet
            #expect(StatisticsText.render([statistics], now: 0) == StatisticsText.render([Sample.statistics], now: 0))
            #expect(!MetricsText.render(statistics).contains("bridge"))
        }
        statistics.bridgeTroubles = BridgePortFacts(name: "eth1", bridge: "br0", mtu: 1400, off: ["gso"])
            .troubles(mtu: 1500, isLarge: true)
        let lines = StatisticsText.render([statistics], now: 0).split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("  bridge       ") }.count == 2)
        #expect(
            lines.contains { $0.hasPrefix("  bridge       frames that carry more than 1400 bytes get lost at eth1") })
        let metrics = MetricsText.render(statistics)
        let labels = #"interface="branch",bridge="br0",port="eth1""#
        for kind in ["mtu", "offloads"] {
            #expect(metrics.contains("gateway_bridge_port_trouble{\(labels),kind=\"\(kind)\"} 1\n"))
        }
    }
}
