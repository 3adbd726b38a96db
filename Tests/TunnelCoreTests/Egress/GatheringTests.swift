import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)
private let both = [Codec.deflate, .zstd]

/// What a gateway makes of packets that its device brings in one drain.
@Suite struct GatheringTests {
    @Test(
        "whatever traffic there is, every flow arrives whole and in order, and every record keeps to the page",
        arguments: [576, 1280, 1420, 9000], [0, 1, 2] as [UInt64])
    func anyTraffic(mtu: Int, seed: UInt64) {
        let hub = Hub(mtu: mtu, seed: seed)
        var traffic = DrainSource(mtu: mtu, seed: seed &+ UInt64(mtu))
        for _ in 0..<40 {
            let frames = traffic.drain()
            hub.carry(frames)
        }
        #expect(hub.units > 50 && hub.bundles > 1 && hub.plain > 20)
        #expect(hub.dropped == 0)
    }

    @Test("with every codec and cipher", arguments: [Codec.deflate, .zstd], [true, false])
    func anyCodec(codec: Codec, hasAES: Bool) {
        let hub = Hub(mtu: 1420, seed: 9, CompressionPolicy(.codec(codec)), cipher: hasAES ? .auto : .chacha20poly1305)
        var traffic = DrainSource(mtu: 1420, seed: 9)
        for _ in 0..<15 { hub.carry(traffic.drain()) }
        #expect(hub.units > 30 && hub.dropped == 0)
        #expect(hub.codecs == [codec.rawValue])
    }

    @Test("a packet that is alone is what WireGuard sends, byte for byte")
    func alone() {
        let plain = Pair()
        let gathering = Pair(auto, auto)
        for pair in [plain, gathering] { pair.connect() }
        var source = PacketSource(seed: 3)
        for round in 0..<600 {
            let packet = round % 2 == 0 ? source.members(count: 1)[0].packet : udp(1, 2, payload: round)
            guard packet.count <= 420 else { continue }
            for pair in [plain, gathering] { pair.link.send(packet, from: pair.alice) }
        }
        let payloads = [plain, gathering].map { $0.link.sightings.data.filter { !$0.isUnit }.map(\.payload) }
        let compressed = gathering.link.sightings.data.filter(\.isUnit).count
        #expect(payloads[1].count > 400 && payloads[0].count == payloads[1].count + compressed)
        #expect(payloads[1].allSatisfy { payloads[0].contains($0) })
    }

    @Test("small packets of many flows go in one datagram")
    func bundle() {
        let pair = Pair(auto, auto)
        pair.connect()
        let packets = (0..<20).map { udp(1, 2, [UInt8](repeating: UInt8($0), count: 32), port: UInt16(6000 + $0)) }
        pair.link.send(together: packets, from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.data.summary == ["bundle"])
        #expect(pair.bob.received == packets)
        // WireGuard: 64 + 32 bytes and the headers of UDP and IPv4, each. At least 40 % less is asked for.
        let sent = pair.link.sightings.data.reduce(0) { $0 + $1.bytes.count + 28 }
        #expect(sent * 10 < 20 * (64 + 32 + 28) * 6)
        #expect(pair.bob.statistics(of: pair.alice)?.traffic.bundledPackets == 20)
    }

