import Addresses
import Control
import Keys
import Testing

@Suite struct ConfigurationTests {
    @Test("a stock wg-quick file reads as plain WireGuard")
    func stockFile() throws {
        let (configuration, diagnostics) = parse(
            """
            # a comment
            [Interface]
            Address = 10.200.100.8/24, fd00::8/64
            Address = 10.200.101.8
            DNS = 10.200.100.1, corp.example 2001:db8::53
            PrivateKey = \(Sample.privateKey)  # of this machine
            ListenPort = 51820
            FwMark = 0x1f
            MTU = 1380
            Table = 1234
            PreUp = echo one
            PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo "a = b" # cut here
            PostUp = ip rule add ipproto tcp dport 22 table 1234
            PreDown = true
            PostDown = echo gone
            SaveConfig = true

            [Peer]
            PublicKey = \(Sample.a)
            PresharedKey = \(Sample.presharedKey)
            AllowedIPs = 0.0.0.0/0, ::/0
            AllowedIPs = 10.1.2.3/16
            Endpoint = demo.wireguard.example:51820
            PersistentKeepalive = 25
            """)
        #expect(diagnostics == [])
        let interface = try #require(configuration?.interface)
        #expect("\(interface.name)" == "branch")
        #expect(interface.addresses.map(\.description) == ["10.200.100.8/24", "fd00::8/64", "10.200.101.8/32"])
        #expect(interface.dnsServers.map(\.description) == ["10.200.100.1", "2001:db8::53"])
        #expect(interface.dnsSearch == ["corp.example"])
        guard case .inline(let key) = interface.privateKey else { Issue.record("no key"); return }
        #expect(key.base64 == Sample.privateKey)
        #expect(interface.listenPort == 51820)
        #expect(interface.fwmark == 31)
        #expect(interface.mtu == 1380)
        #expect(interface.table == .number(1234))
        #expect(interface.preUp == ["echo one"])
        #expect(interface.postUp.first == "iptables -A FORWARD -i %i -j ACCEPT; echo \"a = b\"")
        #expect(interface.postUp.count == 2)
        #expect(interface.preDown == ["true"])
        #expect(interface.postDown == ["echo gone"])
        #expect(interface.savesConfiguration)
        let peer = try #require(configuration?.peers.first)
        #expect("\(peer.publicKey)" == Sample.a)
        #expect(peer.presharedKey?.base64 == Sample.presharedKey)
        #expect(peer.allowedIPs.map(\.description) == ["0.0.0.0/0", "::/0", "10.1.0.0/16"])
        #expect(peer.endpoint?.host == "demo.wireguard.example")
        #expect(peer.persistentKeepalive == .seconds(25))
        #expect(!peer.asksForMoreThanWireGuard)
    }

    @Test("our keys read the same plain and behind #:", arguments: ["", "#: ", "#:", "  #:  "])
    func ours(mark: String) throws {
        let (configuration, diagnostics) = parse(
            """
            [Interface]
            \(mark)PrivateKeyFile = /etc/gateway/branch.key
            \(mark)Mode = tun
            \(mark)Offload = tun-tso, udp-gro
            \(mark)MetricsListen = off
            \(mark)Hub = false
            \(mark)Rate = 2.5 Mbit
            \(mark)LinkOverhead = 18
            \(mark)ClampMSS = 1300
            [Peer]
            PublicKey = \(Sample.a)
            \(mark)Name = head quarters
            \(mark)Compression = Auto
            \(mark)CompressionScope = peer
            \(mark)CompressionSkip = tcp/80, udp/53, 443, tcp/8000-8100
            \(mark)CompressionOnly = 10.0.0.0/8 2001:db8::/32
            \(mark)HistoryMemory = 0
            \(mark)Rate = 64kbit
            \(mark)Cipher = auto # fast
            """)
        #expect(diagnostics == [])
        #expect(configuration?.keyPath == "/etc/gateway/branch.key")
        #expect(configuration?.interface.offloads == [.tunTSO, .udpGRO])
        let peer = try #require(configuration?.peers.first)
        #expect(peer.name == "head quarters")
        #expect(peer.compression == .auto)
        #expect(peer.compressionScope == .peer)
        #expect(peer.compressionSkip?.map(\.description) == ["tcp/80", "udp/53", "443", "tcp/8000-8100"])
        #expect(peer.compressionOnly?.map(\.description) == ["10.0.0.0/8", "2001:db8::/32"])
        #expect(peer.cipher == .auto)
        #expect(configuration?.interface.rate?.bitsPerSecond == 2_500_000)
        #expect(configuration?.interface.linkOverhead == 18)
        #expect(configuration?.interface.clampMSS == .at(1300))
        #expect(peer.rate?.bitsPerSecond == 64_000)
        #expect(peer.asksForMoreThanWireGuard)
    }

    @Test(
        "a rate between bounds reads in any spelling, and is written as it is read",
        arguments: ["auto 2mbit..50mbit", "Auto 2000kbit .. 0.05gbit"])
    func autoRate(text: String) throws {
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey=\(Sample.privateKey)\n[Peer]\nPublicKey=\(Sample.a)\n#: Rate = \(text)")
        #expect(diagnostics == [])
        let peer = try #require(configuration?.peers.first)
        #expect(peer.autoRate?.description == "auto 2mbit..50mbit")
        #expect(peer.rate == nil)
        #expect(peer.asksForMoreThanWireGuard)
        #expect(configuration?.text(comment: []).contains("#: Rate = auto 2mbit..50mbit") == true)
    }

