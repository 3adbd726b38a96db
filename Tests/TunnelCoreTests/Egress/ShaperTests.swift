import Testing

@testable import TestKit
@testable import TunnelCore

/// How a rate is kept by a thread that never comes in time.
@Suite struct ShaperTests {
    @Test(
        "over any 100 ms leaves what the rate allows and two datagrams, and over seconds no less than 0.98 of it",
        arguments: [64_000, 1_000_000, 20_000_000, 50_000_000, 200_000_000, 499_000_000, 500_000_000, 1_000_000_000]
            as [UInt64])
    func window(rate: UInt64) {
        // A thread comes up to 0.1 ms late, and once in a thousand times up to a millisecond and a half.
        let sent = Sent(rate) { $0.next() % 1000 == 0 ? $0.next() % 1_500_000 : $0.next() % 100_000 }
        #expect(sent.most <= rate / 80 + 2 * 1500)
        let allowed = Double(rate) / 8 * sent.seconds
        #expect(Double(sent.bytes) > 0.98 * allowed && Double(sent.bytes) < 1.001 * allowed + 3000)
    }

    @Test(
        "a thread that is always late sends what it should, up to an eighth faster, and never more than a millisecond's worth at once",
        arguments: [20_000_000, 200_000_000, 1_000_000_000] as [UInt64])
    func lateness(rate: UInt64) {
        let grant = Shaper(rate: rate).grant
        let time = Int64(grant) * 8_000_000_000 / Int64(rate)
        // So late that a twelfth of what it could have sent is lost each time.
        let late = UInt64(1_000_000 + time / 12)
        let sent = Sent(rate) { _ in late }
        #expect(Double(sent.bytes) > 0.97 * Double(rate) / 8 * sent.seconds)
        #expect(sent.burst <= Int(rate) / 8000 + grant + 1500)
    }

    @Test("of one long sleep no more is made up for than of a short one, and while nothing waited nothing is owed")
    func sleep() {
        // A byte takes a microsecond.
        var shaper = Shaper(rate: 8_000_000)
        var now = Instant(nanoseconds: 1_000_000_000)
        let start = now
        for waiting in [start, nil] {
            now = shaper.freeAt < start ? start : shaper.freeAt + .seconds(5)
            let before = now
            for _ in 0..<400 {
                shaper.charge(1000, at: now, waiting: waiting ?? now)
                now = max(now, shaper.freeAt)
            }
            // What an idle link has saved up is a millisecond's worth.
            let taken = (now - before).nanoseconds
            #expect(taken >= 399_000_000 && taken <= 400_000_000)
        }
    }

    @Test("a link's time is what its bytes take, and none traps")
    func time() {
        #expect(Shaper(rate: 64_000).time(for: 1000).nanoseconds == 125_000_000)
        #expect(abs(Shaper(rate: 20_000_000).time(for: 65_535).nanoseconds - 26_214_000) <= 1)
        for rate in [0, 1, 63, 64_000, 1_000_000_000, .max] as [UInt64] {
            var shaper = Shaper(rate: rate)
            for bytes in [.min, -1, 0, 1, 1500, 65_535, 1 << 40, .max] as [Int] {
                #expect(shaper.time(for: bytes).nanoseconds >= 0)
                shaper.charge(bytes, at: Instant(nanoseconds: 1 << 60), waiting: .distantFuture)
            }
            #expect(shaper.bytes(in: .seconds(1)) >= 0 && shaper.grant >= 0)
            shaper.setRate(1_000_000)
            #expect(shaper.time(for: 125).nanoseconds == 1_000_000)
        }
    }
}

/// What a thread sends in some seconds while packets of 1500 bytes always wait.
private struct Sent {
    let seconds: Double
    /// What it sends: in all, at most in 100 ms, and at most in one waking.
    private(set) var bytes = 0
    private(set) var most = 0
    private(set) var burst = 0

    /// `lateness`, in nanoseconds, is how long after the moment for which it sleeps the thread wakes up.
    init(_ rate: UInt64, lateness: (inout Noise) -> UInt64) {
        seconds = rate > 20_000_000 ? 2 : 10
        var shaper = Shaper(rate: rate)
        var noise = Noise(seed: rate)
        let start = Instant(nanoseconds: 1_000_000_000)
        var now = start
        var recent: [(at: Instant, bytes: Int)] = []
        var (first, inWindow) = (0, 0)
        while now - start < .seconds(Int64(seconds)) {
            var atOnce = 0
            while shaper.isFree(at: now) {
                let sent = max(shaper.grant / 1500, 1) * 1500
                shaper.charge(sent, at: now, waiting: start)
                atOnce += sent
            }
            bytes += atOnce
            inWindow += atOnce
            recent.append((now, atOnce))
            while now - recent[first].at >= .milliseconds(100) {
                inWindow -= recent[first].bytes
                first += 1
            }
            most = max(most, inWindow)
            burst = max(burst, atOnce)
            now = shaper.freeAt + Interval(nanoseconds: Int64(lateness(&noise)))
        }
    }
}
