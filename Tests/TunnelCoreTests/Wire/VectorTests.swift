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
        let transcript = try Transcript()
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
/// packets as it takes for a REPORT, and a PING with its answer.
private struct Transcript {
    let link = Link()
    let alice: End
    let bob: End
    private(set) var values: [(String, String)] = []

    init() throws {
        alice = End(Self.key(from: 0x10), site(1).endpoint, seed: 1)
        bob = End(Self.key(from: 0x30), site(2).endpoint, seed: 2)
        for end in [alice, bob] { end.tunnel.services.clockOffsets = ClockOffsets() }
        link.add(alice)
        link.add(bob)
        var preshared = Bytes32 { UInt8(0x50 + $0) }
        let presharedKey = PresharedKey(consuming: &preshared)
        for (end, other, place) in [(alice, bob, site(2)), (bob, alice, site(1))] {
            let deflate = CompressionPolicy(.codec(.deflate))
            let options = Pair.Options(presharedKey: presharedKey, compression: deflate)
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
        for (name, sighting) in zip(["first HELLO (asks)", "second HELLO (seen, asks)", "third HELLO (seen)"], hellos) {
            values.append(("\(name), payload", hex(sighting.payload ?? [])))
            values.append(("\(name), datagram", hex(sighting.bytes)))
        }
        values.append(("unit, payload", hex(unit.payload ?? [])))
        values.append(("unit, datagram", hex(unit.bytes)))
        values += records.values
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
    "first HELLO (asks), payload": "1001110002010201020204ffff00000404121314150000000000000000000000",
    "first HELLO (asks), datagram":
        "04000000f06b268600000000000000006733d4fbb3a14c7d4fd507fcfebc13daa6ef43f161e13269e602d0654f7bd4aa"
        + "a490f489f11a9925d852a99faa947289",
    "second HELLO (seen, asks), payload": "1001110003010201020204ffff00000404121314150000000000000000000000",
    "second HELLO (seen, asks), datagram":
        "04000000ccf0a0f10000000000000000b97678faa128bd02c0722e458a8655bb0c255ca60680ad1cf247aa2f2a9dd567"
        + "ec56bd98ca0534fbacfe40969b8fce97",
    "third HELLO (seen), payload": "1001110001010201020204ffff00000404121314150000000000000000000000",
    "third HELLO (seen), datagram":
        "04000000f06b2686020000000000000001f5de5935d13bf156b57d9d0d25dd1d4ef06c8885fded2ca03e2c96745a3ebc"
        + "91eadd0caa80ed84a69424ec85a1e3da",
    "unit, payload":
        "11016a00bc00736560d8c300040e8269fa5c0c0c8c40ccc4bf807f0148cc2fbf4cc1c858c1c0cccad0c0ca40213db124"
        + "b53cb152a1b8382325dac2d028d64ac1313939b5a0243545a1a034292733393bb552212dbf48a1283fbf4421ad283f57"
        + "c1d0400f040db950cc32a48e59000000",
    "unit, datagram":
        "04000000f06b26860300000000000000c7b8635da5d278ba33297115a876df0899041e707d22f45a3f5aa6995c5334dc"
        + "d3f84dbd00bd2af162aa6874833a884c790edf4d5b4754f850ae389704780d26f6523d2764867697bb0c369763cdee97"
        + "75090a582dbe8eed773bd9ccdf6f7b6a5e1d955a2f730041c549e4e056efe0a52735ebe91be127497403608e5c26fa62",
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
        "04000000f06b26860400000000000000678e0306210625f92bf0b5e74ae8b1bf36bfea25ffa1c3b11f9f798c93268365"
        + "7982a95862436b6e90fccd99193a405ee6e60eaa50c0cb5f52d236d563aca842455c94734093cc0271d7277576c2ee0a"
        + "38b7f5a49a1133c26cbdb65677ea60b4a230e11660a9b284194fd73b259822d0cf31321890656c6e2339a6f22cbdde3b"
        + "c1c725a70547281733700c5672a6fb31839ef81a2c1e489404a90a0cb40957f4eb418dbd97b6c42b73efeec85fc91ebf",
    "first acknowledgement": "4500002820004000400606ce0a0000010a000002177013880102030477777777501001f47bf10000",
    "second acknowledgement": "4500002820014000400606cd0a0000010a0000021770138801020304777782c7501001f470a10000",
    "bundle, payload":
        "12003000004500002820004000400606ce0a0000010a000002177013880102030477777777501001f47bf10000010080"
        + "800282c7000000000000000000000000",
    "bundle, datagram":
        "04000000f06b26860500000000000000f74be790140954b9b0b50c06a77417a7a2eff3ff1ed4d60914859d601505ef3a"
        + "6a93973aa27f659f1da10e2d7e75a1dcc58d980319e7542e361e3ac6cf5902e50a51b7ee361774e70a852d919e5c72b6",
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
        "04000000f06b268606000000000000005f15363f99b4daff369dc7ec824ef29a4c06f60ae6c5c3e2eb900c05eb8dc8b0"
        + "5400853e7b9c2a805d39f664a6d6dc02028fed51e46b9dd445add1153c8a9aa58675300f4fd6661caca1cd63bce86cde"
        + "228b7661eacacb1bdf336eb0f7e57ef83f834b861b07f9f5a5d67d2bb00ec92ff9768bb843bc2d063121506e7748e5b3"
        + "f34544615ceb5ccbce8d97da8f3d0c0b",
    "second fragment, payload":
        "130076000000e00001026e79b14ef1b6ebd7b95ddf7a21478243bdef85afb94632739fcf73828bad22f95a17d3a557d8"
        + "f89410ed9c627a529f4273efbfe973bbda684532f39ffd0685c477097dc6e6cb3cc8e3cbe9d7a46fb699b16ef2875066"
        + "0cf3752b71a11375384599b2c2ca533b293fafd4522888d92800000000000000",
    "second fragment, datagram":
        "04000000f06b2686070000000000000076a82a9018ab22f662fcf63996941ac06f7a8961e2bbf25c4bf1c9506d0af128"
        + "44fc9dcab6319400fcfd6ee96dae4e96072971482d88a90e1633a82c98ceb97af5d10a0a41bb41d4677e2e11ee7668bd"
        + "6783d0278098a4aa5570a1a4079a933b91c6657ccb12cf61a9b63f943a2e0c3dd64436046f39f7c8d29dbed697c32dbc"
        + "23ccdc4630a3690d8f05e5cc78bd5785",
    "report, payload":
        "140028005200000000000000ffffffffffffffff4e0000000000000040a70100000000006054ab3b0000000000000000",
    "report, datagram":
        "04000000ccf0a0f10100000000000000b5480e022866f20678f384aea9f67ff1a415748f5811d7c2c8b2570965674003"
        + "cef5b965bf3a1a25c6a3272d38570e2ee5a253e0bd8ce52b41ceaea2e30279e5",
    "ping, payload": "15000800802dda15e900000000000000",
    "ping, datagram":
        "04000000f06b268666000000000000003c6f71e092eb2b4dcddf76a4c74d83352c82126ad809ea05af4f53adbb9510fc",
    "answer, payload": "15010800802dda15e900000000000000",
    "answer, datagram":
        "04000000ccf0a0f102000000000000003cc0a7e09100e493f14b20599b4534647df36ac38577bc65fd86e81ea13dfe8c",
]
