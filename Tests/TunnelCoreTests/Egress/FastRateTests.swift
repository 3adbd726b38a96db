import Testing

@testable import TestKit
@testable import TunnelCore

/// Super-segments in front of a link that takes one in a millisecond: they wait as they are.
@Suite struct FastRateTests {
    @Test(
        "what waits whole arrives as its packets, each byte right and in order",
        arguments: [100_000_000, 500_000_000, 1_000_000_000] as [UInt64], [true, false])
    func order(rate: UInt64, isCompressed: Bool) {
        let pair = shaped(rate, compression: isCompressed ? CompressionPolicy(.auto) : .off)
        var expected: [[UInt8]] = []
        var noise = Noise(seed: rate | (isCompressed ? 1 : 0))
        var isWhole = false
        for turn in 0..<60 as Range<UInt32> {
            let frames = (0..<1 + noise.next() % 4).map { _ in
                let size = [1, 500, 1368, 1369, 20_000, 60_192][Int(noise.next() % 6)]
                let segment = segment(size, at: turn)
                return size > 1368 ? segment.frame(segment: 1368) : plain(segment)
            }
            expected += frames.flatMap { kernelSplit($0) ?? [] }
            pair.link.send(frames: frames, from: pair.alice)
            isWhole = isWhole || pair.waitsWhole
            pair.link.run(for: Interval(nanoseconds: Int64(noise.next() % 2_000_000)))
        }
        pair.link.run(for: .seconds(10))
        let isSame = pair.bob.received == expected
        #expect(isSame)
        #expect(isWhole == (rate > 100_000_000))
    }

    @Test("of one in a queue that stands a packet is dropped and not all, or all are marked", arguments: [false, true])
    func standing(isCapable: Bool) {
        let pair = shaped(1_000_000_000)
        var sent = 0
        for turn in 0..<1300 as Range<UInt32> {
            let segment = segment(44 * 1368, at: turn, trafficClass: isCapable ? 2 : 0)
            pair.link.send(frames: [segment.frame(segment: 1368)], from: pair.alice)
            sent += 44
            pair.link.run(for: Interval(nanoseconds: 497_000))
        }
        pair.link.run(for: .seconds(2))
        let dropped = Int(pair.alice.drops(.queueDelay, of: pair.bob))
        let marked = pair.bob.received.filter { $0[1] & 3 == 3 }.count
        #expect(isCapable ? dropped == 0 && marked > 0 && marked % 44 == 0 : dropped > 0 && marked == 0)
        #expect(dropped < sent / 44 && pair.bob.received.count + dropped == sent)
        #expect(pair.alice.drops(.queueFull, of: pair.bob) == 0)
    }

    @Test("more than there is room for is dropped packet by packet in the counts, and a small flow still leaves")
    func flood() {
        let pair = shaped(1_000_000_000)
        let frames = (0..<400 as Range<UInt32>).map { segment(44 * 1368, at: $0).frame(segment: 1368) }
        pair.forget()
        pair.link.send(frames: frames, from: pair.alice)
        let (waiting, start) = (pair.alice.tunnel.services.egress.queue.count, pair.link.instant)
        #expect(waiting > 4096 && waiting <= 4096 + 128 * 44)
        pair.link.send(udp(1, 2, payload: 20, port: 7), from: pair.alice)
        pair.link.run(for: .milliseconds(5))
        let small = pair.link.sightings.sent(by: pair.alice).first { $0.payload?.count ?? 1000 < 100 }
        #expect(small.map { $0.at - start < .milliseconds(2) } == true)
        pair.link.run(for: .seconds(2))
        let dropped = [DropReason.queueFull, .queueDelay].reduce(0) { $0 + Int(pair.alice.drops($1, of: pair.bob)) }
        #expect(dropped > 0 && pair.bob.received.count + dropped == 400 * 44 + 1)
        let left = pair.alice.tunnel.services.egress.queue.count
        #expect(left == 0)
    }

    private func shaped(_ rate: UInt64, compression: CompressionPolicy = .off) -> Pair {
        let pair = Pair(compression, compression)
        pair.connect()
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(rate, of: pair.bob.publicKey, at: now) }
        pair.bob.received = []
        return pair
    }

    private func segment(_ size: Int, at turn: UInt32, trafficClass: UInt8 = 0) -> Segment {
        var noise = Noise(seed: UInt64(turn) << 32 | UInt64(size))
        let payload = (0..<size).map { _ in Array("0123456789abcdef".utf8)[Int(noise.next() & 15)] }
        return Segment(trafficClass: trafficClass, sequence: turn &* 100_000, payload: payload)
    }

    private func plain(_ segment: Segment) -> [UInt8] {
        [UInt8](repeating: 0, count: VirtioHeader.size) + segment.bytes
    }
}

extension Pair {
    /// Whether more than one packet waits in one place.
    fileprivate var waitsWhole: Bool { alice.tunnel.services.egress.queue.memory.hasLarge }
}
