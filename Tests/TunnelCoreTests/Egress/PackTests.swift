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

    @Test("the order of every flow stays, whatever the sizes", arguments: [1500, 1280, 576])
    func order(path: Int) {
        for policy in [CompressionPolicy(.auto), CompressionPolicy(.receive), CompressionPolicy(.auto, scope: .peer)] {
            for packs in [true, false] {
                let pair = Self.pair(mtu: 4000, path: path, compression: policy, packs: packs)
                var noise = Noise(seed: UInt64(path))
                for _ in 0..<20 {
                    pair.forget()
                    let packets = (0..<60).map { _ in
                        let size = Int(noise.next() % 5 == 0 ? noise.next() % 3900 : noise.next() % 700)
                        let port = UInt16(4000 + noise.next() % 4)
                        return noise.next() % 2 == 0
                            ? udp(1, 2, payload: size, port: port) : udp(1, 2, text(size), port: port)
                    }
                    pair.link.send(together: packets, from: pair.alice)
                    pair.link.drain()
                    for port in UInt16(4000)..<4004 {
                        let of = { (all: [[UInt8]]) in
                            all.filter { $0[20] == UInt8(port >> 8) && $0[21] == UInt8(port & 255) }
                        }
                        let (came, sent) = (of(pair.bob.received), of(packets))
                        #expect(
                            came == sent,
                            "\(packs) \(policy.mode) \(policy.scope): \(sent.count) sent, \(came.count) came")
                    }
                }
            }
        }
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
