import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// Packets that are larger than a datagram, between gateways (docs/protocol.md §3.12) and to others.
@Suite struct PackTests {
    private static func pair(
        mtu: Int, path: Int, compression: CompressionPolicy = CompressionPolicy(.auto), mode: TunnelMode = .packets,
        packs: Bool = true
    ) -> Pair {
        var options = Pair.Options(compression: compression)
        options.packs = packs
        options.mode = mode
        let pair = Pair(both: options)
        for end in [pair.alice, pair.bob] {
            end.routeMTU = path
            pair.link.change(end) { tunnel, _ in
                tunnel.mtu = mtu
                tunnel.framePayload = path - 80
            }
        }
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.connect()
        pair.forget()
        return pair
    }

    private static func sizes(_ pair: Pair) -> [Int] {
        pair.link.sightings.filter { $0.from == pair.alice.endpoint && $0.isData }.map(\.size)
    }

    @Test(
        "a stream of full packets takes no more datagrams than its bytes need, and none is larger than the path takes",
        arguments: [(1500, 1500), (9000, 1500), (1500, 1280), (9000, 1280), (9000, 576), (1500, 576)])
    func stream(mtu: Int, path: Int) {
        let pair = Self.pair(mtu: mtu, path: path)
        let packets = (0..<120).map { _ in udp(1, 2, payload: mtu - 28) }
        pair.link.send(together: packets, from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == packets)
        let sizes = Self.sizes(pair)
        #expect(sizes.max() ?? 0 <= path)
        // The head of a piece takes two of a hundred bytes of a small one.
        let most = path == 576 ? 1.04 : 1.02
        #expect(Double(sizes.count) <= Double(120 * mtu) / Double(path - 60) * most + 1)
        #expect(pair.link.sightings.filter { $0.isData }.allSatisfy { $0.division == .avoided })
    }

    @Test("a packet that is alone does not wait")
    func alone() {
        let pair = Self.pair(mtu: 9000, path: 1500)
        for length in [1441, 1500, 3000, 9000] {
            pair.link.send(udp(1, 2, payload: length - 28), from: pair.alice)
            pair.link.drain()
            #expect(pair.bob.received.last?.count == length)
        }
        #expect(pair.bob.received.count == 4)
    }

    private static let policies = [
        CompressionPolicy(.auto), CompressionPolicy(.receive), CompressionPolicy(.auto, scope: .peer),
    ]

    @Test("the order of every flow stays, whatever the sizes", arguments: [1500, 1280, 576])
    func order(path: Int) {
        for policy in Self.policies {
            for packs in [true, false] {
                let pair = Self.pair(mtu: 4000, path: path, compression: policy, packs: packs)
                var noise = Noise(seed: UInt64(path))
                for _ in 0..<30 {
                    pair.forget()
                    let packets = (0..<60).map { _ in Self.some(&noise) }
                    pair.link.send(together: packets, from: pair.alice)
                    pair.link.drain()
                    Self.expectOrder(of: packets, in: pair, "\(packs) \(policy.mode) \(policy.scope)")
                }
            }
        }
    }

    /// A packet of one of four flows and any size, compressible or not, marked or not, or a fragment of who knows which flow.
    private static func some(_ noise: inout Noise) -> [UInt8] {
        let size = Int(noise.next() % 5 == 0 ? noise.next() % 3900 : noise.next() % 700)
        var packet = Segment()
        packet.isTCP = false
        packet.ports = (4000 + UInt16(noise.next() % 4), 9)
        packet.identifier = UInt16(truncatingIfNeeded: noise.next())
        packet.trafficClass = noise.next() % 4 == 0 ? 1 : 0
        packet.fragment = noise.next() % 12 == 0 ? 0x2010 : 0
        packet.payload = noise.next() % 2 == 0 ? noise.bytes(size) : text(size)
        return packet.bytes
    }

    /// What is of one flow, or may be, has come in the order in which it was sent.
    private static func expectOrder(of sent: [[UInt8]], in pair: Pair, _ about: String, at start: Int = 0) {
        #expect(pair.bob.received.count == sent.count, "\(about)")
        for port in UInt8(0)..<4 {
            let isOf = { (packet: [UInt8]) in
                packet[start + 20 + 1] == 0xa0 + port || packet[start + 6] & 0x20 != 0
            }
            let names = { (packets: [[UInt8]]) in
                packets.filter(isOf).map { UInt16($0[start + 4]) << 8 | UInt16($0[start + 5]) }
            }
            #expect(names(pair.bob.received) == names(sent), "\(about): the order of flow \(port) is another")
        }
    }

