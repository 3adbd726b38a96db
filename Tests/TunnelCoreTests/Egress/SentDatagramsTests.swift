import BasicContainers
import Testing

@testable import TestKit
@testable import TunnelCore

/// What may be sent again, by counter.
@Suite struct SentDatagramsTests {
    private let lane = ReceiverIndex(rawValue: 77)
    private let peer = PeerSlot(0)
    private let start = Instant(nanoseconds: 5_000_000_000)

    @Test("when a counter left is known of what is kept, and of nothing else")
    func departures() throws {
        var sent = begun()
        append(5, to: &sent, at: 0)
        // 6 and 7 went to something that is not kept; 8 left 30 ms later.
        append(8, to: &sent, at: 30)
        let departures = (4...9).map { sent.departure(of: $0, to: peer) }
        #expect(departures == [nil, start, nil, nil, start + .milliseconds(30), nil])
        let found = sent.find(8, of: peer)
        let kept = try #require(found)
        sent.earn(1 << 20, of: peer)
        let isPaid = sent.pay(for: kept, 8, of: peer, at: start + .milliseconds(60))
        #expect(isPaid)
        // Which of the two arrived nobody knows (RFC 6298 §3).
        let again = sent.departure(of: 8, to: peer)
        #expect(again == nil)
    }

    @Test("what is left as lost stays kept, and is known as such")
    func left() {
        var sent = begun()
        append(5, to: &sent, at: 0)
        let before = sent.find(5, of: peer)?.isLeft
        sent.leave(5, of: peer)
        let after = sent.find(5, of: peer)?.isLeft
        let departure = sent.departure(of: 5, to: peer)
        #expect(before == false && after == true && departure == nil)
    }

    @Test("a hundred peers keep 32 MB together and one of them 8; what has no room then has some later")
    func room() {
        var sent = SentDatagrams()
        for number in 0..<100 { sent.begin(lane, of: PeerSlot(number)) }
        for counter in 0..<5000 as Range<UInt64> { append(counter, to: &sent, at: 0) }
        let ofOne = sent.count
        let (oldest, newest) = (sent.find(5, of: peer) != nil, sent.find(4999, of: peer) != nil)
        #expect(ofOne == 4096 && !oldest && newest)
        for counter in 0..<400 as Range<UInt64> {
            for number in 1..<100 { append(counter, to: &sent, at: 10, of: PeerSlot(number)) }
        }
        // Blocks of 2 KB.
        let ofAll = sent.count
        #expect(ofAll == 16_384)
        let isKept = sent.find(399, of: PeerSlot(99)) != nil
        #expect(!isKept)
        sent.end(peer)
        append(400, to: &sent, at: 20, of: PeerSlot(99))
        let isKeptNow = sent.find(400, of: PeerSlot(99)) != nil
        #expect(isKeptNow)
        for number in 0..<100 { sent.end(PeerSlot(number)) }
        let left = sent.count
        #expect(left == 0)
    }

    @Test("what a stream needs may be sent again in advance, up to a bound; nothing else may")
    func debt() throws {
        var sent = begun()
        for counter in 0..<800 as Range<UInt64> {
            append(counter, in: counter < 400 ? 3 : nil, to: &sent, at: 0)
        }
        var bytes = [0, 0]
        for counter in 0..<800 as Range<UInt64> {
            let found = sent.find(counter, of: peer)
            let kept = try #require(found)
            #expect(kept.stream == (counter < 400 ? 3 : nil))
            for _ in 0..<20 where sent.pay(for: kept, counter, of: peer, at: start) {
                bytes[counter < 400 ? 0 : 1] += kept.length
            }
        }
        #expect(bytes[0] > 256 << 10 && bytes[0] <= 272 << 10 && bytes[1] == 0)
    }

    private func begun() -> SentDatagrams {
        var sent = SentDatagrams()
        sent.begin(lane, of: peer)
        return sent
    }

    private func append(
        _ counter: UInt64, in stream: Int? = nil, to sent: inout SentDatagrams, at milliseconds: Int64,
        of peer: PeerSlot = PeerSlot(0)
    ) {
        let datagram = [4, 0, 0, 0] + little(lane.rawValue) + little(counter) + [UInt8](repeating: 1, count: 64)
        unsafe sent.append(
            datagram.span.bytes, of: stream, to: peer, trafficClass: 0, at: start + .milliseconds(milliseconds),
            horizon: .distantPast)
    }
}
