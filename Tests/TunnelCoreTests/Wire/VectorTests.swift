import Addresses
import Glibc
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// The vectors of docs/protocol.md §6. `GATEWAY_PRINT_VECTORS=1` prints them as they stand there.
@Suite struct VectorTests {
    @Test("a session between two fixed ends is, byte for byte, the one that the page about the protocol quotes")
    func vectors() throws {
        let transcript = try Transcript()
        if unsafe getenv("GATEWAY_PRINT_VECTORS") != nil {
            for (name, value) in transcript.values { print("VECTOR \(name) = \(value)") }
        }
        for (name, value) in transcript.values {
            // Another zlib or zstd may code the same packets otherwise; that it decodes is tested below.
            if Self.isCoded(name) { continue }
            #expect(expected[name] == value, "\(name)")
        }
        #expect(Set(expected.keys) == Set(transcript.values.map(\.0)))
    }

    @Test("the units, the bundle and the fragments that the page quotes decode to their packets")
    func decoding() throws {
        let transcript = try Transcript(endsWithFirstSession: true)
        for (names, packets) in [
            (["unit, datagram"], ["packet"]),
            (["unit of members, datagram"], ["first of two packets", "second of two packets"]),
            (["bundle, datagram"], ["first acknowledgement", "second acknowledgement"]),
            (["first fragment, datagram", "second fragment, datagram"], ["packet in fragments"]),
        ] {
            transcript.bob.received = []
            for name in names {
                transcript.link.deliver(
                    bytes(expected[name] ?? ""), to: transcript.bob, from: transcript.alice.endpoint)
            }
            #expect(transcript.bob.received.map { hex($0) } == packets.map { expected[$0] ?? "" }, "\(names)")
        }
    }

    /// What depends on the version of a library.
    private static func isCoded(_ name: String) -> Bool {
        ["unit, ", "unit of members, payload", "unit of members, datagram", "first fragment", "second fragment"]
            .contains { name.hasPrefix($0) }
    }
}

/// A handshake, the exchange of HELLO and one plain packet; records with packets, which are never delivered; then as many
/// packets as it takes for a REPORT, and a PING with its answer; on the next session, a packet with a CONFIRM and what answers it.
private struct Transcript {
    let link = Link()
    let alice: End
    let bob: End
    private(set) var values: [(String, String)] = []

