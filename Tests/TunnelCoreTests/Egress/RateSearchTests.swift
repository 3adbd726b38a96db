import Testing

@testable import TestKit
@testable import TunnelCore

/// `Rate = auto` in front of a link that is simulated, with half a second of buffer and 20 ms each way.
@Suite struct RateSearchTests {
    @Test(
        "over a link of 20, 5, 50, 2 and 20 Mbit/s more than four fifths of what it offers are used, and little waits there",
        arguments: [(0.0, 0.0), (0.01, 0.0), (0.0, 0.01)])
    func moving(loss: Double, jitter: Double) {
        let path = ThinPath(2_000_000...50_000_000) { [20, 5, 50, 2, 20][min(Int($0 / 10), 4)] }
        path.loss = loss
        path.jitter = jitter
        path.run(for: 50)
        #expect(path.part > 0.85)
        #expect(path.wait(at: 0.95) < 0.06)
        // After each change a second or two is all that it takes.
        #expect(path.wait(at: 0.5) < 0.02)
    }

    @Test(
        "of a steady link more than nine tenths are used, with a queue of some 20 ms at most", arguments: [0.3, 2, 20])
    func steady(rate: Double) {
        let path = ThinPath(64_000...100_000_000) { _ in rate }
        path.run(for: 10)
        path.forget()
        path.run(for: 15)
        #expect(path.part > 0.9)
        // A word about 300 kbit/s comes each third of a second.
        #expect(path.wait(at: 0.95) < (rate < 1 ? 0.25 : 0.06))
    }

    @Test("a way that becomes longer, or shorter, is no queue, whatever stands there then", arguments: 0..<6)
    func longer(turn: Int) {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        let start = 8 + Double(turn) / 5
        path.delay = { $0 < start ? 0.02 : $0 < start + 8 ? 0.06 : 0.02 }
        path.run(for: start)
        for _ in 0..<2 {
            path.forget()
            path.run(for: 8)
            #expect(path.part > 0.88)
            #expect(path.wait(at: 0.95) < 0.08)
        }
    }

    @Test("a link that drops what does not fit at once is found as well, by what gets lost")
    func noBuffer() {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        path.buffer = 0.004
        path.run(for: 5)
        path.forget()
        path.run(for: 10)
        #expect(path.part > 0.9)
        #expect(path.search.rate < 25_000_000)
    }

    @Test("when nothing is heard any more the rate falls to the lower bound within seconds")
    func silence() {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        path.run(for: 10)
        #expect(path.search.rate > 15_000_000)
        path.isHeard = false
        path.run(for: 5)
        #expect(path.search.rate == 1_000_000)
        path.isHeard = true
        path.run(for: 5)
        #expect(path.search.rate > 15_000_000)
    }

    @Test("a rate that is not used does not rise, and what was found fades")
    func unused() {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        path.offered = { $0 < 15 ? 3e6 : $0 < 20 ? 1e12 : $0 < 70 ? 0 : 1e12 }
        path.run(for: 15)
        #expect((3_000_000...4_600_000).contains(path.search.rate))
        path.run(for: 6)
        let found = path.search.rate
        #expect((15_000_000...25_000_000).contains(found))
        // For a while it holds, then it halves every ten seconds.
        path.run(for: 5)
        #expect(path.search.rate == found)
        path.run(for: 14)
        #expect((found / 3...found * 3 / 4).contains(path.search.rate))
        path.run(for: 30)
        #expect(path.search.rate < 3_000_000)
        // A burst after that finds the link again.
        path.forget()
        path.run(for: 5)
        #expect(path.part > 0.8)
        #expect(path.wait(at: 0.95) < 0.1)
    }

    @Test("a peer that says that more arrives than was sent gains nothing by it")
    func lies() {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        path.lie = { word in word.bytes *= 1000 }
        path.offered = { _ in 3e6 }
        path.run(for: 10)
        #expect(path.search.rate < 4_600_000)
        // Used to the full, it goes on as if it had said what was sent.
        let other = ThinPath(1_000_000...50_000_000) { _ in 20 }
        other.lie = path.lie
        other.run(for: 15)
        #expect(other.search.rate < 32_000_000)
        #expect(other.wait(at: 0.95) < 0.1)
    }

    @Test("whatever is said when, the rate stays within bounds", arguments: 1...4)
    func nonsense(seed: UInt64) {
        var noise = Noise(seed: seed << 40)
        var search = RateSearch(1_000_000...20_000_000)
        var sent: UInt64 = 0
        var now = Instant(nanoseconds: 1_000_000_000)
        var word = RateSearch.Word(datagrams: 0, bytes: 0, highest: 0, clock: 0, delay: nil)
        func some(_ most: UInt64) -> UInt64 { noise.next() % 7 == 0 ? noise.next() : noise.next() % most }
        for _ in 0..<20_000 {
            now = now + Interval(nanoseconds: Int64(noise.next() % 200_000_000))
            sent &+= noise.next() % 300_000
            word.datagrams &+= some(200)
            word.bytes &+= some(300_000)
            word.highest &+= some(250)
            word.clock &+= some(200_000)
            word.delay = noise.next() % 3 == 0 ? nil : Interval(nanoseconds: Int64(bitPattern: some(100_000_000)))
            search.age(sent: sent, at: now)
            search.take(word, sent: sent, roundTrip: .milliseconds(Int64(noise.next() % 300)), at: now)
            #expect((200_000...20_000_000).contains(search.rate))
        }
    }

