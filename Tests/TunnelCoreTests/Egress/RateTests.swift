import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// A rate of an interface or a peer: what waits, in what order it leaves, and how fast.
@Suite struct RateTests {
    @Test(
        "what leaves in ten seconds is what the rate allows, outer headers and overhead counted",
        arguments: [64_000, 1_000_000, 20_000_000] as [UInt64])
    func accuracy(rate: UInt64) {
        let pair = shaped(rate)
        let feeder = Feeder(pair, rate: rate * 2)
        feeder.run(for: .seconds(1))
        let start = pair.link.instant
        pair.forget()
        feeder.run(for: .seconds(10))
        let bits = pair.link.sightings.sent(by: pair.alice).reduce(0) { $0 + onLink($1) } * 8
        let seconds = Double((pair.link.instant - start).nanoseconds) / 1e9
        #expect(abs(Double(bits) / seconds / Double(rate) - 1) < 0.02)
    }

    @Test("a thread that slept for seconds sends no burst")
    func sleep() {
        let pair = shaped(2_000_000)
        for _ in 0..<100 { pair.link.send(udp(1, 2, noise(1000)), from: pair.alice) }
        pair.forget()
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.handleTimeout(at: Now(instant: now.instant + .seconds(5), wall: now.wall))
        }
        let sent = pair.link.sightings.sent(by: pair.alice)
        #expect((1...2).contains(sent.count))
    }

    @Test("a packet of a flow that sends little leaves before those that wait")
    func sparse() {
        let pair = shaped(2_000_000)
        for _ in 0..<60 { pair.link.send(udp(1, 2, noise(1000)), from: pair.alice) }
        let small = udp(1, 2, payload: 20, port: 7)
        pair.forget()
        let start = pair.link.instant
        pair.link.send(small, from: pair.alice)
        pair.link.run(for: .milliseconds(100))
        let sighting = pair.link.sightings.sent(by: pair.alice).first { $0.payload?.count ?? 0 < 100 && $0.isPlain }
        // Two datagrams of 1,100 bytes take nine milliseconds.
        #expect(sighting.map { $0.at - start <= .milliseconds(10) } == true)
    }

    @Test("a flow that sends much and one that sends more have equal parts of the wire")
    func equalParts() {
        let pair = shaped(2_000_000)
        pair.forget()
        for number in 0..<500 as Range<UInt64> {
            for _ in 0..<2 { pair.link.send(udp(1, 2, noise(1000, seed: number), port: 8), from: pair.alice) }
            for _ in 0..<6 { pair.link.send(udp(1, 2, noise(1000, seed: number), port: 9), from: pair.alice) }
            pair.link.run(for: .milliseconds(10))
        }
        let sent = pair.link.sightings.sent(by: pair.alice).filter(\.isData)
        let first = sent.filter { $0.payload.map { PacketView($0).ports.0 } == 8 }.count
        let part = Double(first) / Double(sent.count)
        #expect(abs(part - 0.5) < 0.05)
    }

    @Test("one flow of a peer has as much of the interface's rate as ten of another")
    func peers() {
        let pair = shaped(nil)
        let carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.introduce(pair.alice, site(1), to: carol, Pair.Options())
        pair.introduce(carol, site(3), to: pair.alice, Pair.Options())
        pair.link.send(udp(1, 3, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(2_000_000, linkOverhead: 14, at: now) }
        pair.forget()
        for _ in 0..<1000 {
            for _ in 0..<2 { pair.link.send(udp(1, 2, noise(1000)), from: pair.alice) }
            for port in 0..<10 as Range<UInt16> {
                pair.link.send(udp(1, 3, noise(1000), port: port), from: pair.alice)
            }
            pair.link.run(for: .milliseconds(10))
        }
        let sent = pair.link.sightings.sent(by: pair.alice).filter(\.isData)
        let toBob = sent.filter { $0.to == pair.bob.endpoint }.reduce(0) { $0 + onLink($1) }
        let all = sent.reduce(0) { $0 + onLink($1) }
        let part = Double(toBob) / Double(all)
        #expect(abs(part - 0.5) < 0.05)
    }

    @Test("a flood of flows fills no more than its part of memory, and a packet of another peer still leaves")
    func manyFlows() {
        let pair = shaped(2_000_000)
        for number in 0..<20_000 {
            pair.link.send(udp(1, 2, payload: 900, port: UInt16(number)), from: pair.alice)
        }
        let waiting = pair.alice.tunnel.services.egress.queue.count
        #expect(waiting <= 4096)
        #expect(pair.alice.drops(.queueFull, of: pair.bob) > 10_000)
        pair.link.run(for: .seconds(2))
        let after = pair.alice.tunnel.services.egress.queue.count
        #expect(after == 0)
    }

    @Test("of packets that shrink before they leave more may wait, four times as many at most")
    func shrinking() {
        for (taken, most) in [(0, 100), (20_000, 100), (40_000, 200), (1_000_000, 400)] {
            var queue = PacketQueue()
            queue.setRate(2_000_000)
            let packet = [UInt8](repeating: 1, count: 1000)
            let now = Instant(nanoseconds: 1)
            var waiting = 0
            for number in 0..<1000 {
                let dropped = unsafe queue.append(packet.span.bytes, of: 5, from: 0, to: 0, at: now)
                if number == 0 { queue.noteShrunk(taken, to: 20_000, for: 0) }
                if dropped != nil { break }
                waiting += 1
            }
            #expect(abs(waiting - most) < 3)
        }
    }

    @Test("a queue that stands is told: by a mark where there may be one, else by a dropped packet")
    func standing() {
        let pair = shaped(1_000_000)
        let feeder = Feeder(pair, rate: 1_300_000)
        feeder.run(for: .seconds(5))
        #expect(pair.alice.drops(.queueDelay, of: pair.bob) > 0)
        let other = shaped(1_000_000)
        let capable = Feeder(other, rate: 1_300_000, isCapable: true)
        capable.run(for: .seconds(5))
        #expect(other.alice.drops(.queueDelay, of: other.bob) == 0)
        let marks = other.alice.statistics(of: other.bob)?.marks ?? 0
        #expect(marks > 0)
    }

    @Test("a handshake does not wait behind data, and packets arrive in order")
    func order() {
        let pair = shaped(1_000_000)
        let packets = (0..<10).map { udp(1, 2, noise(900, seed: UInt64($0))) }
        pair.bob.received = []
        pair.link.send(together: packets, from: pair.alice)
        pair.link.run(for: .seconds(5))
        let isSame = pair.bob.received == packets
        #expect(isSame)
    }

    @Test("frames wait like packets", arguments: [CompressionPolicy.off, CompressionPolicy(.auto)])
    func frames(policy: CompressionPolicy) {
        let pair = Pair(both: Pair.Options(compression: policy, mode: .frames(isHub: false)))
        pair.meet()
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(1_000_000, of: pair.bob.publicKey, at: now) }
        let frames = (0..<10).map { number in
            ethernet(host(1), host(2), ip: udp(1, 2, noise(800, seed: UInt64(number))))
        }
        pair.forget()
        let start = pair.link.instant
        pair.link.send(ethernet: frames, from: pair.alice)
        pair.link.run(for: .seconds(5))
        let isSame = pair.bob.received == frames
        #expect(isSame)
        let last = pair.link.sightings.sent(by: pair.alice).filter(\.isData).last?.at ?? start
        #expect(last - start >= .milliseconds(policy == .off ? 60 : 50))
    }

    @Test("over any 100 ms what leaves is what the rate allows within two datagrams, units as well")
    func pace() {
        for compression in [CompressionPolicy.off, CompressionPolicy(.auto)] {
            let pair = shaped(2_000_000, compression: compression)
            pair.link.run(for: .seconds(1))
            pair.forget()
            let start = pair.link.instant
            for turn in 0..<100 {
                let packets = (0..<10).map { udp(1, 2, hex(1000, seed: UInt64(turn * 10 + $0))) }
                pair.link.send(together: packets, from: pair.alice)
                pair.link.run(for: .milliseconds(20))
            }
            let sent = pair.link.sightings.sent(by: pair.alice).filter { $0.at - start > .milliseconds(200) }
            let hasPieces = sent.contains { $0.isFragment }
            #expect(hasPieces == (compression != .off))
            var first = 0
            var bytes = 0
            var most = 0
            for sighting in sent {
                bytes += onLink(sighting)
                while sighting.at - sent[first].at > .milliseconds(100) {
                    bytes -= onLink(sent[first])
                    first += 1
                }
                most = max(most, bytes)
            }
            #expect(most <= 25_000 + 2 * 1500, "\(compression.mode)")
            let all = sent.reduce(0) { $0 + onLink($1) }
            #expect(all > 430_000)
        }
    }

    @Test("a packet of a flow that sends little goes between the datagrams of a unit")
    func preemption() throws {
        let pair = shaped(1_000_000, compression: CompressionPolicy(.auto))
        pair.link.send(together: (0..<40).map { udp(1, 2, hex(1000, seed: UInt64($0))) }, from: pair.alice)
        pair.link.run(for: .milliseconds(60))
        let before = pair.bob.received.count
        pair.forget()
        let start = pair.link.instant
        pair.link.send(udp(1, 2, payload: 20, port: 7), from: pair.alice)
        pair.link.run(for: .milliseconds(40))
        let sent = pair.link.sightings.sent(by: pair.alice)
        let index = try #require(sent.firstIndex { ($0.payload?.count ?? 1000) < 100 })
        // Two of its datagrams are under way or as good as: twelve milliseconds each.
        #expect(sent[index].at - start <= .milliseconds(24))
        let goesOn = sent[index...].contains { $0.isFragment }
        #expect(goesOn)
        pair.link.run(for: .seconds(5))
        // No piece of a unit is lost by that, and none is out of its place.
        let dropped = Int(pair.alice.drops(.queueDelay, of: pair.bob))
        #expect(before > 0 && before + pair.bob.received.count + dropped == 41)
    }

    @Test("whatever comes when, no packet of a flow overtakes another one of it", arguments: 1...8)
    func orderOfFlows(seed: UInt64) {
        let pair = shaped([200_000, 1_000_000, 5_000_000][Int(seed % 3)], compression: CompressionPolicy(.auto))
        var noise = Noise(seed: seed << 32)
        var number: UInt64 = 0
        for _ in 0..<150 {
            let port = UInt16(noise.next() % 4)
            let packets = (0..<1 + noise.next() % 12).map { _ in
                number += 1
                // A flow of each kind; the number is at the end.
                let size = port == 0 ? 20 : 300 + Int(noise.next() % 1000)
                let content = port == 1 ? TunnelCoreTests.noise(size, seed: number) : hex(size, seed: number)
                return udp(1, 2, content + big(number), port: port)
            }
            pair.link.send(together: packets, from: pair.alice)
            pair.link.run(for: Interval(nanoseconds: Int64(noise.next() % 40_000_000)))
        }
        pair.link.run(for: .seconds(10))
        var last: [UInt8: UInt64] = [:]
        for packet in pair.bob.received {
            let number = packet.suffix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            #expect(number > last[packet[21]] ?? 0)
            last[packet[21]] = number
        }
        #expect(last.count == 4)
    }

    @Test("what waits sealed goes with its peer, and with the interface")
    func removal() {
        for isRemoved in [false, true] {
            let pair = shaped(100_000, compression: CompressionPolicy(.auto))
            pair.link.send(together: (0..<50).map { udp(1, 2, hex(1000, seed: UInt64($0))) }, from: pair.alice)
            pair.forget()
            pair.link.change(pair.alice) { tunnel, now in
                if isRemoved { tunnel.removePeer(pair.bob.publicKey) } else { tunnel.setUp(false, at: now) }
            }
            pair.link.run(for: .seconds(20))
            #expect(pair.link.sightings.sent(by: pair.alice).filter(\.isData).isEmpty)
            let waiting = pair.alice.tunnel.services.egress.queue.nextSend(at: pair.link.instant)
            #expect(waiting == nil)
        }
    }

    @Test("statistics tell how long packets waited, and in how many flows")
    func log() throws {
        let pair = shaped(1_000_000)
        let feeder = Feeder(pair, rate: 1_200_000)
        for _ in 0..<30 {
            feeder.run(for: .milliseconds(100))
            pair.link.send(udp(1, 2, payload: 20, port: 7), from: pair.alice)
        }
        let queue = try #require(pair.alice.statistics(of: pair.bob)?.queue)
        #expect(queue.bulk == 1 && queue.sparse == 1)
        #expect(queue.median > .milliseconds(10) && queue.percentile99 >= queue.median)
        #expect(queue.percentile99 < .milliseconds(500))
        pair.link.run(for: .seconds(20))
        let later = try #require(pair.alice.statistics(of: pair.bob)?.queue)
        #expect(later.bulk == 0 && later.sparse == 0 && later.median == Interval(nanoseconds: 0))
    }

    private func shaped(_ rate: UInt64?, compression: CompressionPolicy = .off) -> Pair {
        let pair = Pair(compression, compression)
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(rate, of: pair.bob.publicKey, at: now) }
        return pair
    }
}

