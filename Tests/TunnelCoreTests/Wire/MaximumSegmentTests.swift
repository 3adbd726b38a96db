import Testing

@testable import TestKit
@testable import TunnelCore

/// What TCP says in its SYN that it takes is lowered to what the tunnel carries.
@Suite struct MaximumSegmentTests {
    private static let synchronize: UInt8 = 0x02

    private static func syn(_ options: [UInt8], isV6: Bool = false, flags: UInt8 = synchronize) -> Segment {
        var segment = Segment()
        segment.isV6 = isV6
        segment.flags = flags
        segment.tcpOptions = options
        return segment
    }

    /// The option for a size.
    private static func option(_ size: UInt16) -> [UInt8] { [2, 4] + big(size) }

    private static func read(_ segment: Segment) -> [UInt8] {
        [UInt8](repeating: 0, count: VirtioHeader.size) + segment.bytes
    }

    /// What comes out at bob of what alice's device gives.
    private static func pass(_ segment: Segment, clamp: SegmentClamp = .fitting, mtu: Int = 1420) -> [UInt8]? {
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, _ in
            tunnel.segmentClamp = clamp
            tunnel.mtu = mtu
        }
        pair.link.change(pair.bob) { tunnel, _ in tunnel.segmentClamp = .off }
        pair.connect()
        pair.link.send(frames: [read(segment)], from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        return pair.bob.received.last
    }

    @Test("a SYN that says more than fits says what fits, with a right checksum", arguments: [false, true])
    func lowered(isV6: Bool) {
        let fitting: UInt16 = isV6 ? 1360 : 1380
        for flags in [Self.synchronize, Self.synchronize | Segment.acknowledge] {
            for (before, after) in [
                ([UInt8](), [UInt8]()), ([1], [1, 1, 1]), ([1, 1, 3, 3, 7], [1, 1, 1]), ([4, 2], [1, 1]),
            ] {
                let old = Self.syn(before + Self.option(1460) + after, isV6: isV6, flags: flags)
                let new = Self.syn(before + Self.option(fitting) + after, isV6: isV6, flags: flags)
                #expect(Self.pass(old) == new.bytes)
            }
        }
    }

    @Test("what fits already, says nothing, or contradicts itself stays as it is")
    func untouched() {
        let odd: [[UInt8]] = [
            Self.option(1380), Self.option(536), [], [1, 1, 1, 1], [2, 3, 9, 9], [2, 0, 0, 0], [2, 60, 5, 180],
            [3, 1, 2, 4],
            [1, 1, 1, 2], [0, 2, 4, 5], [0, 0, 0, 0] + Self.option(1460), [2, 6, 5, 180, 0, 0, 0, 0],
        ]
        for options in odd {
            let segment = Self.syn(options)
            #expect(Self.pass(segment) == segment.bytes, "\(options)")
        }
        // No SYN, a fragment, and a header that would end behind the packet.
        let later = Self.syn(Self.option(1460), flags: Segment.acknowledge)
        #expect(Self.pass(later) == later.bytes)
        var fragment = Self.syn(Self.option(1460))
        fragment.fragment = 0x2000
        #expect(Self.pass(fragment) == fragment.bytes)
        var short = Self.syn([]).bytes
        short[20 + 12] = 0xf0
        var header = short
        do {
            var span = header.mutableSpan
            var bytes = unsafe span.mutableBytes
            if let read = InternetPacket(bytes.bytes) { MaximumSegment.clamp(&bytes, read, mtu: 576, most: nil) }
        }
        #expect(header == short)
    }

    @Test("a number of the operator's takes the place of what fits, and off leaves all as it is")
    func chosen() {
        #expect(Self.pass(Self.syn(Self.option(1460)), clamp: .at(1000)) == Self.syn(Self.option(1000)).bytes)
        #expect(Self.pass(Self.syn(Self.option(900)), clamp: .at(1000)) == Self.syn(Self.option(900)).bytes)
        #expect(Self.pass(Self.syn(Self.option(1460)), clamp: .off) == Self.syn(Self.option(1460)).bytes)
        #expect(Self.pass(Self.syn(Self.option(1460)), mtu: 1280) == Self.syn(Self.option(1240)).bytes)
    }

    @Test("what comes from the peer is lowered as well, compressed or not")
    func fromThePeer() {
        for policy in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = Pair(policy, policy)
            pair.link.change(pair.alice) { tunnel, _ in tunnel.segmentClamp = .off }
            pair.link.change(pair.bob) { tunnel, _ in tunnel.mtu = 1300 }
            pair.connect()
            pair.link.send(frames: [Self.read(Self.syn(Self.option(1460)))], from: pair.alice)
            pair.link.run(for: .milliseconds(100))
            #expect(pair.bob.received.last == Self.syn(Self.option(1260)).bytes)
        }
    }

    @Test("in Ethernet too, behind up to two VLAN tags, where the frame's MTU is less than what TCP wants")
    func frames() {
        var options = Pair.Options()
        options.mode = .frames(isHub: false)
        for tags in [[], [0x81, 0, 0, 7], [0x88, 0xa8, 0, 7, 0x81, 0, 0, 9]] as [[UInt8]] {
            let pair = Pair(both: options)
            for end in [pair.alice, pair.bob] { pair.link.change(end) { tunnel, _ in tunnel.mtu = 1400 } }
            pair.connect()
            let head = [UInt8](repeating: 2, count: 12) + tags + [8, 0]
            pair.link.send(ethernet: [head + Self.syn(Self.option(1460)).bytes], from: pair.alice)
            pair.link.run(for: .milliseconds(100))
            #expect(pair.bob.received.last == head + Self.syn(Self.option(1360)).bytes)
        }
    }
}