    @Test("other bounds hold at once, and what was found goes on within them")
    func bounds() {
        let path = ThinPath(1_000_000...50_000_000) { _ in 20 }
        path.run(for: 10)
        #expect(path.search.within(1_000_000...8_000_000).rate == 8_000_000)
        #expect(path.search.within(30_000_000...80_000_000).rate == 30_000_000)
        #expect(path.search.within(2_000_000...60_000_000).rate == path.search.rate)
    }
}

/// A sender that has always something to send, a link with a buffer, and a receiver that says what arrives, as a gateway does.
private final class ThinPath {
    var search: RateSearch
    private let rate: (Double) -> Double
    var delay: (Double) -> Double = { _ in 0.02 }
    /// Bits a second that there are to send.
    var offered: (Double) -> Double = { _ in 1e12 }
    var loss = 0.0
    /// Each datagram takes up to so many seconds more; the order stays.
    var jitter = 0.0
    var buffer = 0.5
    var isHeard = true
    var lie: (inout RateSearch.Word) -> Void = { _ in }

    private struct Flight {
        var at: Double
        let counter: UInt64
        let departed: Double
    }

    private var noise = Noise(seed: 5 << 40)
    private var time = 0.0
    private var sent: UInt64 = 0
    private var counter: UInt64 = 0
    private var credit = 0.0
    private var shaperFreeAt = 0.0
    private var linkFreeAt = 0.0
    private var lastAt = 0.0
    private var flights: [Flight] = []
    private var head = 0
    private var arrived = RateSearch.Word(datagrams: 0, bytes: 0, highest: 0, clock: 0, delay: nil)
    private var told = (bytes: 0 as UInt64, at: -1.0)
    private var words: [(at: Double, word: RateSearch.Word)] = []
    private var waits: [Double] = []
    private var possible = 0.0
    private var delivered = 0.0

    private static let step = 0.001
    private static let size = 1442.0

    init(_ bounds: ClosedRange<UInt64>, rate: @escaping (Double) -> Double) {
        search = RateSearch(bounds)
        self.rate = rate
    }

    /// The part of what the link could carry that arrived.
    var part: Double { delivered / possible }

    /// How long a ping waits in the link's buffer at most, so many of a hundred.
    func wait(at share: Double) -> Double { waits.sorted()[Int(share * Double(waits.count - 1))] }

    /// Counts anew from here on.
    func forget() {
        waits = []
        possible = 0
        delivered = 0
    }

    func run(for seconds: Double) {
        let end = time + seconds
        while time < end {
            let before = rate(time)
            time += Self.step
            if rate(time) != before { changeRate(from: before) }
            possible += rate(time) * 1e6 * Self.step
            if Int(time / Self.step) % 25 == 0 { waits.append(max(linkFreeAt - time, 0)) }
            send()
            receive()
            while let first = words.first, first.at <= time {
                words.removeFirst()
                search.take(first.word, sent: sent, roundTrip: .milliseconds(40), at: instant)
            }
        }
    }

    private var instant: Instant { Instant(nanoseconds: 1_000_000_000_000 + Int64(time * 1e9)) }

    /// What waits in the buffer leaves at the new rate.
    private func changeRate(from before: Double) {
        let scale = before / rate(time)
        for index in head..<flights.count {
            let left = flights[index].at - delay(time) - time
            if left > 0 { flights[index].at = time + delay(time) + left * scale }
        }
        linkFreeAt = time + min(max(linkFreeAt - time, 0) * scale, 5)
        lastAt = time
    }

    private func send() {
        let bits = Self.size * 8
        credit = min(credit + offered(time) * Self.step, 1e5)
        search.age(sent: sent, at: instant)
        while shaperFreeAt <= time, credit >= bits {
            credit -= bits
            shaperFreeAt = max(shaperFreeAt, time - Self.step) + bits / Double(search.rate)
            sent += UInt64(Self.size)
            counter += 1
            guard linkFreeAt - time <= buffer else { continue }
            linkFreeAt = max(linkFreeAt, time) + bits / (rate(time) * 1e6)
            guard chance() >= loss else { continue }
            lastAt = max(linkFreeAt + delay(time) + chance() * jitter, lastAt)
            flights.append(Flight(at: lastAt, counter: counter, departed: time))
        }
    }

    private func receive() {
        while head < flights.count, flights[head].at <= time {
            let flight = flights[head]
            head += 1
            arrived.datagrams += 1
            arrived.bytes += UInt64(Self.size)
            arrived.highest = flight.counter
            delivered += Self.size * 8
            guard isHeard, arrived.bytes - told.bytes >= 12_400, time - told.at >= 0.05 else { continue }
            told = (arrived.bytes, time)
            var word = arrived
            word.clock = UInt64(time * 1e6)
            // The clocks have nothing to do with each other.
            word.delay = Interval(nanoseconds: Int64((flight.at - flight.departed) * 1e9) - 77_000_000_000)
            lie(&word)
            words.append((time + delay(time), word))
        }
        if head > 4096 {
            flights.removeFirst(head)
            head = 0
        }
    }

    private func chance() -> Double { Double(noise.next() >> 11) / Double(1 << 53) }
}
