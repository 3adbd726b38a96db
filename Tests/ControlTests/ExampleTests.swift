import Control
import Testing

@Suite struct ExampleTests {
    @Test(
        "the examples have nothing wrong",
        arguments: [
            "site-to-site-a", "site-to-site-b", "wireguard-only", "one-lan-a", "one-lan-b", "one-lan-hub",
            "one-lan-branch",
        ])
    func examples(name: String) throws {
        let path = "\(Self.root)/examples/\(name).conf"
        let text = try TextFile.read(path)
        let (configuration, diagnostics) = Configuration.parse(text: text, file: path, name: name)
        #expect(diagnostics == [])
        #expect(configuration?.peers.isEmpty == false)
        #expect(configuration?.keyPath?.hasPrefix("/etc/gateway/") == true)
    }

    @Test("the example of plain WireGuard asks for no more than that")
    func plain() throws {
        let text = try TextFile.read("\(Self.root)/examples/wireguard-only.conf")
        let configuration = Configuration.parse(text: text, file: "x.conf", name: "x").0
        #expect(configuration?.peers.contains { $0.asksForMoreThanWireGuard } == false)
    }

    @Test("the page about the configuration has every key that a config file may have")
    func documentation() throws {
        let page = try TextFile.read("\(Self.root)/docs/configuration.md")
        for key in Self.keys { #expect(page.contains("`\(key)`"), "\(key)") }
    }

    private static var root: String {
        #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
    }

    private static let keys = [
        "PrivateKey", "ListenPort", "FwMark", "Address", "DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown",
        "PostDown",
        "SaveConfig", "PrivateKeyFile", "Mode", "Bridge", "Hub", "ARPProxy", "Offload", "MetricsListen",
        "PublicKey",
        "PresharedKey",
        "AllowedIPs", "Endpoint", "PersistentKeepalive", "Name", "Compression", "CompressionScope", "CompressionSkip",
        "CompressionOnly", "HistoryMemory", "Rate", "Cipher", "AllowedMACs", "LinkOverhead", "ClampMSS",
    ]
}
