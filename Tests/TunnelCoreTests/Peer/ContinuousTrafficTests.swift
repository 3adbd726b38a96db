import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct ContinuousTrafficTests {
    @Test(
        "no packet is lost or reordered in an hour of traffic both ways, and only the initiator renews, every 120 s",
        arguments: [CompressionPolicy.off, CompressionPolicy(.auto)])
    func bothWays(compression: CompressionPolicy) {
        let pair = Pair(compression, compression, latency: .milliseconds(35))
        pair.connect()
        let sent = pair.exchange(for: 3600, every: .milliseconds(100), ends: [pair.alice, pair.bob])
        #expect(pair.bob.received == sent.map { udp(1, 2, $0) })
        #expect(pair.alice.received == sent.map { udp(2, 1, $0) })
        let initiations = pair.link.sightings.initiations
        #expect(initiations.allSatisfy { $0.from == pair.alice.endpoint })
        #expect((29...30).contains(initiations.count))
        // The first message of a session may be one.
        #expect(pair.link.sightings.keepalives.filter { $0.counter > 0 }.summary == [])
        let times = initiations.map(\.at)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .seconds(120) && $1 - $0 <= .seconds(121) })
    }

    @Test(
        "no packet is lost in an hour of traffic one way, and there are no more handshakes than needed",
        arguments: [Interval.milliseconds(100), .milliseconds(130), .milliseconds(970)])
    func oneWay(interval: Interval) {
        let pair = Pair(latency: .milliseconds(35))
        pair.connect()
        let sent = pair.exchange(for: 3600, every: interval, ends: [pair.alice])
        #expect(pair.bob.received == sent.map { udp(1, 2, $0) })
        #expect((29...30).contains(pair.link.sightings.initiations.count))
        #expect(pair.link.sightings.initiations.sent(by: pair.bob).summary == [])
    }

    @Test("no packet is lost in an hour in which only the responder sends")
    func responderSends() {
        let pair = Pair(latency: .milliseconds(35))
        pair.connect()
        let sent = pair.exchange(for: 3600, every: .milliseconds(200), ends: [pair.bob])
        #expect(pair.alice.received == sent.map { udp(2, 1, $0) })
        #expect(pair.link.sightings.initiations.count <= 30)
    }

    @Test("on a wire that loses a tenth and reorders, an hour goes by without a gap of more than a handshake")
    func badWire() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        var noise = Noise(seed: 5)
        pair.link.rule = { _ in
            switch noise.next() % 20 {
            case 0, 1: .drop
            case 2: .duplicate
            case 3: .delay(.milliseconds(Int64(noise.next() % 300)))
            default: .deliver
            }
        }
        let sent = pair.exchange(for: 3600, every: .milliseconds(250), ends: [pair.alice, pair.bob])
        for (received, all) in [
            (pair.bob.received, sent.map { udp(1, 2, $0) }), (pair.alice.received, sent.map { udp(2, 1, $0) }),
        ] {
            #expect(Set(received).count == received.count)
            #expect(Set(received).isSubset(of: all))
            #expect(received.count > all.count * 85 / 100)
        }
    }
}

extension Pair {
    /// Lets ends send for so many seconds; what each packet carried.
    fileprivate func exchange(for seconds: Int64, every interval: Interval, ends: [End]) -> [[UInt8]] {
        var sent: [[UInt8]] = []
        let end = link.instant + .seconds(seconds)
        while link.instant + interval <= end {
            let content = Array("packet \(sent.count) ".utf8) + text(sent.count % 300)
            sent.append(content)
            for sender in ends {
                link.send(sender === alice ? udp(1, 2, content) : udp(2, 1, content), from: sender)
            }
            link.run(for: interval)
        }
        link.drain()
        return sent
    }
}
