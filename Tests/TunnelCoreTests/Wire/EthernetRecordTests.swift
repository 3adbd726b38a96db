import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)
private let tap = TunnelMode.frames(isHub: false)

/// Frames on the wire: docs/protocol.md §3.8.
@Suite struct EthernetRecordTests {
    @Test(
        "frames of every kind and size arrive byte for byte, those of one conversation in their order",
        arguments: [CompressionPolicy.off, CompressionPolicy(.receive), auto, CompressionPolicy(.auto, scope: .peer)],
        1...4)
    func everyKind(compression: CompressionPolicy, seed: UInt64) {
        let pair = pair(compression)
        var noise = Noise(seed: seed)
        for round in 0..<40 {
            let frames = (0..<1 + round % 30).map { frame($0 % 7, &noise) }
            pair.link.send(ethernet: frames, from: pair.alice)
            pair.link.run(for: .milliseconds(50))
            #expect(sorted(pair.bob.received) == sorted(frames))
            let others = frames.filter { !isIP($0) }
            #expect(pair.bob.received.filter { !isIP($0) } == others)
            pair.forget()
        }
        #expect(pair.drops.allSatisfy { $0 == 0 })
        guard compression.codes, let traffic = pair.bob.statistics(of: pair.alice)?.traffic else { return }
        #expect(traffic.bundles > 0 && traffic.units[1] + traffic.units[2] > 0)
    }

    @Test("a frame is one record: type, parameter 0, its length, its bytes, and zeros to a multiple of 16")
    func oneRecord() {
        let pair = pair(.off)
        for size in [14, 15, 28, 29, 60, 1400] {
            let frame = ethernet(host(1), host(2), text(size - 14))
            pair.link.send(ethernet: [frame], from: pair.alice)
            #expect(pair.link.sightings.data.last?.payload == ([0x16, 0] + little(UInt16(size)) + frame).padded)
        }
        #expect(pair.link.sightings.data.allSatisfy { $0.bytes.count % 16 == 0 })
    }

    @Test("small frames that come together share a BUNDLE with parameter 1, what compresses a UNIT of layout 2")
    func shared() throws {
        let pair = pair(auto)
        let small = (0..<5).map { ethernet(host(1), host(2), [UInt8](repeating: $0, count: 46)) }
        pair.link.send(ethernet: small, from: pair.alice)
        #expect(pair.link.sightings.data.map(\.payload) == [framesBundle(small).padded])
        pair.forget()
        let large = (0..<3).map { ethernet(host(1), host(2), ip: udp(1, 2, text(900 + $0))) }
        pair.link.send(ethernet: large, from: pair.alice)
        let unit = try #require(pair.link.sightings.data.first?.record)
        #expect(pair.link.sightings.data.count == 1)
        #expect(unit.kind == .unit && unit.layout == 2 && [1, 2].contains(unit.codec))
        #expect(unit.decodedSize == frameList(large).count)
    }

    @Test(
        "a frame that carries 1402 bytes, 1398 behind a tag, fits into one datagram of 1452; a larger one takes two",
        arguments: [(1402, [], 1), (1403, [], 2), (1398, [7], 1), (1399, [7], 2), (1500, [7, 8], 2)]
            as [(Int, [UInt16], Int)])
    func sizes(carried: Int, tags: [UInt16], datagrams: Int) {
        let pair = pair(.off)
        for end in [pair.alice, pair.bob] { end.tunnel.mtu = 1500 }
        let frame = ethernet(host(1), host(2), text(carried), tags: tags.map { $0 & 1 == 1 ? 0x8100 : 0x88a8 })
        pair.link.send(ethernet: [frame], from: pair.alice)
        #expect(pair.link.sightings.data.count == datagrams)
        #expect(pair.link.sightings.data.allSatisfy { $0.bytes.count <= 1452 && $0.isFragment == (datagrams == 2) })
        pair.link.drain()
        #expect(pair.bob.received == [frame])
    }

