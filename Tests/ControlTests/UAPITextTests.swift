import Addresses
import Control
import Keys
import Testing

@Suite struct UAPITextTests {
    @Test("a reply has wireguard-go's keys in wireguard-go's order, and ours behind them")
    func order() throws {
        let hex = String(repeating: "18", count: 31) + "58"
        var peer = UAPIPeer(publicKey: try #require(PublicKey(hex: hex)))
        peer.endpoint = Endpoint("[2001:db8::1]:51820")
        peer.lastHandshake = (1_764_000_000, 5)
        peer.sent = .max
        peer.received = 7
        peer.persistentKeepalive = 25
        var text = UAPIText()
        text.append(privateKey: PrivateKey(hex: hex), listenPort: 51820, fwmark: 0xca6c)
        text.append(peer)
        text.append(allowed: try #require(Prefix("fd00::/8")))
        text.append(UAPIPeer.Ours(compression: "auto", cipher: "aes256gcm"))
        text.append(errno: 0)
        #expect(
            String(decoding: text.bytes, as: UTF8.self) == """
                private_key=\(hex)
                listen_port=51820
                fwmark=51820
                public_key=\(hex)
                preshared_key=\(String(repeating: "0", count: 64))
                protocol_version=1
                endpoint=[2001:db8::1]:51820
                last_handshake_time_sec=1764000000
                last_handshake_time_nsec=5
                tx_bytes=18446744073709551615
                rx_bytes=7
                persistent_keepalive_interval=25
                allowed_ip=fd00::/8
                gateway_compression=auto
                gateway_cipher=aes256gcm
                gateway_plain_tx_bytes=0
                gateway_wire_tx_bytes=0
                gateway_plain_rx_bytes=0
                gateway_wire_rx_bytes=0
                errno=0


                """)
    }

    @Test("what an interface does not have is left out")
    func empty() {
        var text = UAPIText()
        text.append(privateKey: nil, listenPort: 0, fwmark: 0)
        text.append(errno: UAPIError.portInUse.rawValue)
        #expect(String(decoding: text.take(), as: UTF8.self) == "errno=-98\n\n")
        #expect(text.bytes.isEmpty)
    }
}
