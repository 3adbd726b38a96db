import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// Ethernet frames that stand for several, from device to device (docs/protocol.md §3.8): whole where the peer takes such.
@Suite struct SuperFrameTests {
    private static let tags: [[UInt16]] = [[], [0x8100], [0x88a8, 0x8100]]
    private static let policies = [
        CompressionPolicy.off, CompressionPolicy(.receive), CompressionPolicy(.auto),
        CompressionPolicy(.auto, scope: .peer),
    ]

    @Test(
        "it goes whole from site to site, also through a hub, and arrives as the frames that it stands for",
        arguments: policies, [false, true])
    func whole(policy: CompressionPolicy, isHub: Bool) throws {
        let offices = Self.offices(policy, hub: isHub)
        let (near, number) = isHub ? (offices.bob, UInt8(2)) : (offices.alice, 1)
        for (isV6, isTCP) in [(false, false), (false, true), (true, false), (true, true)] {
            for tags in Self.tags {
                for isRandom in [false, true] {
                    var segment = Segment(isV6: isV6, isTCP: isTCP)
                    var noise = Noise(seed: 7)
                    segment.payload = isRandom ? noise.bytes(62_001) : text(62_001)
                    let frame = segment.frame(segment: 1400)
                    let packets = try #require(kernelSplit(frame))
                    offices.forget()
                    offices.link.send(frames: [around(frame, number, 3, tags)], from: near)
                    offices.link.drain()
                    let frames = packets.map { ethernet(host(number), host(3), ip: $0, tags: tags) }
                    #expect(offices.carol.received == frames, "\(isV6) \(isTCP) \(tags.count) tags, \(isRandom)")
                    #expect(offices.alice.received == [] || !isHub)
                    // One header stands for many.
                    let sent = offices.link.sightings.filter { $0.isTransport && $0.to == offices.carol.endpoint }
                    let wire = sent.reduce(0) { $0 + $1.bytes.count }
                    #expect(wire < 62_001 + sent.count * 60 + 300, "\(sent.count) datagrams")
                    #expect(isRandom || policy.mode != .auto || wire < 40_000)
                }
            }
        }
    }

    @Test("a device that takes such is given it in few writes, with the first one's header", arguments: [false, true])
    func written(isHub: Bool) throws {
        let offices = Self.offices(.off, hub: isHub)
        offices.carol.tunnel.inbox.mergesTCP = true
        let (near, number) = isHub ? (offices.bob, UInt8(2)) : (offices.alice, 1)
        var segment = Segment(isTCP: true)
        segment.payload = text(42_000)
        offices.forget()
        offices.link.send(frames: [around(segment.frame(segment: 1400), number, 3, [])], from: near)
        offices.link.drain()
        #expect(offices.carol.received.count <= 2)
        let payload = offices.carol.received.flatMap { $0.dropFirst(14 + 40) }
        #expect(payload == segment.payload)
    }

    @Test("to a peer that does not say that it takes such go frames, as ever", arguments: policies)
    func older(policy: CompressionPolicy) throws {
        let offices = Self.offices(policy)
        let records: [Record.Kind] = [.bundle, .fragment, .report, .ping, .ethernet, .pack]
        let hello = HelloBuilder(seen: true, codecs: [.deflate, .zstd], records: records).bytes
        let datagram = try #require(offices.carol.seal(hello, to: offices.alice))
        offices.link.deliver(datagram, to: offices.alice, from: offices.carol.endpoint)
        offices.link.drain()
        var segment = Segment(isTCP: true)
        segment.payload = text(20_000)
        let frame = segment.frame(segment: 1400)
        offices.forget()
        offices.link.send(frames: [around(frame, 1, 3, [])], from: offices.alice)
        offices.link.drain()
        let packets = try #require(kernelSplit(frame))
        #expect(offices.carol.received == packets.map { ethernet(host(1), host(3), ip: $0) })
        let payloads = offices.link.sightings.filter { $0.to == offices.carol.endpoint }.compactMap(\.payload)
        #expect(payloads.allSatisfy { $0.count < 6 || $0[0] == 0x11 || ($0[4], $0[5]) != (0, 0) || $0[0] == 0x13 })
        #expect(offices.carol.drops(.record, of: offices.alice) == 0)
    }

    @Test("the hub's own device and all other sites get one that nobody knows the place of")
    func flooded() throws {
        let offices = Self.offices(.off, hub: true)
        var segment = Segment(isTCP: true)
        segment.payload = text(9000)
        let frame = segment.frame(segment: 1400)
        let packets = try #require(kernelSplit(frame))
        let frames = packets.map { ethernet(host(2), host(9), ip: $0) }
        let whole = Array(around(frame, 2, 9, [])[10...])
        try Self.deliver(segmentedFrame(whole, segment: 1400), to: offices)
        offices.link.drain()
        #expect(offices.alice.received == frames)
        #expect(offices.carol.received == frames)
    }