    @Test("frames of 14 bytes to the MTU and 22 go in and come out, others are dropped at either end and counted")
    func limits() {
        let pair = pair(.off)
        let mtu = pair.alice.tunnel.mtu
        for (size, isFrame) in [(0, false), (13, false), (14, true), (mtu + 22, true), (mtu + 23, false)] {
            let frame = Array(ethernet(host(1), host(2), text(max(size - 14, 0))).prefix(size))
            let before = pair.alice.drops(.frame)
            pair.link.send(ethernet: [frame], from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received == (isFrame ? [frame] : []))
            #expect(pair.alice.drops(.frame) - before == (isFrame ? 0 : 1))
            pair.forget()
        }
        pair.bob.tunnel.mtu = 1000
        #expect(pair.deliver(ethernetRecord(ethernet(host(1), host(2), text(1008)))) == [])
        #expect(pair.deliver(ethernetRecord(ethernet(host(1), host(2), text(1009)))) == [.frame])
        #expect(pair.bob.received.count == 1)
    }

    // MARK: What others may send

    @Test("ETHERNET, BUNDLE and UNIT, whole or in fragments, yield the frames that are in them")
    func taken() {
        let pair = pair(.off, auto)
        let frames = (0..<5).map { ethernet(host(1), host(2), text(46 + $0)) }
        let many = (0..<128).map { ethernet(host(1), host(2), [UInt8($0)]) }
        let records = [ethernetRecord(frames[0]), framesBundle(frames), framesUnit(frames), framesUnit(many)]
        for (record, expected) in zip(records, [[frames[0]], frames, frames, many]) {
            #expect(pair.deliver(record) == [])
            #expect(pair.bob.received == expected)
            pair.forget()
        }
        for (number, (record, expected)) in zip(
            [ethernetRecord(frames[0]), framesUnit(frames)], [[frames[0]], frames]
        )
        .enumerated() {
            for piece in fragmentRecords(record, number: UInt16(number), count: 3) {
                #expect(pair.deliver(piece) == [])
            }
            #expect(pair.bob.received == expected)
            pair.forget()
        }
    }

    @Test("what is no frame, or more than 128, is malformed, and the session goes on")
    func malformed() {
        let pair = pair(.off, auto)
        let frame = ethernet(host(1), host(2), text(46))
        let runt = Array(frame.prefix(13))
        let more = Array(repeating: Array(frame.prefix(14)), count: 129)
        for record in [
            ethernetRecord(runt), ethernetRecord([]), ethernetRecord(frame, parameter: 1),
            ethernetRecord(frame, parameter: 2),
            framesBundle([runt]), framesBundle([runt, frame]), framesUnit([runt]), framesBundle([frame], parameter: 0),
            framesBundle([frame], parameter: 2), framesBundle([frame], parameter: 3), record(0x12, 1, [0, 0]),
        ] {
            #expect(pair.deliver(record) == [.record], "\(record.prefix(8))")
            #expect(pair.bob.received.isEmpty)
        }
        for record in [framesBundle(more), framesUnit(more), record(0x12, 1, frameList([frame]) + [0])] {
            #expect(pair.deliver(record).contains(.record))
        }
        // Records that may not travel in fragments, even if their bodies are those of a UNIT.
        let disguised = [0x12] + framesUnit([frame, frame]).dropFirst()
        for (number, whole) in [framesBundle([frame, frame]), disguised].enumerated() {
            let pieces = fragmentRecords(whole, number: UInt16(number), count: 2)
            #expect(pair.deliver(pieces[0]) == [] && pair.deliver(pieces[1]) == [.record])
        }
        pair.forget()
        #expect(pair.deliver(ethernetRecord(frame)) == [])
        #expect(pair.bob.received == [frame])
    }

