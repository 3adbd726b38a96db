import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// What `auto` thinks a byte is worth, and what it does then.
@Suite struct EffortTests {
    @Test("the thinner the link, the higher the effort; a fast one is not worth any")
    func monotone() {
        for codec in Codec.allCases {
            for size in [700, 1400, 10_000, 60_000] {
                for fraction in [0.05, 0.2, 0.5, 0.8] {
                    var last = Int32.min
                    for exponent in 0...20 {
                        let effort = Effort.best(
                            codec, size: size, fraction: fraction, link: 0.05 * Double(1 << exponent))
                        #expect((effort?.level ?? .min) >= last)
                        last = effort?.level ?? .min
                    }
                    #expect(last >= 6)
                    #expect(Effort.best(codec, size: size, fraction: fraction, link: 0.1) == nil)
                    guard fraction <= 0.5 else { continue }
                    #expect(Effort.best(codec, size: size, fraction: fraction, link: Effort.unknownLink) != nil)
                }
                #expect(Effort.best(codec, size: size, fraction: 1, link: 1e6)?.level ?? 9 > 1)
            }
        }
    }

    @Test("figures that can't be do no harm")
    func nonsense() {
        for codec in Codec.allCases {
            for size in [0, 1, -1, .max] {
                for fraction in [0, 1, 7, -1, .infinity, .nan] as [Double] {
                    for link in [0, -1, .infinity, .nan, 1e300, 1e-300] as [Double] {
                        _ = Effort.best(codec, size: size, fraction: fraction, link: link)
                    }
                }
            }
        }
    }

    @Test("a link that is known to be fast is left alone, and counted as such; a forced codec is not asked")
    func fastLink() {
        for (policy, unit) in [(CompressionPolicy.Mode.auto, false), (.codec(.zstd), true), (.codec(.deflate), true)] {
            let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(policy))
            pair.connect()
            tellBob(pair, bytesPerSecond: 1_250_000_000)
            for _ in 0..<10 { pair.link.send(udp(2, 1, text(1000)), from: pair.bob) }
            #expect(pair.link.sightings.sent(by: pair.bob).data.allSatisfy { $0.isUnit == unit })
            let busy = pair.bob.statistics(of: pair.alice)?.traffic.skipped[CompressionSkip.busy.rawValue]
            #expect(busy == (unit ? 0 : 10))
        }
    }

    @Test("it is compressed again when it becomes thin")
    func becomesThin() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        tellBob(pair, bytesPerSecond: 1_250_000_000)
        tellBob(pair, bytesPerSecond: 250_000, from: 100, reports: 20)
        pair.forget()
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        #expect(pair.link.sightings.data.summary == ["unit"])
    }

    @Test("a thin link gets the smaller units")
    func thinLink() throws {
        let sizes = [20_000, 2_500_000, 60_000_000].map { rate -> Int in
            let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
            pair.connect()
            tellBob(pair, bytesPerSecond: rate)
            pair.forget()
            var noise = Noise(seed: 4)
            let words = (0..<300).map { _ in noise.bytes(2 + Int(noise.next() % 9)).map { 0x61 + $0 % 26 } }
            for index in 0..<20 {
                var content: [UInt8] = []
                while content.count < 30_000 { content += words[Int(noise.next() % 300)] + [32] }
                let segment = Segment(source: 2, destination: 1, sequence: UInt32(index) * 40_000, payload: content)
                pair.link.send(frames: [segment.frame(segment: 1368)], from: pair.bob)
            }
            return pair.link.sightings.data.reduce(0) { $0 + $1.bytes.count }
        }
        #expect(sizes[0] < sizes[1] && sizes[1] < sizes[2], "\(sizes)")
    }

    @Test("a thread without time codes nothing by itself, and what it is told to")
    func noTime() {
        for (mode, hasUnits) in [(CompressionPolicy.Mode.auto, false), (.codec(.deflate), true)] {
            let pair = Pair(CompressionPolicy(mode), CompressionPolicy(mode))
            pair.connect()
            var turns = 0
            while pair.alice.tunnel.services.egress.governor.allowsCoding, turns < 1000 {
                busyTurn(pair)
                turns += 1
            }
            pair.forget()
            pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
            #expect(pair.link.sightings.data.summary == [hasUnits ? "unit" : "packet"])
            let busy = pair.alice.statistics(of: pair.bob)?.traffic.skipped[CompressionSkip.busy.rawValue]
            #expect(turns < 1000 && busy == (hasUnits ? 0 : 1))
        }
    }

    @Test("what is tried in vain counts once, so a thread that gets more through without compression rests")
    func triedInVain() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        var noise = Noise(seed: 9)
        var port: UInt16 = 10_000
        var codingTurns = 0
        for turn in 0..<900 {
            busyTurn(pair)
            let isCoding = pair.alice.tunnel.services.egress.governor.allowsCoding
            if turn >= 400, isCoding { codingTurns += 1 }
            // Too short to look random, and each a flow of its own.
            for _ in 0..<(isCoding ? 4 : 6) {
                port += 1
                pair.link.send(udp(1, 2, noise.bytes(200), port: port), from: pair.alice)
            }
        }
        #expect(codingTurns == 0)
    }

    /// A millisecond in which alice's thread does not sleep.
    private func busyTurn(_ pair: Pair) {
        pair.link.run(for: .milliseconds(1))
        pair.alice.tunnel.beginTurn(at: pair.link.now(at: pair.alice), idle: Interval(nanoseconds: 0))
    }

    /// Alice's reports of what she gets a second.
    private func tellBob(_ pair: Pair, bytesPerSecond: Int, from start: Int = 0, reports: Int = 12) {
        for index in start...start + reports {
            let bytes = UInt64(index * bytesPerSecond / 10)
            let report = reportRecord(
                highest: UInt64(1000 + index * 1000), datagrams: UInt64(index * 1000),
                bytes: start == 0 ? bytes : bytes &+ 1 << 40,
                clock: UInt64(index * 100_000))
            #expect(pair.deliver(report) == [])
        }
    }
}