    @Test("a bundle is no larger than a plain packet may be", arguments: [576, 1280, 1420, 9000])
    func bundleSize(mtu: Int) {
        let pair = Pair(auto, auto)
        for end in [pair.alice, pair.bob] { end.tunnel.mtu = mtu }
        pair.connect()
        var noise = Noise(seed: 1)
        let packets = (0..<300).map { _ in
            udp(1, 2, noise.bytes(Int(noise.next() % 200)), port: UInt16(6000 + noise.next() % 7))
        }
        pair.link.send(together: packets, from: pair.alice)
        pair.link.drain()
        #expect(byFlow(pair.bob.received) == byFlow(packets))
        #expect(
            pair.link.sightings.data.allSatisfy {
                $0.bytes.count <= mtu + 32 && $0.bytes.count % 16 == mtu % 16
                    || $0.bytes.count % 16 == 0 && $0.bytes.count <= mtu + 32
            })
        #expect(pair.link.sightings.data.contains { $0.isBundle })
    }

    @Test("more than 128 packets of one flow go in several records of no more than 128")
    func manyPackets() {
        let pair = Pair(auto, auto)
        for end in [pair.alice, pair.bob] { end.tunnel.mtu = 9000 }
        pair.connect()
        let large = (0..<500).map { stream($0, text(150), port: 6000) }
        let small = (0..<500).map { stream($0, [7], port: 6001) }
        pair.link.send(together: large + small, from: pair.alice)
        pair.link.drain()
        #expect(byFlow(pair.bob.received) == byFlow(large + small))
        var model = RecordModel()
        var sizes: [Int] = []
        for sighting in pair.link.sightings.data {
            guard let content = model.read(sighting.payload ?? []) else { continue }
            sizes.append(content.packets.count)
        }
        #expect(sizes.reduce(0, +) == 1000 && sizes.max() == 128)
    }

    @Test("more flows at a time than there are places: all arrive in order")
    func manyFlows() {
        let pair = Pair(auto, auto)
        pair.connect()
        let packets = (0..<1000).map { stream($0 / 50, text(200 + $0 % 7), port: UInt16(6000 + $0 % 50)) }
        pair.link.send(together: packets, from: pair.alice)
        pair.link.drain()
        #expect(byFlow(pair.bob.received) == byFlow(packets))
        #expect(pair.bob.received.count == 1000)
    }

    @Test("a flow that turns incompressible, or small, or other, is not overtaken by itself")
    func changing() {
        let pair = Pair(auto, auto)
        pair.connect()
        var noise = Noise(seed: 8)
        for round in 0..<60 {
            let packets = (0..<40).map { index -> [UInt8] in
                let content = [text(1200), noise.bytes(1200), [1], text(90), noise.bytes(400), text(300)]
                let kind = Int(noise.next() % 6)
                return stream(round * 40 + index, content[kind], port: 6000, congestion: kind == 3 ? 2 : 0)
            }
            pair.link.send(together: packets, from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received == packets)
            pair.forget()
        }
    }

    @Test("nothing is left after sendGathered has said no, and asking again brings nothing")
    func nothingLeft() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.send(together: (0..<70).map { stream($0, text(500), port: UInt16(6000 + $0 % 9)) }, from: pair.alice)
        let sent = pair.link.sightings.count
        let isMore = pair.alice.tunnel.sendGathered(at: pair.link.now(at: pair.alice))
        #expect(!isMore && pair.alice.takeDatagrams().isEmpty)
        pair.link.drain()
        #expect(pair.bob.received.count == 70)
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.data.count == sent)
    }

    @Test(
        "a super-segment larger than a unit goes in several, and is cut as the kernel would cut it",
        arguments: [
            536, 1368, 1448, 8948,
        ])
    func largeSegments(size: Int) {
        for maximum in [2000, 10_000, 65_535] as [UInt32] {
            let pair = Pair(auto, auto)
            pair.connect()
            #expect(
                pair.tellAlice(HelloBuilder(codecs: both, maximumUnit: maximum, records: HelloBuilder.packetRecords)))
            for (round, isV6) in [false, true, false, true].enumerated() {
                let segment = Segment(
                    isV6: isV6, isTCP: round < 2, identifier: 0xfff0, ports: (5000, UInt16(6000 + round)),
                    sequence: 0xffff_0000, flags: 0x99, payload: text(61_000))
                let frame = segment.frame(segment: size)
                pair.link.send(frames: [frame], from: pair.alice)
                pair.link.drain()
                #expect(pair.bob.received == kernelSplit(frame))
                pair.forget()
            }
        }
    }

    @Test(
        "MAXIMUM UNIT of the peer holds for every unit, super-segments among them",
        arguments: [
            0, 1, 500, 1000, 1500, 5000, 70_000,
        ])
    func maximumUnit(size: UInt32) {
        let pair = Pair(auto, auto)
        pair.connect()
        #expect(pair.tellAlice(HelloBuilder(codecs: both, maximumUnit: size, records: HelloBuilder.packetRecords)))
        let packets = (0..<60).map { stream($0, text(300 + 11 * $0), port: 6000) }
        pair.link.send(together: packets, from: pair.alice)
        let frames = [1368, 400, 1000].map { Segment(ports: (5000, 6001), payload: text(20_000)).frame(segment: $0) }
        pair.link.send(frames: frames, from: pair.alice)
        pair.link.drain()
        #expect(byFlow(pair.bob.received) == byFlow(packets + frames.flatMap { kernelSplit($0) ?? [] }))
        var model = RecordModel()
        let contents = pair.link.sightings.data.compactMap { model.read($0.payload ?? []) }
        #expect(contents.allSatisfy { $0.codec == 0 || $0.decoded <= size })
        #expect(contents.contains { $0.codec != 0 } == (size >= 500))
    }

    @Test(
        "a peer gets only the records that it announced",
        arguments: [
            [], [.bundle], [.fragment], [.bundle, .fragment], [.report, .ping],
        ] as [[Record.Kind]])
    func announced(records: [Record.Kind]) {
        for codecs in [[], [.deflate], [.zstd], both] as [[Codec]] {
            let pair = Pair(auto, auto)
            pair.connect()
            #expect(pair.tellAlice(HelloBuilder(codecs: codecs, records: records)))
            let packets = (0..<60).map { stream($0, text(10 + 23 * $0), port: UInt16(6000 + $0 % 3)) }
            let frame = Segment(ports: (5000, 6009), payload: Array(text(90_000).suffix(60_000))).frame(segment: 1368)
            pair.link.send(together: packets, from: pair.alice)
            pair.link.send(frames: [frame], from: pair.alice)
            pair.link.drain()
            #expect(byFlow(pair.bob.received) == byFlow(packets + (kernelSplit(frame) ?? [])))
            let sent = pair.link.sightings.sent(by: pair.alice)
            #expect(sent.allSatisfy { !$0.isBundle || records.contains(.bundle) })
            #expect(sent.allSatisfy { !$0.isFragment || records.contains(.fragment) })
            #expect(sent.contains { $0.isUnit || $0.isFragment } == !codecs.isEmpty)
            for unit in sent where unit.isUnit {
                #expect(codecs.map(\.rawValue).contains(unit.record?.codec ?? 0))
                #expect(unit.record?.layout == 0 || records.contains(.bundle))
            }
        }
    }

    @Test("a super-segment that stands for one packet, or that cannot be cut, takes no other packet along")
    func strangeSegments() {
        let pair = Pair(auto, auto)
        pair.connect()
        let one = Segment(sequence: 2000, payload: text(900))
        let before = Segment(sequence: 1000, payload: text(1000))
        let after = Segment(sequence: 2900, payload: text(700))
        for size in [900, 901, 1368] {
            let frames = [plainFrame(before), one.frame(segment: size), plainFrame(after)]
            pair.link.send(frames: frames, from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received == [before.bytes, one.bytes, after.bytes])
            #expect(pair.drops.reduce(0, +) == 0)
            pair.forget()
        }
        // A UDP length that is not that of the datagram: the kernel would cut it all the same, or refuse it.
        var wrong = Segment(isTCP: false, payload: text(3000)).frame(segment: 1000)
        wrong[10 + 24] ^= 0x40
        let first = Segment(isTCP: false, payload: text(1000))
        let last = Segment(isTCP: false, payload: text(700))
        pair.link.send(frames: [plainFrame(first), wrong, plainFrame(last)], from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.first == first.bytes && pair.bob.received.last == last.bytes)
        #expect(pair.drops.reduce(0, +) == 0)
    }

    @Test("packets that were gathered when their session ends wait for the next one")
    func sessionEnds() {
        let pair = Pair(auto, auto)
        pair.connect()
        let packets = (0..<60).map { stream($0, text(300), port: UInt16(6000 + $0 % 3)) }
        for packet in packets {
            let bytes = unsafe packet.span.bytes
            pair.alice.tunnel.handlePacket(bytes, at: pair.link.now(at: pair.alice))
        }
        // The private key is set anew: all sessions end.
        pair.link.change(pair.alice) { tunnel, now in tunnel.setPrivateKey(pair.alice.key, at: now) }
        pair.link.run(for: .seconds(1))
        #expect(byFlow(pair.bob.received) == byFlow(packets))
        #expect(pair.alice.drops(.staged, of: pair.bob) == 0)
        // A super-segment has been cut for that.
        pair.forget()
        let frame = Segment(ports: (5000, 6005), payload: text(30_000)).frame(segment: 1000)
        var buffer = frame
        do {
            var span = buffer.mutableSpan
            var bytes = unsafe span.mutableBytes
            pair.alice.tunnel.handleDeviceRead(&bytes, at: pair.link.now(at: pair.alice))
        }
        pair.link.change(pair.alice) { tunnel, now in tunnel.setPrivateKey(pair.alice.key, at: now) }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received == kernelSplit(frame))
    }

    @Test("what was gathered for a session that has reached its age waits for the next one")
    func sessionAge() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.run(for: .seconds(179))
        let packets = (0..<30).map { stream($0, text(300), port: 6000) }
        for packet in packets {
            let bytes = unsafe packet.span.bytes
            pair.alice.tunnel.handlePacket(bytes, at: pair.link.now(at: pair.alice))
        }
        let now = pair.link.now(at: pair.alice)
        let later = Now(instant: now.instant + .seconds(3), wall: now.wall)
        while pair.alice.tunnel.sendGathered(at: later) {}
        #expect(pair.alice.takeDatagrams().allSatisfy { $0.bytes.first == 1 })
        pair.link.run(for: .seconds(4))
        pair.link.settle(pair.alice)
        pair.link.run(for: .seconds(10))
        #expect(pair.bob.received == packets)
    }

    @Test("packets for a peer that is taken away go to nobody")
    func peerRemoved() {
        let pair = Pair(auto, auto)
        pair.connect()
        for packet in (0..<9).map({ stream($0, text(300), port: 6000) }) {
            let bytes = unsafe packet.span.bytes
            pair.alice.tunnel.handlePacket(bytes, at: pair.link.now(at: pair.alice))
        }
        let carol = End(privateKey(99), site(3).endpoint, seed: 99)
        pair.link.add(carol)
        pair.introduce(pair.alice, site(1), to: carol, Pair.Options())
        pair.alice.tunnel.removePeer(pair.bob.publicKey)
        // In the slot that was bob's.
        pair.introduce(carol, site(3), to: pair.alice, Pair.Options())
        pair.link.run(for: .seconds(10))
        #expect(pair.bob.received.isEmpty && carol.received.isEmpty)
        #expect(carol.drops(.allowedIPs, of: pair.alice) == 0)
    }
}