    init(endsWithFirstSession: Bool = false) throws {
        alice = End(Self.key(from: 0x10), site(1).endpoint, seed: 1)
        bob = End(Self.key(from: 0x30), site(2).endpoint, seed: 2)
        for end in [alice, bob] { end.tunnel.services.clockOffsets = ClockOffsets() }
        link.add(alice)
        link.add(bob)
        var preshared = Bytes32 { UInt8(0x50 + $0) }
        let presharedKey = PresharedKey(consuming: &preshared)
        for (end, other, place) in [(alice, bob, site(2)), (bob, alice, site(1))] {
            let deflate = CompressionPolicy(.codec(.deflate))
            let options = Pair.Options(presharedKey: presharedKey, compression: deflate, repairs: false)
            link.change(end) { tunnel, now in
                tunnel.setPeer(other.publicKey, Pair.configuration(place, options), at: now)
            }
        }
        let packet = udp(1, 2, text(160))
        let timestamp = TAI64N(link.now(at: alice).wall, after: .zero)
        link.send(packet, from: alice)
        link.run(for: .seconds(1))
        let exchange = link.sightings
        link.rule = { _ in .drop }
        link.send(packet, from: alice)
        let unit = try #require(link.sightings.last { $0.isUnit })
        let records = try Records(link, alice, bob)
        let session = try #require(alice.sessions(with: bob.publicKey).first)
        let hellos = exchange.hellos

        values = [
            ("initiator, static private key", alice.key.hex), ("initiator, static public key", alice.publicKey.hex),
            ("responder, static private key", bob.key.hex), ("responder, static public key", bob.publicKey.hex),
            ("preshared key", presharedKey.hex),
            ("initiator, ephemeral private key", Self.ephemeral(seed: 1)),
            ("responder, ephemeral private key", Self.ephemeral(seed: 2)),
            ("timestamp", hex(timestamp.bytes)),
            ("initiation", hex(try #require(exchange.initiations.first).bytes)),
            ("response", hex(try #require(exchange.first { $0.isResponse }).bytes)),
            ("key, initiator to responder", hex(alice.tunnel.services.sessions[session].wireGuard.sending.bytes)),
            ("key, responder to initiator", hex(alice.tunnel.services.sessions[session].wireGuard.receiving.bytes)),
            ("packet", hex(packet)),
        ]
        for (name, sighting) in zip(["first HELLO (asks)", "second HELLO (seen)"], hellos) {
            values.append(("\(name), payload", hex(sighting.payload ?? [])))
            values.append(("\(name), datagram", hex(sighting.bytes)))
        }
        values.append(("unit, payload", hex(unit.payload ?? [])))
        values.append(("unit, datagram", hex(unit.bytes)))
        values += records.values

        guard !endsWithFirstSession else { return }
        link.run(for: .seconds(200))
        link.sightings = []
        link.send(packet, from: alice)
        link.run(for: .seconds(2))
        let confirming = link.sightings.filter { $0.confirms != nil }
        for (name, sighting) in zip(["packet and CONFIRM", "CONFIRM (seen)"], confirming) {
            values.append(("\(name), payload", hex(sighting.payload ?? [])))
        }
    }

    /// The records that carry several packets, and those about the way.
    private struct Records {
        private(set) var values: [(String, String)] = []

        init(_ link: Link, _ alice: End, _ bob: End) throws {
            link.change(alice) { tunnel, now in
                tunnel.setOptions(CompressionPolicy(.codec(.zstd)), .chacha20poly1305, of: bob.publicKey, at: now)
            }
            var segment = Segment(identifier: 0x00ff, ports: (5000, 6000), payload: text(150))
            let first = segment.bytes
            (segment.identifier, segment.sequence, segment.window) = (0x0100, segment.sequence + 150, 501)
            segment.payload = Array(text(300).suffix(150))
            let packets = [first, segment.bytes]
            link.send(together: packets, from: alice)
            let unit = try #require(link.sightings.last { $0.isUnit })
            var model = RecordModel()
            #expect(model.read(unit.payload ?? [])?.packets == packets)
            values = [
                ("first of two packets", hex(packets[0])), ("second of two packets", hex(packets[1])),
                ("unit of members, decoded", hex(writeMembers(packets.map { Member(packet: $0) }))),
            ]
            add("unit of members", unit)

            segment = Segment(identifier: 0x2000, ports: (6000, 5000))
            let acknowledgement = segment.bytes
            (segment.identifier, segment.acknowledgement) = (0x2001, segment.acknowledgement + 2896)
            link.send(together: [acknowledgement, segment.bytes], from: alice)
            values.append(("first acknowledgement", hex(acknowledgement)))
            values.append(("second acknowledgement", hex(segment.bytes)))
            add("bundle", try #require(link.sightings.last { $0.isBundle }))

            var noise = Noise(seed: 1)
            let letters = noise.bytes(300).map { Array("0123456789abcdef".utf8)[Int($0 & 15)] }
            let packet = udp(1, 2, letters, port: 4001)
            alice.tunnel.mtu = 128
            link.send(packet, from: alice)
            alice.tunnel.mtu = 1420
            let fragments = link.sightings.filter(\.isFragment)
            try #require(fragments.count == 2)
            values.append(("packet in fragments", hex(packet)))
            add("first fragment", fragments[0])
            add("second fragment", fragments[1])

            link.rule = { _ in .deliver }
            while link.sightings.pings.count < 2, link.sightings.count < 1000 {
                link.send(udp(1, 2, payload: 1372, port: 443), from: alice)
                link.run(for: .milliseconds(1))
            }
            add("report", try #require(link.sightings.reports.first))
            add("ping", try #require(link.sightings.pings.first))
            add("answer", try #require(link.sightings.pings.last))
        }

        private mutating func add(_ name: String, _ sighting: Sighting) {
            values.append(("\(name), payload", hex(sighting.payload ?? [])))
            values.append(("\(name), datagram", hex(sighting.bytes)))
        }
    }

    /// The key of the bytes `first`, `first + 1` and so on.
    private static func key(from first: UInt8) -> PrivateKey {
        var bytes = Bytes32 { first + UInt8($0) }
        return PrivateKey(consuming: &bytes)
    }

    /// What the engine of the end with this seed draws first.
    private static func ephemeral(seed: UInt64) -> String {
        var randomness = Randomness(seed: seed ^ 0xff00)
        var bytes: Bytes32 = randomness.bytes()
        return PrivateKey(consuming: &bytes).hex
    }
}

private let expected: [String: String] = [
    "initiator, static private key": "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e6f",
    "initiator, static public key": "d89e3bad79437dbed9f843418304f460ff05c7fe81fe4a9577a804cb9367ff66",
    "responder, static private key": "303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
    "responder, static public key": "34e42d4af5ef94a07a3a84201b889d4cd1a743cb27b11b6a10438a8feb8e5847",
    "preshared key": "505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f",
    "initiator, ephemeral private key": "885d7e023fea90908bfc4015df1f35101664483b618e21ccbaa6d6fac4320665",
    "responder, ephemeral private key": "b8ba7f4d474cc57eaffb44c4ba4772adf68cbb9cb4b8c7ae91a013b61f98f167",
    "timestamp": "400000006553f4f200000000",
    "initiation":
        "01000000ccf0a0f19ecf7d285ffd6a3f84487af642440cabf2b40ba472384e86e6d782067527642da68410af6caedaf5"
        + "cda9a2a4c89a7fa0754b9f57fd0736b0b009a180a061f04ab20ec2057d7a65e4e6387a4726aa6e2e72de9f1cc65d424a"
        + "1c0ec9729a924d20471585edb0839fdbe742c5b5ca5a0ac3c1b4d2144f1173337a2dc336000000000000000000000000"
        + "00000000",
    "response":
        "02000000f06b2686ccf0a0f1b728245f7a39532afcd2ae9a18a5f057d3c5b1d8501331c8874d70aec2e906015f79d629"
        + "4baf7b42dc0c8120ceed0ef2814c1787bdad1f1df0194bbc06bcfb0700000000000000000000000000000000",
    "key, initiator to responder": "70139c3271f38ee9efa2701d1af74684a9dbe3d6f0de3595ca174e615c1aff09",
    "key, responder to initiator": "94842c39a2e2c378646b5dc707bc99edc50d05d52c3e611806d17a705606b66c",
    "packet":
        "450000bc000000004011662f0a0000010a0000020fa00fa0000000004e6f762032332030363a31303a30206761746577"
        + "617920737368645b3831325d3a204163636570746564207075626c69636b657920666f7220726f6f742066726f6d2031"
        + "302e302e302e310a4e6f762032332030363a31303a31206761746577617920737368645b3831325d3a20416363657074"
        + "6564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e310a4e6f762032332030",
    "first HELLO (asks), payload": "1001120002010201020204ffff00000405121314151700000000000000000000",
    "first HELLO (asks), datagram":
        "04000000f06b268600000000000000006733d7fbb3a14c7d4fd507fcfebc13daa7ef43f161f63269e602d0654f7bd4aa"
        + "2ab1bbfdd312dec3262c475860c7c228",
    "second HELLO (seen), payload": "1001120001010201020204ffff00000405121314151700000000000000000000",
    "second HELLO (seen), datagram":
        "04000000ccf0a0f10000000000000000b9767bfaa328bd02c0722e458a8655bb0d255ca60697ad1cf247aa2f2a9dd567"
        + "d7a383911555baed806be6813842fd6d",
    "unit, payload":
        "11016a00bc00736560d8c300040e8269fa5c0c0c8c40ccc4bf807f0148cc2fbf4cc1c858c1c0cccad0c0ca40213db124"
        + "b53cb152a1b8382325dac2d028d64ac1313939b5a0243545a1a034292733393bb552212dbf48a1283fbf4421ad283f57"
        + "c1d0400f040db950cc32a48e59000000",
    "unit, datagram":
        "04000000f06b2686020000000000000000f5a55988d04a95346fba62f62b5f70b0be73901cbd21e81fbe53973c961103"
        + "cc31ac4d5631e9c725e19888ed4b88ef4173ca5cf3aabe456e055841449dda74fc79fa901a016cec54296deb9a8e0fe1"
        + "adf95317dc1ac3acdea9b23cd451ef5f1cb2bdbbbdc5056bc102a7a63cbd50bf3ffd1a2f958eb7d9acb0e4c61ff0c81c",
    "first of two packets":
        "450000be00ff4000400625390a0000010a000002138817700102030477777777501001f44d6000004e6f762032332030"
        + "363a31303a30206761746577617920737368645b3831325d3a204163636570746564207075626c69636b657920666f72"
        + "20726f6f742066726f6d2031302e302e302e310a4e6f762032332030363a31303a31206761746577617920737368645b"
        + "3831325d3a204163636570746564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e",
    "second of two packets":
        "450000be01004000400625380a0000010a000002138817700102039a77777777501001f54be90000310a4e6f76203233"
        + "2030363a31303a32206761746577617920737368645b3831325d3a204163636570746564207075626c69636b65792066"
        + "6f7220726f6f742066726f6d2031302e302e302e310a4e6f762032332030363a31303a33206761746577617920737368"
        + "645b3831325d3a204163636570746564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e",
    "unit of members, decoded":
        "00450000be00ff4000400625390a0000010a000002138817700102030477777777501001f44d6000004e6f7620323320"
        + "30363a31303a30206761746577617920737368645b3831325d3a204163636570746564207075626c69636b657920666f"
        + "7220726f6f742066726f6d2031302e302e302e310a4e6f762032332030363a31303a3120676174657761792073736864"
        + "5b3831325d3a204163636570746564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e01"
        + "960180800801f5310a4e6f762032332030363a31303a32206761746577617920737368645b3831325d3a204163636570"
        + "746564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e310a4e6f762032332030363a31"
        + "303a33206761746577617920737368645b3831325d3a204163636570746564207075626c69636b657920666f7220726f"
        + "6f742066726f6d2031302e302e",
    "unit of members, payload":
        "11129a005d0100009d0400040800450000be00ff4000400625390a0000010a0000021388177001020304777777775010"
        + "01f44d6000004e6f762032332030363a31303a30206761746577617920737368645b3831325d3a204163636570746564"
        + "207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e310a3101960180800801f53233060007"
        + "a7800e02d2bd42c70189d5cf11a20000",
    "unit of members, datagram":
        "04000000f06b26860300000000000000c7ab935d44d30bdfcef5b211a478186163e61283b1627898a5e3d398149e1163"
        + "9f3b966dd60de739b16ed543d5706978cdc6237ffaff22b40354c8740c9e71ddf65b3ea2e4c522a67fdb63c7648da4c4"
        + "a4001344a0ab15e509e7fe8802332159bfbda0374717da7a6c026008609dc0d7b7fb8216fa87707af00101c42733c7b2"
        + "8d8246228f1ba36573e2efff48c4e554db630342c4847a1630f097c9b69c61cd2894a7e00c5c974f5778a2e54db2a33f",
    "first acknowledgement": "4500002820004000400606ce0a0000010a000002177013880102030477777777501001f47bf10000",
    "second acknowledgement": "4500002820014000400606cd0a0000010a0000021770138801020304777782c7501001f470a10000",
    "bundle, payload":
        "12003000004500002820004000400606ce0a0000010a000002177013880102030477777777501001f47bf10000010080"
        + "800282c7000000000000000000000000",
    "bundle, datagram":
        "04000000f06b26860400000000000000649ca9067c4225f99ed4b5a342a8f2b9f80beadabeab83b738b1039f1b268b66"
        + "7df7cda702637a6d67834bee6e4c10ce6710c10d50c0853024f204e6439c9e787eeb96850b31b205b2ed983a7fabd7e3",
    "packet in fragments":
        "4500014800000000401165a30a0000010a0000020fa10fa1000000003735643632343466663334343835303039376536"
        + "353339653438396462333238613138316435653964633331343536343530396132346366316535646363633862336364"
        + "356330663564653962363032353037663361656161353139666435346465303864343066306464363662353435633462"
        + "643666663832643461313931326131316461313763643663663937336466373230363135656366663838383030613234"
        + "643364613866326466663561383937386633303539343038636564373733316531343761643065383661396435633837"
        + "396436613630323463633237363330643239663166303831613331633963306130383832333136353337353230653033"
        + "34656165346262313036323166383135333663636461313564303461663265336662633631636361",
    "first fragment, payload":
        "130076000000e00000021102dc0048010000ad060086543419a025850efeff9f6577e2cda62f3c852bc9e6df7fca7b7f"
        + "230133002a002a0046ab72866753dcead793b349355ad35cebd0858a5c9ad5bf19619f0821840282020200210c0c4218"
        + "28e001048410028141181062b667964667ad29ffb187f1d90dc4000000000000",
    "first fragment, datagram":
        "04000000f06b26860500000000000000f64ba190144cb4b998971d447b3459a06ce55ef91f58823d0f32c8f693fa12a6"
        + "0b9302807300491bc21319f201beda23668e29c433e77e2e70b54840a80ade0f78c4f0a4f7555af457f2101794f6f069"
        + "6cea3001007c2fa257306843018ceccfcbf4d4f28acddab55c79b9494845e08cbc93597ea8c22de4db607852ce7adc6a"
        + "3617400ea17f4a70f6e8a9ccbfb10ce9",
    "second fragment, payload":
        "130076000000e00001026e79b14ef1b6ebd7b95ddf7a21478243bdef85afb94632739fcf73828bad22f95a17d3a557d8"
        + "f89410ed9c627a529f4273efbfe973bbda684532f39ffd0685c477097dc6e6cb3cc8e3cbe9d7a46fb699b16ef2875066"
        + "0cf3752b71a11375384599b2c2ca533b293fafd4522888d92800000000000000",
    "second fragment, datagram":
        "04000000f06b268606000000000000005f15363f99b4daff379db897ef004b2da7d1e2513939b6917073946f60dc8e69"
        + "0304f83cae319da854094aac0ab9f0a5d91acebc5209cd869c44d07ce43035f48b8ec67489134846c2b53fe09db45faa"
        + "07220aa222996df66ba8dfff096e6c861b903fa9eeb6e801dc8bf4fbc4a30c52b7e40d93a013540614e5506e7748e5b3"
        + "f9db2636991e5ec0ce1919f701bd407f",
    "report, payload":
        "140028005100000000000000ffffffffffffffff4d0000000000000000a70100000000006054ab3b0000000000000000",
    "report, datagram":
        "04000000ccf0a0f10100000000000000b5480e022b66f20678f384aea9f67ff1a415748f5b11d7c2c8b2570925674003"
        + "cef5b965bf3a1a25c6a3272d38570e2ec7dfe1cb64866149dec8d94b31952b03",
    "ping, payload": "15000800802dda15e900000000000000",
    "ping, datagram":
        "04000000f06b26866500000000000000a2263ba5aa4239ebd9469343a695d50e3e57e745ac8441a3c05b4ff7c31e427c",
    "answer, payload": "15010800802dda15e900000000000000",
    "answer, datagram":
        "04000000ccf0a0f102000000000000003cc0a7e09100e493f14b20599b4534647df36ac38577bc65fd86e81ea13dfe8c",
    "packet and CONFIRM, payload":
        "450000bc000000004011662f0a0000010a0000020fa00fa0000000004e6f762032332030363a31303a30206761746577"
        + "617920737368645b3831325d3a204163636570746564207075626c69636b657920666f7220726f6f742066726f6d2031"
        + "302e302e302e310a4e6f762032332030363a31303a31206761746577617920737368645b3831325d3a20416363657074"
        + "6564207075626c69636b657920666f7220726f6f742066726f6d2031302e302e302e310a4e6f76203233203017000400"
        + "90633369000000000000000000000000",
    "CONFIRM (seen), payload": "17010400906333690000000000000000",
]
