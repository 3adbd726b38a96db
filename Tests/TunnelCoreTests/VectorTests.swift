import Addresses
import Glibc
import Keys
import Testing

@testable import TunnelCore

/// The vectors of docs/protocol.md §5. `GATEWAY_PRINT_VECTORS=1` prints them as they stand there.
@Suite struct VectorTests {
    @Test("a session between two fixed ends is, byte for byte, the one that the page about the protocol quotes")
    func vectors() throws {
        let transcript = try Transcript()
        if unsafe getenv("GATEWAY_PRINT_VECTORS") != nil {
            for (name, value) in transcript.values { print("VECTOR \(name) = \(value)") }
        }
        for (name, value) in transcript.values {
            // Another zlib may code the same packet otherwise; that it decodes is tested below.
            if name.hasPrefix("unit") { continue }
            #expect(expected[name] == value, "\(name)")
        }
        #expect(Set(expected.keys) == Set(transcript.values.map(\.0)))
    }

    @Test("the unit that the page quotes decodes to its packet")
    func unit() throws {
        let transcript = try Transcript()
        let datagram = bytes(expected["unit, datagram"] ?? "")
        transcript.link.deliver(datagram, to: transcript.bob, from: transcript.alice.endpoint)
        #expect(transcript.bob.received.last.map { hex($0) } == expected["packet"])
        #expect(transcript.bob.received.count == 2)
    }
}

/// A handshake, the exchange of HELLO, one plain packet and one unit, which is never delivered.
private struct Transcript {
    let link = Link()
    let alice: End
    let bob: End
    private(set) var values: [(String, String)] = []

    init() throws {
        alice = End(Self.key(from: 0x10), site(1).endpoint, seed: 1)
        bob = End(Self.key(from: 0x30), site(2).endpoint, seed: 2)
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
            ("key, initiator to responder", hex(alice.tunnel.sessions[session].wireGuard.sending.bytes)),
            ("key, responder to initiator", hex(alice.tunnel.sessions[session].wireGuard.receiving.bytes)),
            ("packet", hex(packet)),
        ]
        for (name, sighting) in zip(["first HELLO (asks)", "second HELLO (seen, asks)", "third HELLO (seen)"], hellos) {
            values.append(("\(name), payload", hex(sighting.payload ?? [])))
            values.append(("\(name), datagram", hex(sighting.bytes)))
        }
        values.append(("unit, payload", hex(unit.payload ?? [])))
        values.append(("unit, datagram", hex(unit.bytes)))
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
]