/// A packet of a TCP stream from site 1 to site 2: which one, and what is in it.
private func stream(_ index: Int, _ content: [UInt8], port: UInt16, congestion: UInt8 = 0) -> [UInt8] {
    Segment(
        trafficClass: congestion, identifier: UInt16(truncatingIfNeeded: index), ports: (5000, port),
        sequence: UInt32(index) &* 1000, payload: content
    ).bytes
}

/// As the device hands over a packet that needs nothing done but its checksum.
private func plainFrame(_ segment: Segment) -> [UInt8] {
    virtioHeader(flags: 1, 0, headerLength: 0, segment: 0, start: segment.transport, offset: segment.checksumOffset)
        + segment.bytes(isPartial: true)
}

private func byFlow(_ packets: [[UInt8]]) -> [[UInt8]: [[UInt8]]] { Dictionary(grouping: packets, by: flowKey) }

extension Pair {
    /// Bob's word to alice about what he takes, in the place of what his gateway says.
    fileprivate func tellAlice(_ builder: HelloBuilder) -> Bool {
        var builder = builder
        builder.seen = true
        guard let hello = bob.seal(builder.bytes, to: alice) else { return false }
        link.deliver(hello, to: alice, from: bob.endpoint)
        return true
    }
}

/// Frames for two peers: flows of all kinds that go on from drain to drain.
private struct DrainSource {
    private struct Flow {
        var segment: Segment
        /// 0: text, 1: noise, 2: TLS, 3: now this, now that.
        let kind: UInt64
        /// The usual size of its packets, and whether it comes in super-segments.
        let size: Int
        let isLarge: Bool
    }