    @Test("frames and those that stand for several keep the order of their flow", arguments: policies)
    func order(policy: CompressionPolicy) throws {
        let offices = Self.offices(policy, hub: true)
        var noise = Noise(seed: 5)
        var flows = (0..<4).map { Segment(isV6: $0 & 1 == 1, isTCP: true, ports: (UInt16(4000 + $0), 9)) }
        for _ in 0..<40 {
            offices.forget()
            var sent: [[UInt8]] = []
            var reads: [[UInt8]] = []
            for _ in 0..<12 {
                let number = Int(noise.next() % 4)
                let size = Int(noise.next() % 3 == 0 ? noise.next() % 60_000 : noise.next() % 1400)
                flows[number].payload = noise.next() % 2 == 0 ? text(size) : noise.bytes(size)
                let each = noise.next() % 4 == 0 ? 300 : 1400
                let isSuper = size > each && size / each < 120
                if !isSuper { flows[number].payload = Array(flows[number].payload.prefix(1400)) }
                let plain = [UInt8](repeating: 0, count: 10) + flows[number].bytes
                let frame = isSuper ? flows[number].frame(segment: each) : plain
                reads.append(around(frame, 2, 3, []))
                sent += try #require(kernelSplit(frame)).map { ethernet(host(2), host(3), ip: $0) }
                flows[number].sequence &+= UInt32(flows[number].payload.count)
                flows[number].identifier &+= 200
            }
            offices.link.send(frames: reads, from: offices.bob)
            offices.link.drain()
            #expect(offices.carol.received.count == sent.count)
            for port in [(false, 0), (true, 1), (false, 2), (true, 3)] as [(Bool, UInt8)] {
                let isOf = { (frame: [UInt8]) in
                    frame[14] >> 4 == (port.0 ? 6 : 4) && frame[14 + (port.0 ? 40 : 20) + 1] == 0xa0 + port.1
                }
                #expect(offices.carol.received.filter(isOf) == sent.filter(isOf), "flow \(port.1)")
            }
        }
    }

    @Test("while a link has a rate it goes frame by frame")
    func shaped() throws {
        let offices = Self.offices(.off)
        let now = offices.link.now(at: offices.alice)
        offices.alice.tunnel.setRate(100_000_000, linkOverhead: 0, at: now)
        var segment = Segment(isTCP: true)
        segment.payload = text(30_000)
        let frame = segment.frame(segment: 1400)
        offices.link.send(frames: [around(frame, 1, 3, [])], from: offices.alice)
        offices.link.run(for: .seconds(1))
        let packets = try #require(kernelSplit(frame))
        #expect(offices.carol.received == packets.map { ethernet(host(1), host(3), ip: $0) })
    }

    // MARK: Malformed

    @Test("what can't stand for several is malformed, is dropped and counted, and what is before it counts")
    func malformed() throws {
        let offices = Self.offices(.off)
        var segment = Segment(isTCP: true)
        segment.payload = text(3000)
        let good = Array(around(segment.frame(segment: 1000), 2, 1, [])[10...])
        func changed(_ place: Int, _ value: UInt8, _ frame: [UInt8]? = nil) -> [UInt8] {
            var frame = frame ?? good
            frame[place] = value
            return frame
        }
        var datagram = Segment(isTCP: false)
        datagram.payload = text(3000)
        let udp = Array(around(datagram.frame(segment: 1000), 2, 1, [])[10...])
        let first = ethernet(host(2), host(1), text(46))
        let lies: [(String, [UInt8])] = [
            ("no segment", segmentedFrame(good, segment: 0)),
            ("one segment that is all", segmentedFrame(good, segment: 3000)),
            ("a larger one", segmentedFrame(good, segment: 65_535)),
            ("more than 128", segmentedFrame(good, segment: 20)),
            ("no IP", segmentedFrame(changed(12, 0x88))),
            ("another version", segmentedFrame(changed(14, 0x55))),
            ("an IP header beyond it", segmentedFrame(changed(14, 0x4f, Array(good.prefix(14 + 40))))),
            ("a TCP header beyond it", segmentedFrame(changed(14 + 20 + 12, 0xf0, Array(good.prefix(14 + 41))))),
            ("a TCP header that is too short", segmentedFrame(changed(14 + 20 + 12, 0x40))),
            ("a fragment", segmentedFrame(changed(14 + 6, 0x20))),
            ("another protocol", segmentedFrame(changed(14 + 9, 1))),
            ("a length of IP that is less", segmentedFrame(changed(14 + 3, good[14 + 3] &- 1))),
            ("a length of IP that is more", segmentedFrame(changed(14 + 3, good[14 + 3] &+ 1))),
            ("a length of UDP that lies", segmentedFrame(changed(14 + 20 + 5, udp[14 + 20 + 5] &- 1, udp))),
            ("bytes behind the packet", segmentedFrame(good + [0])),
            ("a length behind the record", segmentedFrame(good, length: good.count + 1)),
            ("a length that is no frame's", segmentedFrame(good, length: 13)),
            ("nothing but the Ethernet header", segmentedFrame(Array(good.prefix(14)))),
            ("a tag that is cut off", segmentedFrame(changed(12, 0x81, Array(good.prefix(16))))),
            ("no length", Array(segmentedFrame(good).prefix(5))),
            ("no segment at all", Array(segmentedFrame(good).prefix(3))),
        ]
        for (name, lie) in lies {
            offices.forget()
            let before = offices.alice.drops(.record, of: offices.bob)
            try Self.deliver(frameList([first]) + lie + frameList([first]), to: offices)
            #expect(offices.alice.received == [first], "\(name)")
            #expect(offices.alice.drops(.record, of: offices.bob) == before + 1, "\(name)")
        }
        offices.forget()
        try Self.deliver(frameList([first]) + segmentedFrame(good) + segmentedFrame(udp), to: offices)
        #expect(offices.alice.received.count == 1 + 3 + 3)
        // Larger frames than the device has.
        var jumbo = Segment(isTCP: true)
        jumbo.payload = text(6000)
        let before = offices.alice.drops(.frame, of: offices.bob)
        try Self.deliver(
            segmentedFrame(Array(around(jumbo.frame(segment: 3000), 2, 1, [])[10...]), segment: 3000), to: offices)
        #expect(offices.alice.drops(.frame, of: offices.bob) == before + 1)
    }