    @Test("a tunnel of frames takes no packets: plain, in a UNIT or in a BUNDLE they are malformed")
    func packetsToFrames() {
        let pair = pair(.off, auto)
        let packet = udp(1, 2, text(300))
        for payload in [packet, packet.padded, v6(0)] {
            // What the statistics call malformed.
            #expect([[.content], [.record]].contains(pair.deliver(payload)))
        }
        for payload in [unitRecord(packet), membersRecord([packet, packet]), bundleRecord([packet])] {
            #expect(pair.deliver(payload) == [.record])
        }
        #expect(pair.bob.received.isEmpty)
    }

    @Test("a tunnel of packets takes no frames", arguments: [CompressionPolicy.off, auto])
    func framesToPackets(compression: CompressionPolicy) {
        let pair = Pair(alice: Pair.Options(compression: auto), bob: Pair.Options(compression: compression))
        pair.connect()
        let frame = ethernet(host(1), host(2), ip: udp(1, 2, text(300)))
        let reason = compression == .off ? DropReason.unannounced : .record
        for payload in [ethernetRecord(frame), framesBundle([frame]), framesUnit([frame])] {
            #expect(pair.deliver(payload) == [reason])
        }
        let pieces = fragmentRecords(ethernetRecord(frame), number: 0, count: 2)
        // The first alone doesn't say what it is a piece of.
        #expect(pair.deliver(pieces[0]) == (compression == .off ? [reason] : []))
        #expect(pair.deliver(pieces[1]) == [reason])
        #expect(pair.bob.received.isEmpty)
    }

    // MARK: Who is believed

    @Test("only AllowedMACs are believed as sources, in every record; the others are counted and not learned")
    func allowedMACs() {
        let trusting = Pair.Options(compression: auto, mode: tap)
        var careful = trusting
        careful.allowedMACs = [host(1), host(1, 2)]
        let pair = Pair(alice: trusting, bob: careful)
        pair.connect()
        let good = [ethernet(host(1), host(2), text(46)), ethernet(host(1, 2), .everybody, text(46))]
        let bad = [ethernet(host(1, 3), host(2), text(46)), ethernet(host(2), host(1), text(46))]
        let mixed = [bad[0], good[0], bad[1], good[1], bad[0]]
        for record in mixed.map({ ethernetRecord($0) }) + [framesBundle(mixed), framesUnit(mixed)] {
            _ = pair.deliver(record)
        }
        #expect(pair.bob.received == good + good + good)
        // And the one of connect().
        #expect(pair.bob.drops(.allowedMACs, of: pair.alice) == 1 + 3 * 3)
        #expect(pair.bob.statistics(of: pair.alice)?.addresses == [host(1), host(1, 2)])
    }

    @Test("an empty list of AllowedMACs believes nobody, and none believes all but groups")
    func lists() {
        for (list, source, drops) in [
            ([], host(1), [.allowedMACs]), (nil, host(1), []), (nil, MACAddress.everybody, [.allowedMACs]),
            ([.everybody], .everybody, [.allowedMACs]),
        ] as [([MACAddress]?, MACAddress, [DropReason])] {
            let pair = Pair(alice: Pair.Options(mode: tap), bob: Pair.Options(mode: tap, allowedMACs: list))
            pair.connect()
            #expect(pair.deliver(ethernetRecord(ethernet(source, host(2), text(46)))) == drops)
            #expect(pair.bob.received.count == (drops.isEmpty ? 1 : 0))
        }
    }

    // MARK: Congestion