    private let mtu: Int
    private var noise: Noise
    private var flows: [Flow] = []

    init(mtu: Int, seed: UInt64) {
        self.mtu = mtu
        noise = Noise(seed: seed)
        for _ in 0..<24 {
            var segment = Segment(isV6: noise.next() % 3 == 0, isTCP: noise.next() % 3 > 0)
            segment.destination = noise.next() % 3 == 0 ? 3 : 2
            segment.ports = (UInt16(5000 + noise.next() % 5), UInt16(6000 + noise.next() % 100))
            segment.trafficClass = noise.next() % 4 == 0 ? UInt8(noise.next() % 3) : 0
            segment.sequence = UInt32(truncatingIfNeeded: noise.next())
            segment.fragment = noise.next() % 2 == 0 ? 0x4000 : 0
            let most = mtu - segment.headers
            let size = 1 + Int(noise.next() % (noise.next() % 3 == 0 ? 100 : UInt64(most)))
            flows.append(
                Flow(segment: segment, kind: noise.next() % 4, size: size, isLarge: noise.next() % 3 == 0))
        }
    }

    mutating func drain() -> [[UInt8]] {
        (0..<1 + noise.next() % 60).map { _ in frame() }
    }

    private mutating func frame() -> [UInt8] {
        let index = Int(noise.next() % UInt64(flows.count))
        var flow = flows[index]
        var segment = flow.segment
        if noise.next() % 30 == 0 { segment.trafficClass = UInt8(noise.next() % 3) }
        if noise.next() % 3 == 0 { segment.acknowledgement &+= 1448 }
        segment.flags = noise.next() % 12 == 0 ? [0x11, 0x18, 0x90, 0x14][Int(noise.next() % 4)] : 0x10
        let isLarge = flow.isLarge && noise.next() % 2 == 0
        let size = noise.next() % 5 == 0 ? Int(noise.next() % UInt64(flow.size + 1)) : flow.size
        let packets = isLarge ? 2 + Int(noise.next() % 40) : 1
        let length = min(isLarge ? size * packets - Int(noise.next() % UInt64(size + 1)) : size, 60_000)
        segment.payload = content(flow.kind, max(length, 0))
        let count = size > 0 ? (segment.payload.count + size - 1) / size : 1
        flow.segment = segment
        flow.segment.sequence &+= UInt32(segment.payload.count)
        flow.segment.identifier &+= UInt16(max(count, 1))
        flows[index] = flow
        return segment.payload.count > size && size > 0 ? segment.frame(segment: size) : plainFrame(segment)
    }

