@testable import Control
@testable import TestKit

extension TextTarget {
    static var seeds: [(name: String, bytes: [UInt8])] {
        configurations.map { ("configuration-\($0)", [0] + Array($1.utf8)) }
            + [
                ("uapi", [1] + Array(uapi.utf8)),
                ("http-length", [2 | 3 << 3] + Array(http.utf8)),
                ("http-chunks", [2 | 7 << 3] + Array(chunks.utf8)),
                ("json-statistics", [3] + statistics),
                ("json-key", [3] + Array(#"{"peer":"hq","presharedKey":"a","privateKey":"b"}"#.utf8)),
                ("pcap", [4 | 5 << 3] + pcap), ("pcapng", [4 | 9 << 3] + pcapng),
            ]
    }

    private static let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
    private static let peer = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
    private static let hex = String(repeating: "ab", count: 32)

    private static let configurations: [(String, String)] = [
        (
            "small",
            "[Interface]\nPrivateKey = \(key)\n[Peer]\nPublicKey = \(peer)\nAllowedIPs = 0.0.0.0/0\n"
        ),
        (
            "large",
            """
            # hq
            [Interface]
            PrivateKey = \(key)
            ListenPort = 51820
            FwMark = 0xca6c
            Address = 10.0.0.1/24, fd00::1/64
            DNS = 10.0.0.53, corp.example
            MTU = 1420
            Table = off
            PostUp = ip rule add x
            #: Offload = tun-tso udp-gro
            [Peer]
            #: Name = branch
            PublicKey = \(peer)
            PresharedKey = \(key)
            AllowedIPs = 10.1.0.0/16, fd01::/64
            Endpoint = [2001:db8::1]:51820
            PersistentKeepalive = 25
            #: Compression = auto
            #: CompressionSkip = tcp/80-81, 10.0.0.0/8
            #: Cipher = auto
            """
        ),
    ]

    private static let uapi = """
        get=1

        set=1
        private_key=\(hex)
        listen_port=51820
        fwmark=4294967295
        replace_peers=true
        public_key=\(hex)
        update_only=true
        preshared_key=\(hex)
        endpoint=[2001:db8::1]:1
        persistent_keepalive_interval=65535
        replace_allowed_ips=true
        allowed_ip=10.1.2.3/8
        allowed_ip=-fd00::/8
        gateway_compression=auto
        gateway_cipher=auto
        public_key=\(hex)
        remove=true


        """

    private static let http = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    private static let chunks =
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1f;x=y\r\n\(key.prefix(31))\r\n0\r\n\r\n"

    private static var statistics: [UInt8] {
        var peer = PeerStatistics(
            publicKey: peer, name: "hq", endpoint: "192.0.2.1:51820", allowedIPs: ["10.1.0.0/16"],
            latestHandshake: 1_764_000_000, rxBytes: 1, txBytes: 1 << 40, rttMicroseconds: 850, lossPermille: 3)
        peer.compression.codecs["zstd"] = CodecStatistics()
        let all = InterfaceStatistics(interface: "branch", publicKey: key, listenPort: 51820, peers: [peer])
        do throws(JSON.Malformed) { return try JSON.encode(all) } catch { return [] }
    }

    /// Two frames of raw IP, one of them cut.
    private static var pcap: [UInt8] {
        var file = little(0xa1b2_c3d4 as UInt32) + little(2 as UInt16) + little(4 as UInt16) + little(0 as UInt64)
        file += little(262_144 as UInt32) + little(101 as UInt32)
        for original in [60, 90] {
            let packet = udp(1, 2, text(32))
            file += [1, 2, UInt32(packet.count), UInt32(original)].flatMap { little($0) } + packet
        }
        return file
    }

    /// A section in big-endian with an interface, a packet of each kind and a block that nobody knows.
    private static var pcapng: [UInt8] {
        func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
            let body = body + [UInt8](repeating: 0, count: (4 - body.count % 4) % 4)
            let length = big(UInt32(12 + body.count))
            return big(type) + length + body + length
        }
        let packet = udp(1, 2, text(33))
        let size = big(UInt32(packet.count))
        let ethernet = [UInt8](repeating: 2, count: 12) + [0x81, 0, 0, 5, 8, 0] + packet
        return block(0x0a0d_0d0a, big(0x1a2b_3c4d as UInt32) + big(1 as UInt16) + big(0 as UInt16) + big(UInt64.max))
            + block(1, big(101 as UInt16) + big(0 as UInt16) + big(0 as UInt32) + [0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0])
            + block(1, big(1 as UInt16) + big(0 as UInt16) + big(0 as UInt32))
            + block(6, [0, 0, 7].flatMap { big($0 as UInt32) } + size + size + packet)
            + block(6, [1, 0, 7].flatMap { big($0 as UInt32) } + big(UInt32(ethernet.count)) + size + ethernet)
            + block(3, size + packet) + block(2, big(0 as UInt64) + big(7 as UInt32) + size + size + packet)
            + block(0xbad, [1, 2, 3])
    }
}