    @Test("the order of every flow stays in frames, too", arguments: [1500, 576])
    func orderOfFrames(path: Int) {
        for policy in Self.policies {
            let pair = Self.pair(mtu: 4000, path: path, compression: policy, mode: .frames(isHub: false))
            // Nothing is flooded then.
            pair.link.send(ethernet: [ethernet(host(2, 1), .everybody, text(46))], from: pair.bob)
            pair.link.run(for: .milliseconds(100))
            var noise = Noise(seed: UInt64(path))
            for _ in 0..<30 {
                pair.forget()
                let frames = (0..<60).map { _ in ethernet(host(1, 99), host(2, 1), ip: Self.some(&noise)) }
                pair.link.send(ethernet: frames, from: pair.alice)
                pair.link.drain()
                Self.expectOrder(of: frames, in: pair, "\(policy.mode) \(policy.scope)", at: 14)
            }
        }
    }

    @Test("large frames go on on the session before, while the HELLO of the newest is not there")
    func framesOfTheSessionBefore() {
        let pair = Self.pair(mtu: 1500, path: 1500, mode: .frames(isHub: false))
        pair.link.run(for: Limits.rekeyAfterTime + .seconds(1))
        pair.link.rule = { $0.isHello ? .drop : .deliver }
        let frames = (0..<20).map { ethernet(host(1, 99), .everybody, ip: udp(1, 2, payload: 1400 + $0)) }
        for frame in frames {
            pair.link.send(ethernet: [frame], from: pair.alice)
            pair.link.run(for: .milliseconds(50))
        }
        #expect(pair.link.sightings.contains { $0.isHello })
        #expect(pair.bob.received == frames)
    }

    @Test("super-segments stay in order beside what is small, whoever shares a unit", arguments: [1500, 1280, 576])
    func orderOfSuperSegments(path: Int) {
        for policy in Self.policies {
            let pair = Self.pair(mtu: 1500, path: path, compression: policy)
            var noise = Noise(seed: UInt64(path) + 1)
            var next = [UInt32](repeating: 0, count: 4)
            for _ in 0..<30 {
                pair.forget()
                var sent = [[UInt8]](repeating: [], count: 4)
                let frames: [[UInt8]] = (0..<12).map { _ in
                    var packet = Segment()
                    let flow = Int(noise.next() % 4)
                    packet.ports = (4000 + UInt16(flow), 9)
                    packet.sequence = next[flow]
                    let size = Int(noise.next() % 3 == 0 ? noise.next() % 600 : noise.next() % 40_000)
                    packet.payload = noise.next() % 2 == 0 ? noise.bytes(size) : text(size)
                    next[flow] &+= UInt32(size)
                    sent[flow] += packet.payload
                    let mss = [536, 1400, 1460][Int(noise.next() % 3)]
                    return size > mss
                        ? packet.frame(segment: mss) : [UInt8](repeating: 0, count: VirtioHeader.size) + packet.bytes
                }
                pair.link.send(frames: frames, from: pair.alice)
                pair.link.drain()
                for flow in 0..<4 {
                    let came = pair.bob.received.filter { $0[21] == UInt8(0xa0 + flow) }.flatMap { $0[40...] }
                    #expect(came == sent[flow], "\(policy.mode) \(policy.scope): flow \(flow)")
                }
            }
        }
    }

    @Test("where units mix flows, a stream of full packets takes no more datagrams either", arguments: [1500, 1280])
    func streamBesideMixedUnits(path: Int) {
        let pair = Self.pair(mtu: 1500, path: path, compression: CompressionPolicy(.auto, scope: .peer))
        let packets = (0..<120).map { _ in udp(1, 2, payload: 1472) }
        pair.link.send(together: packets, from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == packets)
        #expect(Double(Self.sizes(pair).count) <= Double(120 * 1500) / Double(path - 60) * 1.02 + 1)
    }