    private mutating func content(_ kind: UInt64, _ count: Int) -> [UInt8] {
        switch kind {
        case 0: Array(text(count + Int(noise.next() % 50)).suffix(count))
        case 1: noise.bytes(count)
        case 2: Array(([0x17, 3, 3, 0x10, 0] + noise.bytes(count)).prefix(count))
        default: noise.next() % 2 == 0 ? text(count) : noise.bytes(count)
        }
    }
}

/// Alice between bob and carol, who checks every record that she sends.
private final class Hub {
    private let pair: Pair
    private let carol: End
    private let mtu: Int
    private var models: [Endpoint: Box] = [:]
    private(set) var units = 0
    private(set) var bundles = 0
    private(set) var plain = 0
    private(set) var codecs: Set<UInt8> = []

    private final class Box { var model = RecordModel() }

    init(mtu: Int, seed: UInt64, _ policy: CompressionPolicy = auto, cipher: CipherPolicy = .chacha20poly1305) {
        let options = Pair.Options(compression: policy, cipher: cipher)
        pair = Pair(both: options, seed: seed &+ 1)
        carol = End(privateKey(seed &+ 500), site(3).endpoint, seed: seed &+ 500)
        self.mtu = mtu
        pair.link.add(carol)
        pair.introduce(carol, site(3), to: pair.alice, options)
        pair.introduce(pair.alice, site(1), to: carol, options)
        for end in [pair.alice, pair.bob, carol] { end.tunnel.mtu = mtu }
        pair.connect()
        pair.link.send(udp(1, 3, payload: 1), from: pair.alice)
        pair.link.run(for: .milliseconds(200))
        pair.forget()
        carol.received = []
        models = [pair.bob.endpoint: Box(), carol.endpoint: Box()]
    }

    var dropped: UInt64 {
        [pair.alice, pair.bob, carol].reduce(0) { sum, end in
            let statistics = end.tunnel.statistics()
            return DropReason.allCases.reduce(sum) { sum, reason in
                sum + statistics.drops[reason] + statistics.peers.reduce(0) { $0 + $1.drops[reason] }
            }
        }
    }

    /// Sends frames in one drain and compares what arrives.
    func carry(_ frames: [[UInt8]]) {
        let packets = frames.flatMap { kernelSplit($0) ?? [] }
        pair.link.send(frames: frames, from: pair.alice)
        pair.link.drain()
        #expect(byFlow(pair.bob.received + carol.received) == byFlow(packets))
        #expect(pair.bob.received.allSatisfy { $0[$0[0] >> 4 == 4 ? 19 : 39] == 2 })
        #expect(carol.received.allSatisfy { $0[$0[0] >> 4 == 4 ? 19 : 39] == 3 })
        check(pair.link.sightings.sent(by: pair.alice).data)
        pair.forget()
        carol.received = []
    }

    private func check(_ sightings: [Sighting]) {
        var wire = 0
        for sighting in sightings {
            #expect(sighting.bytes.count <= mtu + 32)
            wire += sighting.bytes.count + 28
            guard let content = models[sighting.to]?.model.read(sighting.payload ?? []) else { continue }
            let packets = content.packets
            #expect(packets.count <= 128 && content.decoded <= 65_535)
            let classes = Set(packets.map { ($0[0] >> 4 == 4 ? $0[1] : $0[1] >> 4) & 3 })
            #expect(classes == [sighting.trafficClass])
            if content.codec > 0 {
                #expect(Set(packets.map(flowKey)).count == 1)
                units += 1
                codecs.insert(content.codec)
            } else if sighting.isBundle {
                bundles += 1
            } else {
                plain += 1
            }
            if !sighting.isPlain {
                let alone = packets.reduce(0) { $0 + max(min(($1.count + 15) / 16 * 16, mtu), $1.count) + 60 }
                #expect(wire < alone)
            }
            wire = 0
        }
    }
}
