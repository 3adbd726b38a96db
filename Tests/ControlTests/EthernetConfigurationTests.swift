import Addresses
import Control
import Testing

@Suite struct EthernetConfigurationTests {
    @Test("the keys of an Ethernet tunnel read the same plain and behind #:", arguments: ["", "#: "])
    func keys(mark: String) throws {
        let (configuration, diagnostics) = parse(
            """
            [Interface]
            PrivateKey = \(Sample.privateKey)
            \(mark)Mode = tap
            \(mark)Bridge = br0
            \(mark)Hub = on
            \(mark)ARPProxy = on
            [Peer]
            PublicKey = \(Sample.a)
            AllowedIPs =
            \(mark)AllowedMACs = 52:54:00:00:00:01, 52-54-00-00-00-0A
            \(mark)AllowedMACs = 52:54:00:00:00:01 52:54:00:00:00:02
            """)
        #expect(diagnostics == [])
        let interface = try #require(configuration?.interface)
        #expect(interface.mode == .tap)
        #expect(interface.bridge.map { "\($0)" } == "br0")
        #expect(interface.isHub && interface.answersNeighbours)
        let addresses = configuration?.peers.first?.allowedMACs?.map(\.description)
        #expect(addresses == ["52:54:00:00:00:01", "52:54:00:00:00:0a", "52:54:00:00:00:02"])
    }

    @Test("what is left out: no bridge, no hub, every Ethernet address")
    func defaults() throws {
        let (configuration, diagnostics) = parse(file("Address = 10.0.0.1/24"))
        #expect(diagnostics == [])
        #expect(configuration?.interface.bridge == nil)
        #expect(configuration?.interface.isHub == false && configuration?.interface.answersNeighbours == false)
        #expect(configuration?.peers.first?.allowedMACs == nil)
    }

    @Test("the text of an Ethernet tunnel reads back to the same")
    func text() throws {
        let text = file(
            "#: Bridge = br0\n#: Hub = true\n#: ARPProxy = on",
            peer: "#: AllowedMACs = 52:54:00:00:00:01, 52:54:00:00:00:02")
        let configuration = try #require(parse(text).0)
        #expect(configuration.text() == text + "\n")
    }

    @Test(
        "a line that an Ethernet tunnel can't have is named with what to write instead",
        arguments: [
            (
                file("Bridge = br0\nAddress = 10.0.0.1/24"), 5,
                #"an address on a port of a bridge is of no use "Address": give it to the bridge br0, and remove the line"#
            ),
            (
                file("MTU = 65510"), 4,
                #"MTU is too large for Mode = tap "65510": write at most 65509"#
            ),
            (
                file("Bridge = a bridge"), 4,
                #"Bridge is no interface name "a bridge": write the name of a bridge that is there, as in br0"#
            ),
            (
                file("", peer: "AllowedIPs = 10.0.0.0/8"), 7,
                #"key without meaning for Mode = tap "AllowedIPs": "#
                    + "remove the line; AllowedMACs says which Ethernet addresses are believed"
            ),
            (
                file("", peer: "AllowedMACs = 01:00:5e:00:00:01"), 7,
                #"AllowedMACs has an item that is no station's Ethernet address "01:00:5e:00:00:01": "#
                    + "write six bytes in hexadecimal, as in 52:54:00:12:34:56, the first of them even"
            ),
        ])
    func refused(text: String, line: Int, message: String) {
        let (configuration, diagnostics) = parse(text)
        #expect(configuration == nil)
        #expect(diagnostics.map(\.description) == ["branch.conf:\(line): error: \(message)"])
    }

    @Test("a mode that is none is the only thing that is said about it")
    func unknownMode() {
        let (_, diagnostics) = parse(
            "[Interface]\nPrivateKey = \(Sample.privateKey)\nMode = ethernet\nBridge = br0\n")
        #expect(diagnostics.map(\.line) == [3])
    }
}

/// A file with `Mode = tap` in line 3 and further lines in its sections.
private func file(_ interface: String, peer: String = "") -> String {
    var lines = ["[Interface]", "PrivateKey = \(Sample.privateKey)", "#: Mode = tap"]
    if !interface.isEmpty { lines.append(interface) }
    lines += ["", "[Peer]", "PublicKey = \(Sample.a)"]
    if !peer.isEmpty { lines.append(peer) }
    return lines.joined(separator: "\n")
}