    @Test(
        "the ECN bits outside are those of the IP packet in the frame, behind up to two tags; of others none",
        arguments: [CompressionPolicy.off, auto], 0...3)
    func congestionOutside(compression: CompressionPolicy, bits: UInt8) {
        let pair = pair(compression)
        for tags in [[], [0x8100], [0x88a8, 0x8100]] as [[UInt16]] {
            for packet in [v4(bits), v6(bits)] {
                pair.link.send(ethernet: [ethernet(host(1), host(2), ip: packet, tags: tags)], from: pair.alice)
                #expect(pair.link.sightings.data.last?.trafficClass == bits)
            }
        }
        for frame in [
            ethernet(host(1), host(2), v4(bits)), ethernet(host(1), host(2), v4(bits), type: 0x0806),
            ethernet(host(1), host(2), ip: v4(bits), tags: [0x8100, 0x8100, 0x8100]),
        ] {
            pair.link.send(ethernet: [frame], from: pair.alice)
            #expect(pair.link.sightings.data.last?.trafficClass == 0)
        }
        #expect(pair.link.sightings.data.count == 9)
    }

    @Test("congestion outside marks the IP packet in a frame, or drops it if it can't be marked; others pass")
    func congestionInside() {
        let pair = pair(.off, auto)
        for tags in [[], [0x8100], [0x88a8, 0x8100]] as [[UInt16]] {
            func frame(_ packet: [UInt8]) -> [UInt8] { ethernet(host(1), host(2), ip: packet, tags: tags) }
            for form in [{ ethernetRecord($0[0]) }, { framesBundle($0) }, { framesUnit($0) }]
                as [([[UInt8]]) -> [UInt8]]
            {
                for packet in [v4, v6] {
                    for bits in 1...3 as ClosedRange<UInt8> {
                        #expect(pair.deliver(form([frame(packet(bits))]), trafficClass: 3) == [])
                        #expect(pair.bob.received == [frame(packet(3))])
                        pair.forget()
                    }
                    #expect(pair.deliver(form([frame(packet(0))]), trafficClass: 3) == [.congestion])
                    let other = ethernet(host(1), host(2), packet(0), tags: tags)
                    #expect(pair.deliver(form([other]), trafficClass: 3) == [])
                    #expect(pair.bob.received == [other])
                    pair.forget()
                }
            }
        }
    }

    // MARK: What the tests use

    private func pair(_ first: CompressionPolicy, _ second: CompressionPolicy? = nil) -> Pair {
        let pair = Pair(
            alice: Pair.Options(compression: first, mode: tap),
            bob: Pair.Options(compression: second ?? first, mode: tap))
        pair.connect()
        return pair
    }

    /// Text and noise in IP, with tags, with zeros behind the packet as short frames have them; ARP; LLC; what nobody knows.
    private func frame(_ kind: Int, _ noise: inout Noise) -> [UInt8] {
        let content = noise.next() % 2 == 0 ? text(Int(noise.next() % 1300)) : noise.bytes(Int(noise.next() % 1300))
        switch kind {
        case 0: return ethernet(host(1), host(2), ip: udp(1, 2, content))
        case 1: return ethernet(host(1), host(2), ip: Segment(isV6: true, payload: content).bytes)
        case 2: return ethernet(host(1), host(2), ip: udp(1, 2, content), tags: [0x88a8, 0x8100])
        case 3: return ethernet(host(1), host(2), ip: udp(1, 2, [1]) + [UInt8](repeating: 0, count: 17))
        case 4: return ethernet(host(1), .everybody, noise.bytes(46), type: 0x0806)
        case 5: return ethernet(host(1), .everybody, content, type: UInt16(content.count))
        default: return ethernet(host(1), .everybody, noise.bytes(Int(noise.next() % 100)))
        }
    }

    private func v4(_ bits: UInt8) -> [UInt8] {
        packet(site(1).v4, site(2).v4, transport: 17, ports: (4000, 4000), text(300), congestion: bits)
    }

    private func v6(_ bits: UInt8) -> [UInt8] {
        packet(site(1).v6, site(2).v6, transport: 17, ports: (4000, 4000), text(300), congestion: bits)
    }

    private func isIP(_ frame: [UInt8]) -> Bool { EthernetFrame(unsafe frame.span.bytes)?.isIP == true }

    private func sorted(_ frames: [[UInt8]]) -> [[UInt8]] { frames.sorted { $0.lexicographicallyPrecedes($1) } }
}