    @Test("frames too, as tightly", arguments: [1500, 1280])
    func frames(path: Int) {
        let pair = Self.pair(mtu: 1500, path: path, mode: .frames(isHub: false))
        let frames = (0..<120).map { _ in ethernet(host(1, 99), host(2, 1), udp(1, 2, payload: 1472)) }
        pair.link.send(ethernet: frames, from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received == frames)
        let sizes = Self.sizes(pair)
        #expect(sizes.max() ?? 0 <= path)
        #expect(Double(sizes.count) <= Double(120 * 1516) / Double(path - 60) * 1.02 + 1)
    }

    @Test("an end that did not announce it drops it")
    func unannounced() {
        let pair = Self.pair(mtu: 1500, path: 1500, packs: false)
        let packet = udp(1, 2, payload: 100)
        let drops = pair.deliver([0x1b, 0] + little(UInt16(packet.count + 1)) + [0] + packet)
        #expect(drops == [.record])
        let other = Self.pair(mtu: 1500, path: 1500)
        #expect(other.deliver([0x1b, 0] + little(UInt16(packet.count + 1)) + [0] + packet) == [])
        #expect(other.bob.received.last == packet)
        // What is cut off, and frames where packets are carried.
        #expect(other.deliver([0x1b, 1] + little(UInt16(packet.count + 1)) + [0] + packet) == [.record])
        #expect(other.deliver([0x1b, 0] + little(UInt16(3)) + [0, 0x45, 0]) == [.record])
    }

    // MARK: To others

    /// The ICMP type and code that alice's device gets, and the size that it tells.
    private static func told(_ pair: Pair, isV4: Bool) -> [UInt16]? {
        guard let answer = pair.alice.received.last else { return nil }
        let message = isV4 ? 20 : 40
        guard answer.count >= message + 8 else { return nil }
        return [
            UInt16(answer[message]), UInt16(answer[message + 1]),
            UInt16(answer[message + 6]) << 8 | UInt16(answer[message + 7]),
        ]
    }

    @Test("the sender of what can't be carried to a stock peer is told what fits, if it can do something about it")
    func tooBig() {
        let pair = Pair(CompressionPolicy(.auto), .off)
        pair.alice.routeMTU = 1280
        pair.connect()
        pair.link.run(for: .seconds(5))
        pair.connect()
        var packet = Segment()
        packet.isTCP = false
        packet.payload = [UInt8](repeating: 7, count: 1300)
        // DF is set.
        pair.link.send(packet.bytes, from: pair.alice)
        #expect(Self.told(pair, isV4: true) == [3, 4, 1220])
        #expect(pair.alice.drops(.tooBig, of: pair.bob) == 1)
        pair.alice.received = []
        packet.isV6 = true
        pair.link.send(packet.bytes, from: pair.alice)
        #expect(Self.told(pair, isV4: false) == [2, 0, 1280])
        #expect(pair.alice.drops(.tooBig, of: pair.bob) == 2)
        // What may be divided, or is no larger than IPv6 demands, goes.
        pair.forget()
        packet.payload = [UInt8](repeating: 7, count: 1232)
        pair.link.send(packet.bytes, from: pair.alice)
        packet.isV6 = false
        packet.fragment = 0
        pair.link.send(packet.bytes, from: pair.alice)
        pair.link.drain()
        #expect(pair.bob.received.count == 2)
        #expect(pair.link.sightings.allSatisfy { $0.division == .allowed })
        // At a bounded rate.
        packet.fragment = 0x4000
        packet.payload = [UInt8](repeating: 7, count: 1300)
        pair.alice.received = []
        for _ in 0..<1000 { pair.link.send(packet.bytes, from: pair.alice) }
        #expect(pair.alice.received.count <= 64)
    }

    @Test("TCP to a stock peer agrees on what the route takes, to a gateway on what the device does")
    func segments() {
        for packs in [false, true] {
            let pair = Self.pair(mtu: 1500, path: 1280, packs: packs)
            var syn = Segment()
            syn.flags = 2
            syn.tcpOptions = [2, 4] + big(UInt16(1460))
            pair.link.send(frames: [[UInt8](repeating: 0, count: VirtioHeader.size) + syn.bytes], from: pair.alice)
            pair.link.drain()
            #expect(Array(pair.bob.received.last?[42..<44] ?? []) == big(packs ? UInt16(1460) : 1176))
        }
    }
}