    @Test(
        "HistoryScope is written as it is read, and one that lets flows tell of others has a warning",
        arguments: ["flow", "hosts", "peer"])
    func historyScope(word: String) throws {
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey=\(Sample.privateKey)\n[Peer]\nPublicKey=\(Sample.a)\n#: HistoryScope = \(word)")
        #expect(diagnostics.map(\.severity) == (word == "flow" ? [] : [.warning]))
        let peer = try #require(configuration?.peers.first)
        #expect(peer.historyScope.rawValue == word)
        #expect(configuration?.text(comment: []).contains("#: HistoryScope = \(word)") == (word != "flow"))
    }

    @Test("what the file leaves out has its default")
    func defaults() throws {
        let (configuration, _) = parse("[Interface]\nPrivateKey=\(Sample.privateKey)\n[Peer]\nPublicKey=\(Sample.a)")
        let interface = try #require(configuration?.interface)
        #expect(interface.listenPort == 0)
        #expect(interface.fwmark == 0)
        #expect(interface.mtu == nil)
        #expect(interface.table == .auto)
        #expect(interface.mode == .tun)
        #expect(interface.clampMSS == .auto)
        #expect(interface.offloads.count == 4)
        #expect(interface.metricsListen == nil)
        let peer = try #require(configuration?.peers.first)
        #expect(peer.allowedIPs.isEmpty)
        #expect(peer.endpoint == nil)
        #expect(peer.persistentKeepalive == nil)
        #expect(peer.presharedKey == nil)
        #expect(peer.compression == .off)
        #expect(peer.compressionScope == .flow)
        #expect(peer.compressionSkip == nil)
        #expect(peer.compressionOnly == nil)
        #expect(peer.cipher == .chacha20poly1305)
    }

    @Test("case, white space, CRLF, a byte order mark and foreign comments do no harm")
    func lenient() {
        let (configuration, diagnostics) = parse(
            "\u{FEFF}[ interface ]\r\n\tprivate key=\(Sample.privateKey)\r\n#: just a note\r\nTABLE=OFF\r\n"
                + "fwmark = off\r\n[PEER]\r\n publickey =\(Sample.a)\r\nallowedips =\r\npersistentkeepalive = OFF\r\n"
                + "Endpoint = [2001:db8::1] : 51820\r\n")
        #expect(diagnostics == [])
        #expect(configuration?.interface.table == .off)
        #expect(configuration?.peers.first?.endpoint.map { "\($0)" } == "[2001:db8::1]:51820")
    }

    @Test("an empty CompressionSkip skips nothing, and Offload = off uses none")
    func empty() {
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey = \(Sample.privateKey)\nOffload = off\n[Peer]\nPublicKey = \(Sample.a)\n"
                + "CompressionSkip =\n")
        #expect(diagnostics == [])
        #expect(configuration?.interface.offloads == [])
        #expect(configuration?.peers.first?.compressionSkip == [])
    }

    @Test("a preshared key of zeros is none, as wg has it")
    func zeroPresharedKey() {
        let zeros = String(repeating: "A", count: 43) + "="
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey = \(Sample.privateKey)\n[Peer]\nPublicKey = \(Sample.a)\nPresharedKey = \(zeros)")
        #expect(diagnostics == [])
        #expect(configuration?.peers.first?.presharedKey == nil)
    }

    @Test("what is written reads back to the same, and is written the same again")
    func writing() throws {
        let text = """
            # for people

            [Interface]
            PrivateKey = \(Sample.privateKey)
            ListenPort = 51820
            FwMark = 0x1f
            Address = 10.1.0.1/24, fd00::1/64
            DNS = 10.1.0.53, corp.example
            MTU = 1400
            Table = off
            PostUp = echo %i; echo "x"
            SaveConfig = true
            #: Offload = tun-tso udp-gso

            [Peer]
            #: Name = head quarters
            PublicKey = \(Sample.a)
            PresharedKey = \(Sample.presharedKey)
            AllowedIPs = 10.2.0.0/16, fd02::/64
            Endpoint = [2001:db8::2]:51821
            PersistentKeepalive = 25
            #: Compression = auto
            #: CompressionScope = peer
            #: CompressionSkip = tcp/80, 443
            #: CompressionOnly = 10.0.0.0/8
            #: Cipher = auto

            """
        let (configuration, diagnostics) = parse(text)
        #expect(diagnostics == [])
        #expect(configuration?.text(comment: ["for people"]) == text)
    }
}

/// Parses as `branch.conf`.
func parse(_ text: String) -> (Configuration?, [Diagnostic]) {
    Configuration.parse(text: text, file: "branch.conf", name: "branch")
}

/// Keys for tests; nobody uses them.
enum Sample {
    static let privateKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
    /// The public key of `privateKey`.
    static let ownKey = PrivateKey(base64: privateKey).map { "\($0.publicKey)" } ?? ""
    static let a = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
    static let b = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
    static let presharedKey = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak="
}