/// What a datagram takes on a link with an overhead of 14.
private func onLink(_ sighting: Sighting) -> Int { sighting.bytes.count + 28 + 14 }

private func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    // Noise of the next seed is the same one number later.
    var noise = Noise(seed: (seed &+ 1) << 32)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: noise.next()) }
}

/// Text that coding leaves half of.
private func hex(_ count: Int, seed: UInt64) -> [UInt8] {
    noise(count, seed: seed).map { Array("0123456789abcdef".utf8)[Int($0 & 15)] }
}

/// Packets of one flow at a rate.
private final class Feeder {
    private let pair: Pair
    private let wait: Interval
    private let isCapable: Bool
    private var number: UInt64 = 0

    init(_ pair: Pair, rate: UInt64, isCapable: Bool = false) {
        self.pair = pair
        // Ten packets at a time, of 1,000 bytes.
        wait = Interval(nanoseconds: Int64(10 * 1000 * 8 * 1_000_000_000 / rate))
        self.isCapable = isCapable
    }

    func run(for interval: Interval) {
        let end = pair.link.instant + interval
        while pair.link.instant < end {
            var packets: [[UInt8]] = []
            for _ in 0..<10 {
                number += 1
                packets.append(packet(9, noise(970, seed: number)))
            }
            pair.link.send(together: packets, from: pair.alice)
            pair.link.run(for: min(wait, end - pair.link.instant))
        }
    }

    private func packet(_ port: UInt16, _ content: [UInt8]) -> [UInt8] {
        TestKit.packet(
            site(1).v4, site(2).v4, transport: 17, ports: (port, port), content, congestion: isCapable ? 2 : 0)
    }
}
