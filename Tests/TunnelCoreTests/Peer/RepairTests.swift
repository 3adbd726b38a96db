import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// What the path loses is sent again (docs/protocol.md §3.10).
@Suite struct RepairTests {
    @Test("a datagram that is lost comes again, the same bytes, and nothing else does", arguments: [false, true])
    func again(isShaped: Bool) throws {
        let pair = lossy(isShaped: isShaped)
        let packets = (0..<20).map { udp(1, 2, noise(800, seed: UInt64($0))) }
        var lost: [Sighting] = []
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sighting.isPlain, lost.isEmpty, sighting.bytes.count > 800
            else {
                return .deliver
            }
            lost.append(sighting)
            return .drop
        }
        for packet in packets {
            pair.link.send(packet, from: pair.alice)
            pair.link.run(for: .milliseconds(5))
        }
        pair.link.run(for: .seconds(2))
        #expect(lost.count == 1)
        let same = pair.link.sightings.filter { $0.bytes == lost[0].bytes }
        #expect(same.count == 2)
        // The way there is lost, then one there and back, and the time in which it might have been late.
        #expect(same[1].at - same[0].at < .milliseconds(45))
        #expect(Set(pair.bob.received) == Set(packets) && pair.bob.received.count == packets.count)
        let repair = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        #expect(repair.lost == 1 && repair.repaired == 1 && repair.givenUp == 0)
        #expect(pair.alice.statistics(of: pair.bob)?.repair?.resent == 1)
        let transports = pair.link.sightings.filter { $0.isTransport && $0.from == pair.alice.endpoint }
        #expect(Set(transports.map(\.bytes)).count == transports.count - 1)
    }

    @Test("what is reordered is not asked for", arguments: 1...4)
    func reordering(seed: UInt64) throws {
        let pair = lossy(isShaped: true)
        var noise = Noise(seed: seed << 32)
        pair.link.rule = { sighting in
            sighting.from == pair.alice.endpoint && noise.next() % 100 < 5
                ? .delay(Interval(nanoseconds: Int64(noise.next() % 18_000_000) + 2_000_000)) : .deliver
        }
        for number in 0..<2500 as Range<UInt64> {
            // How late late ones come is known after a few.
            if number == 500 { pair.link.change(pair.alice) { tunnel, _ in tunnel.forgetRepairs() } }
            pair.link.send(udp(1, 2, payload: 200 + Int(number % 50)), from: pair.alice)
            pair.link.run(for: .milliseconds(3))
        }
        pair.link.run(for: .seconds(1))
        let resent = try #require(pair.alice.statistics(of: pair.bob)?.repair?.resent)
        #expect(resent <= 4)
        #expect(pair.bob.received.count == 2500)
    }

    @Test(
        "with a loss of three in a hundred nearly all arrives, and no more is sent again than was lost",
        arguments: 1...4)
    func random(seed: UInt64) throws {
        let pair = lossy(isShaped: true)
        var noise = Noise(seed: seed << 32)
        var lost = 0
        pair.link.rule = { sighting in
            guard noise.next() % 100 < 3 else { return .deliver }
            if sighting.from == pair.alice.endpoint { lost += 1 }
            return .drop
        }
        for number in 0..<3000 as Range<UInt64> {
            pair.link.send(udp(1, 2, RepairTests.noise(600, seed: number)), from: pair.alice)
            pair.link.run(for: .milliseconds(3))
        }
        pair.link.run(for: .seconds(2))
        #expect(pair.bob.received.count >= 2999)
        #expect(Set(pair.bob.received).count == pair.bob.received.count)
        let resent = try #require(pair.alice.statistics(of: pair.bob)?.repair?.resent)
        #expect(Double(resent) <= 1.3 * Double(lost))
    }

    @Test("of units in fragments, which wait sealed for the link, all comes too", arguments: [0, 1, 3] as [UInt64])
    func units(loss: UInt64) throws {
        let pair = lossy(isShaped: true)
        var noise = Noise(seed: 21 << 32)
        var lost = 0
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, noise.next() % 100 < loss else { return .deliver }
            lost += 1
            return .drop
        }
        var sent = 0
        for round in 0..<150 {
            // As much as the link takes, in words that nobody has said before.
            var words = Noise(seed: UInt64(round + 1) << 40)
            for _ in 0..<30 {
                let content = (0..<1200).map { _ in UInt8(truncatingIfNeeded: 97 + words.next() % 8) }
                pair.link.send(udp(1, 2, content), from: pair.alice)
                sent += 1
            }
            pair.link.send(udp(2, 1, payload: 500), from: pair.bob)
            pair.link.run(for: .milliseconds(10))
        }
        pair.link.run(for: .seconds(2))
        let repair = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        let mine = try #require(pair.alice.statistics(of: pair.bob)?.repair)
        #expect(pair.link.sightings.sent(by: pair.alice).filter(\.isFragment).count > 1000)
        #expect(pair.bob.received.count == sent)
        #expect(repair.givenUp == 0 && mine.gone == 0)
        #expect(Double(mine.resent) <= 1.3 * Double(lost))
    }

    @Test("the last datagram of a burst is missed too")
    func tail() {
        let pair = lossy(isShaped: true)
        let packet = udp(1, 2, noise(700, seed: 9))
        var isLost = false
        pair.link.rule = { sighting in
            guard sighting.isPlain, sighting.bytes.count > 700, !isLost else { return .deliver }
            isLost = true
            return .drop
        }
        pair.link.send(packet, from: pair.alice)
        pair.link.run(for: .milliseconds(60))
        #expect(isLost && pair.bob.received == [packet])
        // One probe, and then silence.
        let probes = pair.link.sightings.sent(by: pair.alice).keepalives.count
        #expect(probes == 1)
        pair.link.run(for: .seconds(5))
        #expect(pair.link.sightings.sent(by: pair.alice).keepalives.count == 1)
    }

    @Test("where nothing gets lost nothing is kept, and nothing is sent besides")
    func lossless() {
        let pair = Pair(auto, auto)
        pair.connect()
        for number in 0..<200 as Range<UInt64> {
            pair.link.send(udp(1, 2, noise(600, seed: number)), from: pair.alice)
            pair.link.run(for: .milliseconds(3))
        }
        let isKept = pair.alice.tunnel.services.egress.sent.keeps(slot(of: pair.bob, at: pair.alice))
        #expect(!isKept)
        #expect(pair.link.sightings.keepalives.isEmpty)
        #expect(pair.link.sightings.receipts.count <= 2)
    }

    @Test(
        "TCP behind a gap waits for it, in packets as in frames, and nothing else does",
        arguments: [TunnelMode.packets, .frames(isHub: false)])
    func order(mode: TunnelMode) {
        let pair = lossy(isShaped: true, in: mode)
        var sent: [[UInt8]] = []
        func send(_ count: Int) {
            for _ in 0..<count {
                var segment = packet(
                    site(1).v4, site(2).v4, transport: 6, ports: (7, 7), noise(800, seed: UInt64(sent.count)))
                segment.replaceSubrange(24..<28, with: big(UInt32(1000 + 800 * sent.count)))
                segment.replaceSubrange(32..<34, with: [0x50, 0x10])
                sent.append(segment)
                self.send(segment, pair)
                pair.link.run(for: .milliseconds(2))
            }
        }
        send(5)
        pair.link.rule = { $0.from == pair.alice.endpoint ? .drop : .deliver }
        send(1)
        pair.link.rule = { _ in .deliver }
        send(5)
        self.send(udp(1, 2, payload: 100), pair)
        // The way takes 10 ms; nobody has asked for what is missing yet.
        pair.link.run(for: .milliseconds(11))
        #expect(pair.bob.received.count == 6)
        pair.link.run(for: .seconds(1))
        let streamed = pair.bob.received.map { mode == .packets ? $0 : Array($0.dropFirst(18)) }.filter { $0[9] == 6 }
        #expect(pair.bob.received.count == 12 && streamed == sent)
    }

    @Test(
        "what gets lost in a queue on the way is for TCP to see: by a mark where a packet can carry one, else by the loss",
        arguments: [0, 1, 2] as [UInt8])
    func congestion(mark: UInt8) throws {
        let pair = lossy(isShaped: false)
        let packets = (0..<400).map {
            packet(
                site(1).v4, site(2).v4, transport: 17, ports: (7, 7), noise(700, seed: UInt64($0)), congestion: mark)
        }
        var sent = 0
        var lost = -1
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sent > 150 else { return .deliver }
            guard sighting.isPlain, sent > 300, lost < 0 else { return .delay(.milliseconds(40)) }
            lost = sent
            return .drop
        }
        for packet in packets {
            pair.link.send(packet, from: pair.alice)
            sent += 1
            pair.link.run(for: .milliseconds(3))
        }
        pair.link.run(for: .seconds(1))
        let repair = try #require(pair.alice.statistics(of: pair.bob)?.repair)
        // It may be asked for several times, and may come as often.
        #expect(repair.told == 1 && (repair.gone > 0) == (mark == 0) && (1...3).contains(repair.resent) == (mark > 0))
        let marked = pair.bob.received.filter { $0[1] & 3 == 3 }
        #expect(pair.bob.received.count == (mark == 0 ? 399 : 400) && marked.count == (mark == 0 ? 0 : 1))
        // Nothing else about it is different.
        var bytes = try #require(marked.first ?? packets.first)
        bytes.replaceSubrange(1...1, with: [mark])
        bytes.replaceSubrange(10..<12, with: packets[0][10..<12])
        #expect(packets.contains(bytes))
    }

    @Test("while a queue stands on the way TCP waits for nothing that got lost in it", arguments: [false, true])
    func queueOnTheWay(isStanding: Bool) {
        let pair = lossy(isShaped: false)
        var sent: [[UInt8]] = []
        func send(_ count: Int) {
            for _ in 0..<count {
                var segment = packet(
                    site(1).v4, site(2).v4, transport: 6, ports: (7, 7),
                    RepairTests.noise(800, seed: UInt64(sent.count)))
                segment.replaceSubrange(24..<28, with: big(UInt32(1000 + 800 * sent.count)))
                segment.replaceSubrange(32..<34, with: [0x50, 0x10])
                sent.append(segment)
                pair.link.send(segment, from: pair.alice)
                pair.link.run(for: .milliseconds(3))
            }
        }
        // One is had back, so that others are waited for.
        send(75)
        pair.link.rule = { $0.from == pair.alice.endpoint ? .drop : .deliver }
        send(1)
        pair.link.rule = { _ in .deliver }
        send(75)
        let repairedAt = pair.bob.tunnel.peers[slot(of: pair.alice, at: pair.bob)].repair.gaps.repairedAt
        #expect(repairedAt > .distantPast)
        let queue = Interval.milliseconds(isStanding ? 40 : 1)
        pair.link.rule = { $0.from == pair.alice.endpoint ? .delay(queue) : .deliver }
        send(250)
        pair.link.run(for: .milliseconds(60))
        let before = pair.bob.received.count
        pair.link.rule = { $0.from == pair.alice.endpoint ? .drop : .deliver }
        send(1)
        pair.link.rule = { $0.from == pair.alice.endpoint ? .delay(queue) : .deliver }
        send(1)
        // Nobody can have heard of the loss from the other end yet.
        pair.link.run(for: queue + .milliseconds(8))
        #expect(pair.bob.received.count == (isStanding ? before + 1 : before))
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.count == (isStanding ? sent.count - 1 : sent.count))
    }

    @Test("of a peer that is too fast to keep what it sends nothing is asked for, and of a slower one again")
    func fast() throws {
        let pair = lossy(isShaped: false)
        var isLossy = false
        var count = 0
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sighting.bytes.count > 800 else { return .deliver }
            count += 1
            return isLossy && count % 50 == 0 ? .drop : .deliver
        }
        // Above 1 Gbit/s.
        for number in 0..<30_000 {
            isLossy = number >= 22_000
            pair.link.send(udp(1, 2, payload: 1380), from: pair.alice)
            pair.link.run(for: Interval(nanoseconds: 9_500))
        }
        isLossy = false
        pair.link.run(for: .milliseconds(300))
        let before = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        let asked = try #require(pair.alice.statistics(of: pair.bob)?.repair)
        #expect(before.lost == 0 && asked.gone == 0 && asked.resent == 0)
        isLossy = true
        for _ in 0..<200 {
            pair.link.send(udp(1, 2, payload: 1380), from: pair.alice)
            pair.link.run(for: .milliseconds(5))
        }
        pair.link.run(for: .seconds(1))
        let after = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        #expect((4...6).contains(after.lost) && after.repaired >= 3)
    }

    @Test("a peer that asks for everything, for what was never sent, and for one counter a million times gets a tenth")
    func greedy() throws {
        let pair = lossy(isShaped: true)
        for number in 0..<500 as Range<UInt64> {
            pair.link.send(udp(1, 2, noise(900, seed: number)), from: pair.alice)
            pair.link.run(for: .milliseconds(4))
        }
        pair.forget()
        let session = try #require(pair.alice.tunnel.peers[slot(of: pair.bob, at: pair.alice)].keypairs.current)
        let next = pair.alice.tunnel.services.sessions[session].nextCounter
        var clock: UInt32 = 1
        for _ in 0..<2000 {
            for missing in [next - 400..<next - 10, 0..<3] as [Range<UInt64>] {
                let highest = next - 1 + (missing.lowerBound == 0 ? 1 << 40 : 0)
                var ranges = CounterRanges(below: highest)
                if missing.lowerBound > 0 { _ = ranges.append(missing) }
                clock += 1000
                let receipt = ReceiptRecord(
                    isAES: false, highest: highest, datagrams: next, bytes: next * 900, clock: clock, age: 0,
                    missing: ranges)
                deliver(receipt, to: pair.alice, from: pair.bob, pair)
            }
            pair.link.run(for: .milliseconds(1))
        }
        let again = pair.link.sightings.sent(by: pair.alice).filter { $0.bytes.count > 900 }
        // 450 KB were sent: a tenth, and a little that everybody has.
        #expect(again.reduce(0) { $0 + $1.bytes.count } <= 45_000 + 24 * 1024)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.last == udp(1, 2, payload: 10))
    }

    @Test("a new session, and one whose other end was restarted, begin anew")
    func sessions() throws {
        var pair = lossy(isShaped: true)
        var noise = Noise(seed: 4)
        for round in 0..<6 as Range<UInt64> {
            let alice = pair.alice.endpoint
            pair.link.rule = { $0.from == alice && $0.isPlain && noise.next() % 100 < 5 ? .drop : .deliver }
            pair.bob.received = []
            for number in 0..<300 as Range<UInt64> {
                pair.link.send(udp(1, 2, RepairTests.noise(600, seed: round << 16 | number)), from: pair.alice)
                pair.link.run(for: .milliseconds(3))
            }
            pair.link.run(for: .seconds(1))
            #expect(pair.bob.received.count >= (round == 3 ? 290 : 299), "\(round)")
            pair.link.rule = { _ in .deliver }
            if round == 2 {
                pair.restartAlice(Pair.Options(compression: auto))
                pair.link.send(udp(1, 2, payload: 9), from: pair.alice)
                pair.link.run(for: .seconds(1))
            } else {
                pair.link.run(for: .seconds(130))
            }
        }
    }

    @Test("with an end that takes no part in it nothing of it is said")
    func older() {
        let pair = Pair(alice: Pair.Options(compression: auto), bob: Pair.Options(compression: auto, repairs: false))
        pair.connect()
        var count = 0
        pair.link.rule = { sighting in
            guard sighting.isPlain else { return .deliver }
            count += 1
            return count % 21 == 0 ? .drop : .deliver
        }
        for number in 0..<1000 as Range<UInt64> {
            pair.link.send(udp(1, 2, noise(900, seed: number)), from: pair.alice)
            pair.link.send(udp(2, 1, noise(900, seed: number)), from: pair.bob)
            pair.link.run(for: .milliseconds(3))
        }
        #expect(!pair.link.sightings.reports.isEmpty && pair.link.sightings.receipts.isEmpty)
        #expect(pair.bob.received.count < 970)
        #expect(pair.alice.statistics(of: pair.bob)?.repair == nil)
        #expect(pair.bob.statistics(of: pair.alice)?.repair == nil)
    }

    // MARK: Helpers

    /// Two ends between which something has been lost, so that all that may be lost next is kept.
    private func lossy(isShaped: Bool, in mode: TunnelMode = .packets) -> Pair {
        let pair = Pair(both: Pair.Options(compression: auto, mode: mode))
        pair.connect()
        pair.link.run(for: .seconds(1))
        if isShaped {
            pair.link.change(pair.alice) { tunnel, now in
                tunnel.setRate(20_000_000, of: pair.bob.publicKey, at: now)
            }
        }
        var isFirst = true
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sighting.isData, isFirst else { return .deliver }
            isFirst = false
            return .drop
        }
        for number in 0..<10 as Range<UInt64> {
            send(udp(1, 2, noise(300, seed: 1 << 20 | number)), pair)
            pair.link.run(for: .milliseconds(20))
        }
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(1))
        let alice = pair.alice.tunnel.peers[slot(of: pair.bob, at: pair.alice)].repair
        let bob = pair.bob.tunnel.peers[slot(of: pair.alice, at: pair.bob)].repair
        #expect(alice.lossAt > .distantPast && bob.gaps.lowest == nil)
        pair.link.change(pair.bob) { tunnel, _ in tunnel.forgetRepairs() }
        pair.link.change(pair.alice) { tunnel, _ in tunnel.forgetRepairs() }
        pair.forget()
        return pair
    }

    /// Sends a packet from alice, in a frame if she carries those.
    private func send(_ packet: [UInt8], _ pair: Pair) {
        guard pair.alice.tunnel.mode != .packets else { return pair.link.send(packet, from: pair.alice) }
        pair.link.send(ethernet: [ethernet(host(1), host(2), ip: packet, tags: [0x8100])], from: pair.alice)
    }

    private func slot(of other: End, at end: End) -> PeerSlot {
        end.tunnel.peers.slot(of: other.publicKey) ?? PeerSlot(0)
    }

    private func deliver(_ receipt: ReceiptRecord, to end: End, from other: End, _ pair: Pair) {
        var payload = [UInt8](repeating: 0, count: 256)
        var size = 0
        do {
            var span = payload.mutableSpan
            var bytes = unsafe span.mutableBytes
            size = receipt.write(to: &bytes)
        }
        guard let sealed = other.seal(Array(payload.prefix(size)).padded, to: end) else { return }
        pair.link.deliver(sealed, to: end, from: other.endpoint)
    }

    private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var noise = Noise(seed: (seed &+ 1) << 32)
        return noise.bytes(count)
    }

    private func noise(_ count: Int, seed: UInt64) -> [UInt8] { Self.noise(count, seed: seed) }
}

extension Tunnel {
    /// Counts from zero.
    fileprivate mutating func forgetRepairs() {
        for slot in peers.all {
            peers[slot].repair.resent = 0
            peers[slot].repair.gone = 0
            peers[slot].repair.gaps.forgetCounts()
        }
    }
}
