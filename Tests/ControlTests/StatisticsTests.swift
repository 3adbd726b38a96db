import Control
import Testing

@Suite struct StatisticsTests {
    @Test("statistics are written as the contract has them")
    func encode() throws {
        let text = String(decoding: try JSON.encode(Sample.statistics), as: UTF8.self)
        #expect(text == Sample.statisticsText)
    }

    @Test("what the contract shows reads back to the same")
    func decode() throws {
        let read = try JSON.decode(InterfaceStatistics.self, from: Array(Sample.statisticsText.utf8))
        #expect(read == Sample.statistics)
    }

    @Test("an unknown field is skipped, and an endpoint and a name may be absent")
    func lenient() throws {
        var text = Sample.statisticsText
        text = text.replacing(#""endpoint":"192.0.2.1:51820","#, with: "").replacing(
            #""name":"hq","#, with: #""new":[1],"#)
        let read = try JSON.decode(InterfaceStatistics.self, from: Array(text.utf8))
        #expect(read.peers.first?.endpoint == nil)
        #expect(read.peers.first?.name == nil)
        #expect(!String(decoding: try JSON.encode(read), as: UTF8.self).contains("endpoint"))
    }

    @Test("JSON that is not statistics says where it isn't")
    func malformed() {
        #expect(failure("{}").hasPrefix("no field \""))
        #expect(failure("nonsense") == "no JSON")
        #expect(failure("") == "no JSON")
        let text = Sample.statisticsText.replacing(#""mac1":4"#, with: #""mac1":"x""#)
        #expect(failure(text) == "field \"drops.mac1\" has another type")
    }

    @Test("a ratio is plain over wire, and 1 while nothing went")
    func ratio() {
        #expect(ByteCounts().ratio == 1)
        #expect(ByteCounts(plainBytes: 2, wireBytes: 3).ratio == 0.667)
        #expect(ByteCounts(plainBytes: .max, wireBytes: 1).ratio > 1e19)
    }

    private func failure(_ text: String) -> String {
        do throws(JSON.Malformed) {
            _ = try JSON.decode(InterfaceStatistics.self, from: Array(text.utf8))
            return ""
        } catch {
            return error.description
        }
    }
}

extension Sample {
    private static var peerDrops: PeerDrops {
        var drops = PeerDrops()
        drops.replay = 3
        drops.malformed = 1
        return drops
    }

    private static var interfaceDrops: InterfaceDrops {
        var drops = InterfaceDrops()
        drops.noPeer = 5
        drops.mac1 = 4
        return drops
    }

    static let statistics = InterfaceStatistics(
        interface: "branch", publicKey: b, listenPort: 51820, fwmark: 0xca6c, uptimeSeconds: 7384,
        peers: [
            PeerStatistics(
                publicKey: a, name: "hq", endpoint: "192.0.2.1:51820", allowedIPs: ["10.1.0.0/16", "fd01::/64"],
                presharedKey: true, persistentKeepalive: 25, latestHandshake: 1_764_000_000, rxBytes: 1_436_549,
                txBytes: 1_667_236, cipher: "aes256gcm", rttMicroseconds: 12345, lossPermille: 3,
                compression: CompressionStatistics(
                    configured: "auto", active: true, tx: ByteCounts(plainBytes: 4_194_304, wireBytes: 1_048_576),
                    rx: ByteCounts(plainBytes: 1000, wireBytes: 800),
                    codecs: ["deflate": CodecStatistics(units: 42, plainBytes: 3_145_728, wireBytes: 524_288)],
                    skipped: SkipCounts(encrypted: 7, small: 2)),
                drops: peerDrops)
        ], drops: interfaceDrops)

    static let statisticsText =
        #"{"drops":{"device":0,"frame":0,"handshake":0,"incomplete":0,"kernelReceive":0,"kernelTransmit":0,"mac1":4,"malformed":0,"noPeer":5,"notIP":0,"overflow":0,"#
        + #""rateLimited":0,"send":0,"storm":0,"unknownIndex":0},"fwmark":51820,"interface":"branch","listenPort":51820,"#
        + #""peers":[{"allowedIPs":["10.1.0.0/16","fd01::/64"],"cipher":"aes256gcm","compression":{"active":true,"#
        + #""codecs":{"deflate":{"plainBytes":3145728,"units":42,"wireBytes":524288}},"configured":"auto","#
        + #""rx":{"plainBytes":1000,"ratio":1.25,"wireBytes":800},"#
        + #""skipped":{"backoff":0,"busy":0,"encrypted":7,"exposed":0,"small":2},"#
        + #""tx":{"plainBytes":4194304,"ratio":4,"wireBytes":1048576}},"#
        + #""drops":{"allowedIPs":0,"allowedMACs":0,"authentication":0,"congestion":0,"expired":0,"frame":0,"incomplete":0,"learning":0,"#
        + #""loop":0,"malformed":1,"noEndpoint":0,"noEthernet":0,"noSession":0,"replay":3,"storm":0},"endpoint":"192.0.2.1:51820","#
        + #""latestHandshake":1764000000,"lossPermille":3,"name":"hq","persistentKeepalive":25,"presharedKey":true,"#
        + #""publicKey":"\#(a)","rttMicroseconds":12345,"rxBytes":1436549,"txBytes":1667236}],"#
        + #""publicKey":"\#(b)","uptimeSeconds":7384}"#
}