    // MARK: To the device

    @Test("the kernel makes the very frames of what the device is given", arguments: [false, true], [false, true])
    func virtio(isV6: Bool, isTCP: Bool) throws {
        for tags in Self.tags {
            for flags in [UInt8(0x10), 0x18, 0x19, 0x90] where isTCP || flags == 0x10 {
                var inbox = Inbox()
                inbox.mergesTCP = true
                inbox.mergesUDP = true
                var segment = Segment(isV6: isV6, isTCP: isTCP, flags: flags)
                var frames: [[UInt8]] = []
                for size in [3000, 6000, 2500, 1000] {
                    segment.payload = text(size)
                    let whole = around(segment.frame(segment: 1000), 2, 3, tags)
                    // Its sums need not be right.
                    var frame = Array(whole[10...])
                    if !isV6 { frame[frame.count - size - (segment.headers - 10)] ^= 0xff }
                    let packets = try #require(
                        size > 1000 ? kernelSplit(segment.frame(segment: 1000)) : [segment.bytes])
                    frames += packets.map { ethernet(host(2), host(3), ip: $0, tags: tags) }
                    if size == 1000 { frame = try #require(frames.last) }
                    try append(frame, segment: size > 1000 ? 1000 : 0, to: &inbox)
                    segment.sequence &+= UInt32(size)
                    segment.identifier &+= UInt16((size + 999) / 1000)
                }
                inbox.finish()
                let writes = (0..<inbox.count).map { inbox.wholeFrame($0) }
                #expect(try writes.flatMap { try kernelCut($0) } == frames, "\(tags.count) tags, flags \(flags)")
                // What says that the window was reduced is cut here: the kernel would say it in all of them.
                #expect(!isTCP || flags & 0x80 != 0 || writes.count == (flags == 0x10 ? 2 : 4))
            }
        }
    }

    private func append(_ frame: [UInt8], segment: Int, to inbox: inout Inbox) throws {
        let bytes = unsafe frame.span.bytes
        let found = Frames.shape(of: bytes, segment: segment)
        let shape = try #require(found)
        let place = inbox.decode(frame.count) { space in
            unsafe space.copy(frame.span.bytes, to: 0)
            return frame.count
        }
        let isAppended = inbox.append(frame: Inbox.Decoded(place: try #require(place), shape: shape))
        #expect(isAppended)
    }

    // MARK: Made by hand

    /// All three take what is larger than a datagram; alice knows the hosts 2 and 3, and so does bob.
    private static func offices(_ policy: CompressionPolicy, hub isHub: Bool = false) -> Offices {
        let offices = Offices(hub: isHub, policy, packs: true)
        for end in [offices.alice, offices.bob, offices.carol] {
            offices.link.change(end) { tunnel, _ in tunnel.mtu = 1500 }
        }
        for tags in tags {
            for (number, end) in [(2, offices.bob), (3, offices.carol)] as [(UInt8, End)] {
                let frame = ethernet(host(number), .everybody, text(46), tags: tags)
                offices.link.send(ethernet: [frame], from: end)
                offices.link.drain()
            }
        }
        offices.link.run(for: .seconds(2))
        offices.forget()
        return offices
    }

    /// Hands alice a PACK of bob's, in fragments.
    private static func deliver(_ body: [UInt8], to offices: Offices) throws {
        for piece in fragmentRecords(record(0x1b, 1, body), number: 60_000, count: 8) {
            let datagram = try #require(offices.bob.seal(piece, to: offices.alice))
            offices.link.deliver(datagram, to: offices.alice, from: offices.bob.endpoint)
        }
    }

    /// A super-segment as the TAP of a site hands it over, for a host of another.
    private func around(_ frame: [UInt8], _ near: UInt8, _ far: UInt8, _ tags: [UInt16]) -> [UInt8] {
        let whole = ethernet(host(near), host(far), ip: Array(frame[10...]), tags: tags)
        let start = whole.count - (frame.count - 10)
        return (frame[1] == 0 ? Array(frame[..<10]) : shifted(Array(frame[..<10]), by: start)) + whole
    }
}
