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
}
