import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// What stands in a HELLO, docs/protocol.md §3.1.
@Suite struct HelloContentTests {
    @Test("a HELLO is written as the page says")
    func written() throws {
        let pair = Pair(auto, auto)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        let payload = try #require(pair.link.sightings.hellos.first?.payload)
        #expect(
            payload
                == [
                    0x10, 1, 21, 0, 2, 1, 2, 1, 2, 2, 4, 0xff, 0xff, 0, 0, 4, 8, 0x12, 0x13, 0x14, 0x15, 0x17, 0x18,
                    0x19, 0x1a,
                ].padded)
        #expect(pair.alice.events.contains(.peerAnnounced(pair.bob.publicKey, .all, .chacha20poly1305, version: 1)))
    }

    @Test("a newer version with flags, options and codecs that nobody knows is read as far as we know it")
    func newer() throws {
        let options: [[UInt8]] = [
            [1, 3, 200, 1, 201], [1, 1, 1, 99, 0], [77, 3, 1, 2, 3, 1, 1, 1], [1, 1, 1] + [2, 4, 0, 0, 1, 0],
            [250, 0] + codecsOption, [1, 0] + codecsOption, codecsOption,
        ]
        for option in options {
            let pair = Pair(auto, auto)
            pair.bob.mute(to: pair.alice, in: pair.link)
            let hello = try #require(
                pair.bob.seal(
                    helloRecord(flags: 0xff, version: 9, options: option).padded, to: pair.alice))
            pair.link.deliver(hello, to: pair.alice, from: pair.bob.endpoint)
            #expect(pair.alice.drops(.record, of: pair.bob) == 0, "\(option)")
            #expect(pair.alice.statistics(of: pair.bob)?.compresses == true, "\(option)")
            let codecs = CodecSet(.deflate)
            #expect(
                pair.alice.events.contains(.peerAnnounced(pair.bob.publicKey, codecs, .chacha20poly1305, version: 9)))
        }
    }

    @Test("a HELLO without codecs, or with none that we know, gets plain packets")
    func noCodecs() throws {
        for options in [[], [1, 0], [1, 2, 7, 255], unitOption(1000)] as [[UInt8]] {
            let pair = Pair(auto, auto)
            pair.bob.mute(to: pair.alice, in: pair.link)
            let hello = try #require(pair.bob.seal(helloRecord(options: options).padded, to: pair.alice))
            pair.link.deliver(hello, to: pair.alice, from: pair.bob.endpoint)
            pair.forget()
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            #expect(pair.link.sightings.data.summary == ["packet"])
            #expect(pair.alice.drops(.record, of: pair.bob) == 0)
        }
    }

    @Test("no unit is larger than what the peer says that it decodes")
    func maximumUnit() throws {
        let pair = Pair(auto, auto)
        pair.bob.mute(to: pair.alice, in: pair.link)
        let hello = try #require(
            pair.bob.seal(HelloBuilder(asks: true, maximumUnit: 600).bytes.padded, to: pair.alice))
        pair.link.deliver(hello, to: pair.alice, from: pair.bob.endpoint)
        pair.forget()
        pair.link.send(udp(1, 2, text(600 - 28)), from: pair.alice)
        pair.link.send(udp(1, 2, text(601 - 28)), from: pair.alice)
        #expect(pair.link.sightings.data.summary == ["unit", "packet"])
    }

    @Test(
        "a malformed HELLO is dropped and counted, and says nothing",
        arguments: [
            [], [2, 1], [2, 1, 1], [2, 1, 2, 1], [2, 2, 3, 0, 0, 0], [2, 2, 5, 0, 0, 0, 0, 0], [2, 2, 0],
            [2, 1, 1, 1, 9], [2, 1, 1, 1, 9, 1], [2, 1, 1, 1, 2, 255, 0, 0],
        ] as [[UInt8]])
    func malformed(body: [UInt8]) throws {
        let pair = Pair(auto, auto)
        pair.bob.mute(to: pair.alice, in: pair.link)
        pair.forget()
        let hello = try #require(pair.bob.seal(record(0x10, 1, body).padded, to: pair.alice))
        pair.link.deliver(hello, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.drops(.record, of: pair.bob) == 1)
        #expect(pair.alice.statistics(of: pair.bob)?.compresses == false)
        #expect(pair.link.sightings.summary == [])
    }
}

extension End {
    /// Makes a session with `other` on which this end is never heard to say HELLO.
    func mute(to other: End, in link: Link) {
        let endpoint = endpoint
        link.rule = { $0.isHello && $0.from == endpoint ? .drop : .deliver }
        link.send(udp(1, 2, payload: 10), from: other)
        link.run(for: .seconds(5))
    }
}
