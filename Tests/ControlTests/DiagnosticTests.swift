import Control
import Testing

@Suite struct DiagnosticTests {
    @Test(
        "a wrong line in [Interface] is named with what to write instead",
        arguments: [
            ("Compresion = auto", #"unknown key "Compresion": did you mean "Compression"?"#),
            ("ListenPrt = 1", #"unknown key "ListenPrt": did you mean "ListenPort"?"#),
            ("Foo = 1", #"unknown key "Foo": docs/configuration.md has all keys; a comment begins with #"#),
            ("Listen = 1", #"unknown key "Listen": did you mean "ListenPort"?"#),
            ("Endpoint = a:1", #"key in the wrong section "Endpoint": move it to [Peer]"#),
            ("ListenPort = 65536", #"ListenPort is no port "65536": write 0 to 65535; 0 lets the system choose"#),
            ("ListenPort = +1", #"ListenPort is no port "+1": write 0 to 65535; 0 lets the system choose"#),
            ("FwMark = 0xg", #"FwMark is no mark "0xg": write off, a number, or 0x and hexadecimal digits"#),
            (
                "FwMark = 4294967296",
                #"FwMark is no mark "4294967296": write off, a number, or 0x and hexadecimal digits"#
            ),
            (
                "MTU = 575",
                #"MTU is too small "575": write at least 576, what every IPv4 host accepts (RFC 791); IPv6 needs 1280"#
            ),
            ("MTU = 65536", #"MTU is too large "65536": write at most 65535, the largest IP packet"#),
            (
                "ClampMSS = 40",
                #"ClampMSS is no size "40": write auto, off, or 88 to 65495, the most bytes of a TCP segment"#
            ),
            ("MTU = big", #"MTU is no number "big": write 576 to 65535, or remove the line"#),
            ("Table = main", #"Table is no table "main": write auto, off or a number from 1"#),
            ("SaveConfig = yes", #"SaveConfig is neither yes nor no "yes": write true or false"#),
            (
                "Address = 10.0.0.1/33",
                #"Address has an item that is no address "10.0.0.1/33": "#
                    + "write address/length, as in 10.1.0.1/24 or 2001:db8::1/64"
            ),
            (
                "DNS = 10.0.0.1, 10.0.0.256",
                #"DNS has an item that is neither address nor domain "10.0.0.256": "#
                    + "write a server's address, as in 10.1.0.53, or a search domain"
            ),
            ("Mode = tub", #"Mode has no such value "tub": write tun or tap"#),
            (
                "Bridge = br0",
                #"key of an Ethernet tunnel "Bridge": write Mode = tap in [Interface], or remove the line"#
            ),
            ("Hub = on", #"key of an Ethernet tunnel "Hub": write Mode = tap in [Interface], or remove the line"#),
            (
                "ARPProxy = on",
                #"key of an Ethernet tunnel "ARPProxy": write Mode = tap in [Interface], or remove the line"#
            ),
            ("Hub = 1", #"Hub is neither on nor off "1": write true or false"#),
            (
                "Offload = tun-gso",
                #"Offload has an unknown item "tun-gso": write auto, off or some of tun-tso tun-gro udp-gso udp-gro"#
            ),
            (
                "MetricsListen = 0.0.0.0:9586",
                #"MetricsListen takes an address of this machine's loopback, and a port "0.0.0.0:9586": "#
                    + "write 127.0.0.1:9586 or [::1]:9586; a Prometheus elsewhere comes through a proxy that knows who asks"
            ),
            (
                "Rate = auto 2mbit..50mbit",
                #"Rate = auto is for a [Peer]: it is found by what that peer says of what arrives "auto 2mbit..50mbit": "#
                    + "move the line there, or write here the rate that all peers share, such as 20mbit"
            ),
            (
                "what is this",
                #"line is neither a section nor a key "what is this": "#
                    + "write [Section], Key = value, or a comment after #"
            ),
            ("[Peers]", #"unknown section "[Peers]": only [Interface] and [Peer] exist"#),
            (
                "PrivateKey = \(Sample.privateKey)",
                #"key repeated "PrivateKey": line 2 has it already; remove one of them"#
            ),
            (
                "PrivateKeyFile = a.key",
                #"two private keys "PrivateKeyFile": line 2 has PrivateKey; remove one of them"#
            ),
        ])
    func interfaceLine(line: String, message: String) {
        let (configuration, diagnostics) = parse("[Interface]\nPrivateKey = \(Sample.privateKey)\n\(line)\n")
        #expect(configuration == nil)
        #expect(diagnostics.map(\.description) == ["branch.conf:3: error: \(message)"])
    }

    @Test(
        "a wrong line in [Peer] is named with what to write instead",
        arguments: [
            (
                "PresharedKey = abc",
                "PresharedKey is no key: write 44 characters of base64, as \"gatewayctl genpsk\" prints them"
            ),
            (
                "AllowedIPs = 10.0.0.0/8, 10.0.0/24",
                #"AllowedIPs has an item that is no prefix "10.0.0/24": "#
                    + "write address/length, as in 10.1.0.0/16 or 2001:db8::/32"
            ),
            ("Endpoint = host", #"Endpoint is no host and port "host": write host:port or [IPv6 address]:port"#),
            (
                "PersistentKeepalive = 65536",
                #"PersistentKeepalive is no interval "65536": write off or 1 to 65535 seconds"#
            ),
            ("Name =", #"Name is no name "": write 1 to 64 printable characters"#),
            ("Compression = lz4", #"Compression has no such value "lz4": write off, receive, auto, deflate or zstd"#),
            ("CompressionScope = all", #"CompressionScope has no such value "all": write flow or peer"#),
            (
                "CompressionSkip = tcp/80, sctp/5",
                #"CompressionSkip has an item that is neither port nor prefix "sctp/5": "#
                    + "write tcp/80, udp/53, 443, tcp/8000-8100 or 10.0.0.0/8"
            ),
            ("Cipher = aes", #"Cipher has no such value "aes": write chacha20poly1305, auto or aes256gcm"#),
            (
                "Rate = 0mbit",
                #"Rate is no rate that can be kept "0mbit": write 64kbit to 1gbit, such as 20mbit or 2.5mbit, or off"#
            ),
            (
                "Rate = 2gbit",
                #"Rate is no rate that can be kept "2gbit": write 64kbit to 1gbit, such as 20mbit or 2.5mbit, or off"#
            ),
            (
                "Rate = -5mbit",
                #"Rate is no rate that can be kept "-5mbit": write 64kbit to 1gbit, such as 20mbit or 2.5mbit, or off"#
            ),
            (
                "Rate = auto",
                #"Rate = auto has no bounds "auto": write auto and what the link takes at least and at most, "#
                    + "such as auto 2mbit..50mbit"
            ),
            (
                "Rate = auto 2..50mbit",
                #"a bound of Rate = auto is no rate that can be kept "auto 2..50mbit": "#
                    + "write 64kbit to 1gbit each, such as auto 2mbit..50mbit"
            ),
            (
                "Rate = auto 50mbit..50mbit",
                #"the lower bound of Rate = auto is not below the upper one "auto 50mbit..50mbit": "#
                    + "write the lower one first, such as auto 2mbit..50mbit, or one rate without auto"
            ),
            ("HistoryMemory = 2M", #"not in this version "HistoryMemory = 2M": use 0, or remove the line"#),
            (
                "AllowedMACs = 52:54:00:00:00:01",
                #"key of an Ethernet tunnel "AllowedMACs": write Mode = tap in [Interface], or remove the line"#
            ),
            ("MTU = 1400", #"key in the wrong section "MTU": move it to [Interface]"#),
        ])
    func peerLine(line: String, message: String) {
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey = \(Sample.privateKey)\n[Peer]\nPublicKey = \(Sample.a)\n\(line)\n")
        #expect(configuration == nil)
        #expect(diagnostics.map(\.description) == ["branch.conf:5: error: \(message)"])
    }

    @Test("all that is wrong is said at once, by line")
    func allAtOnce() {
        let (configuration, diagnostics) = parse(
            """
            MTU = 1400
            [Interface]
            ListenPort = x
            [Peer]
            AllowedIPs = 10.0.0.0/8
            Endpoint = y
            [Peer]
            PublicKey = short
            AllowedIPs = 10.0.0.0/8
            """)
        #expect(configuration == nil)
        #expect(
            diagnostics.map(\.description) == [
                #"branch.conf:1: error: key before any section "MTU": move it to [Interface]"#,
                "branch.conf:2: error: no private key: add PrivateKey = (gatewayctl genkey makes one) "
                    + "or PrivateKeyFile = path",
                #"branch.conf:3: error: ListenPort is no port "x": write 0 to 65535; 0 lets the system choose"#,
                "branch.conf:4: error: peer without PublicKey: add PublicKey = the other end's key",
                #"branch.conf:6: error: Endpoint is no host and port "y": write host:port or [IPv6 address]:port"#,
                #"branch.conf:8: error: PublicKey is no key "short": "#
                    + "write 44 characters of base64, as \"gatewayctl pubkey\" prints them",
                #"branch.conf:9: error: AllowedIPs of two peers "10.0.0.0/8": "#
                    + "line 5 gives it to the peer in line 4, this line to the peer in line 7; remove one of them",
            ])
    }

    @Test("two peers share neither key nor name nor prefix")
    func twoPeers() {
        let (configuration, diagnostics) = parse(
            """
            [Interface]
            PrivateKey = \(Sample.privateKey)
            [Peer]
            PublicKey = \(Sample.a)
            Name = hq
            AllowedIPs = 10.1.0.0/16
            AllowedIPs = 10.1.0.0/16
            [Peer]
            Name = hq
            PublicKey = \(Sample.a)
            AllowedIPs = 10.1.9.9/16, 10.1.0.0/24
            """)
        #expect(configuration == nil)
        #expect(
            diagnostics.map(\.description) == [
                #"branch.conf:9: error: Name of two peers "hq": the peer in line 3 has it already; choose another"#,
                "branch.conf:10: error: PublicKey of two peers \"\(Sample.a)\": "
                    + "the peer in line 3 has it already; make the two one",
                #"branch.conf:11: error: AllowedIPs of two peers "10.1.0.0/16": "#
                    + "line 6 gives it to the peer in line 3, this line to the peer in line 8; remove one of them",
            ])
    }

    @Test(
        "an endpoint among its peer's own AllowedIPs is a warning, unless another route leads there",
        arguments: [
            ("auto", "10.1.2.0/24, 10.1.0.0/16", "10.1.2.3:1", 6), ("auto", "0.0.0.0/1", "10.1.2.3:1", 6),
            ("auto", "fd00::/8", "[fd00::1]:1", 6), ("off", "10.1.0.0/16", "10.1.2.3:1", nil),
            ("77", "10.1.0.0/16", "10.1.2.3:1", nil), ("auto", "0.0.0.0/0, ::/0", "10.1.2.3:1", nil),
            ("auto", "10.1.0.0/16", "10.2.2.3:1", nil), ("auto", "10.0.0.0/8", "10.9.1.1:1", nil),
            ("auto", "10.1.0.0/16", "hq.example:1", nil),
        ] as [(String, String, String, Int?)])
    func endpointInside(table: String, allowedIPs: String, endpoint: String, line: Int?) {
        let (configuration, diagnostics) = parse(
            """
            [Interface]
            PrivateKey = \(Sample.privateKey)
            Table = \(table)
            [Peer]
            PublicKey = \(Sample.a)
            Endpoint = \(endpoint)
            AllowedIPs = \(allowedIPs)
            [Peer]
            PublicKey = \(Sample.b)
            AllowedIPs = 10.9.0.0/16
            """)
        #expect(configuration != nil)
        #expect(diagnostics.map(\.line) == (line.map { [$0] } ?? []))
        for diagnostic in diagnostics {
            #expect(
                "\(diagnostic)".hasPrefix(
                    "branch.conf:6: warning: Endpoint among the peer's own AllowedIPs \"\(endpoint)\": line 7 routes "))
        }
    }

    @Test("this end's own key as a peer is a warning, and the file can be used")
    func ownKey() {
        let (configuration, diagnostics) = parse(
            "[Interface]\nPrivateKey = \(Sample.privateKey)\n[Peer]\nPublicKey = \(Sample.ownKey)\n")
        #expect(configuration != nil)
        #expect(
            diagnostics.map(\.description) == [
                "branch.conf:4: warning: PublicKey is this end's own: "
                    + "write the other end's key; this peer will never answer"
            ])
    }

    @Test(
        "a file that can't name an interface says so",
        arguments: ["sixteen-letters!", "a-very-long-name", "a b", "", ".."])
    func interfaceName(name: String) {
        let (configuration, diagnostics) = Configuration.parse(
            text: "[Interface]\nPrivateKey = \(Sample.privateKey)\n", file: "x.conf", name: name)
        #expect(configuration == nil)
        #expect(
            diagnostics.map(\.description) == [
                "x.conf: error: file name makes no interface name \"\(name)\": "
                    + "rename it to 1 to 15 of the characters a-z A-Z 0-9 _ = + . - and .conf"
            ])
    }

    @Test("a private key that looks like a public one is a warning that doesn't show it")
    func unclampedKey() {
        let (configuration, diagnostics) = parse("[Interface]\nPrivateKey = \(Sample.a)\n")
        #expect(configuration != nil)
        #expect(
            diagnostics.map(\.description) == [
                "branch.conf:2: warning: private key is none that wg genkey makes: "
                    + "make sure that it is not a public key; \"gatewayctl genkey\" makes a private one"
            ])
    }

    @Test(
        "a file of two bytes a character is told from nonsense",
        arguments: [[0xff, 0xfe], [0xfe, 0xff], []] as [[UInt8]])
    func utf16(mark: [UInt8]) {
        let characters = Array("[Interface]\nPrivateKey = \(Sample.privateKey)\n".utf8)
        let bytes = mark + characters.flatMap { mark == [0xfe, 0xff] ? [0, $0] : [$0, 0] }
        let (configuration, diagnostics) = parse(String(decoding: bytes, as: UTF8.self))
        #expect(configuration == nil)
        #expect(diagnostics.map(\.description) == ["branch.conf: error: file is UTF-16: save it as UTF-8"])
    }

    @Test("an empty file lacks its section")
    func emptyFile() {
        let (_, diagnostics) = parse("\n# nothing\n")
        #expect(
            diagnostics.map(\.description) == [
                "branch.conf: error: no section [Interface]: add one with this end's PrivateKey"
            ])
    }

    @Test("a broken secret is not shown, nor is a terminal's control code")
    func printable() throws {
        let (_, diagnostics) = parse("[Interface]\nPrivateKey = hunter2\n\u{1b}[31mKey = 1\n")
        let text = diagnostics.map(\.description).joined(separator: "\n")
        #expect(!text.contains("hunter2"))
        #expect(!text.contains("\u{1b}"))
        #expect(text.contains(#"unknown key "\u{1b}[31mKey""#))
    }
}
