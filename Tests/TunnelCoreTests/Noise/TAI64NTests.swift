import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct TAI64NTests {
    @Test("the start of 1970 is 2^62 + 10 s")
    func epoch() {
        let time = TAI64N(WallTime(seconds: 0, nanoseconds: 0), after: .zero)
        #expect(bytes(time) == [0x40, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0])
        let later = TAI64N(WallTime(seconds: 1, nanoseconds: 0x0200_0005), after: .zero)
        #expect(bytes(later) == [0x40, 0, 0, 0, 0, 0, 0, 11, 2, 0, 0, 0], "it tells no fine time")
    }

    @Test("timestamps grow even if the clock stands still or is set back")
    func grows() {
        var last = TAI64N(WallTime(seconds: 1000, nanoseconds: 0), after: .zero)
        for round in 0..<300 {
            let seconds: Int64 = round % 3 == 0 ? -5 : 1000
            let next = TAI64N(WallTime(seconds: seconds, nanoseconds: 999_999_999), after: last)
            #expect(next > last)
            #expect(bytes(last).lexicographicallyPrecedes(bytes(next)))
            last = next
        }
        let after = TAI64N(WallTime(seconds: 2000, nanoseconds: 0), after: last)
        #expect(after == TAI64N(WallTime(seconds: 2000, nanoseconds: 0), after: .zero))
    }

    @Test("the order of timestamps is the order of their bytes")
    func order() {
        var noise = Noise(seed: 9)
        for _ in 0..<1000 {
            let (a, b) = (noise.bytes(12), noise.bytes(12))
            let (first, second) = (TAI64N(bytes: InlineArray { a[$0] }), TAI64N(bytes: InlineArray { b[$0] }))
            #expect((first < second) == a.lexicographicallyPrecedes(b))
            #expect(bytes(first) == a)
        }
    }

    private func bytes(_ time: TAI64N) -> [UInt8] { (0..<12).map { time.bytes[$0] } }
}
