import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Lost datagrams are had back from what came beside them (docs/protocol.md §3.11).
@Suite struct ParityTests {
    @Test("of a block any datagrams can be had back, up to as many as it has rows", arguments: 1...3)
    func block(rows: Int) throws {
        var noise = Noise(seed: UInt64(rows) << 32)
        for round in 0..<300 {
            let size = Int(noise.next() % 40) + 1
            let sent = block(of: size, from: UInt64(round) << 8, &noise)
            var lost: Set<Int> = []
            while lost.count < min(rows, size) { lost.insert(Int(noise.next() % UInt64(size))) }
            let found = received(sent, without: lost, rows: rows, skippedRows: 0, &noise)
            #expect(found == Dictionary(uniqueKeysWithValues: lost.map { (sent[$0].counter, sent[$0].bytes) }))
        }
    }

    @Test("rows are lost too: those that came give back as many", arguments: 1...2)
    func lostRows(skipped: Int) throws {
        var noise = Noise(seed: 9 << 32)
        for round in 0..<200 {
            let sent = block(of: 20, from: UInt64(round) << 8, &noise)
            var lost: Set<Int> = []
            while lost.count < 3 - skipped { lost.insert(Int(noise.next() % 20)) }
            let found = received(sent, without: lost, rows: 3, skippedRows: skipped, &noise)
            #expect(Set(found.keys) == Set(lost.map { sent[$0].counter }))
            #expect(
                received(sent, without: lost.union([20 - 1, 0, 1, 2]), rows: 3, skippedRows: skipped, &noise) == [:])
        }
    }

    @Test(
        "over a far path that loses two in a hundred all comes, and nearly nothing has to be asked for",
        arguments: [ParityWish.automatic, .percent(10)])
    func far(wish: ParityWish) throws {
        let pair = far(wish)
        var noise = Noise(seed: 77 << 32)
        var sizes = Noise(seed: 78 << 32)
        var lost = 0
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, noise.next() % 100 < 2 else { return .deliver }
            lost += 1
            return .drop
        }
        send(4000, through: pair, &sizes)
        let plan = try #require(pair.alice.tunnel.peers[slot(of: pair.bob, at: pair.alice)].repair.parity.plan)
        #expect(plan.rows >= 1)
        // From here on it is known what the path does.
        pair.forget()
        let before = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        let sent = try #require(pair.alice.statistics(of: pair.bob))
        lost = 0
        let packets = send(8000, through: pair, &sizes)
        #expect(pair.bob.received.count == packets.count && Set(pair.bob.received) == Set(packets))
        let after = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        let now = try #require(pair.alice.statistics(of: pair.bob))
        #expect(lost > 100)
        #expect(Double(after.rebuilt - before.rebuilt) > 0.7 * Double(lost))
        let parity = try #require(now.repair).parityBytes - (try #require(sent.repair)).parityBytes
        #expect(Double(parity) < 0.13 * Double(now.sent - sent.sent))
        let drops = try #require(pair.bob.statistics(of: pair.alice)).drops
        // Now and then something was asked for, and both come.
        #expect(DropReason.allCases.filter { drops[$0] > ($0 == .replay ? 10 : 0) } == [])
    }

    @Test("few datagrams, of which parity comes late or not at all, are asked for after a round trip at the latest")
    func sparse() throws {
        let pair = far(.percent(10), latency: .milliseconds(20))
        var noise = Noise(seed: 5 << 32)
        var lost = 0
        var delays: [Interval] = []
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, noise.next() % 100 < 4 else { return .deliver }
            lost += 1
            return .drop
        }
        for number in 0..<800 as Range<UInt64> {
            var content = Noise(seed: (number + 1) << 34)
            let packet = udp(1, 2, content.bytes(900))
            let sentAt = pair.link.instant
            pair.link.send(packet, from: pair.alice)
            for _ in 0..<30 where pair.bob.received.last != packet { pair.link.run(for: .milliseconds(5)) }
            delays.append(pair.link.instant - sentAt)
            pair.link.run(for: .milliseconds(Int64(number % 7) * 12))
        }
        pair.link.run(for: .seconds(2))
        #expect(lost > 20)
        let repair = try #require(pair.bob.statistics(of: pair.alice)?.repair)
        #expect(repair.givenUp == 0 && pair.alice.statistics(of: pair.bob)?.repair?.gone == 0)
        // The way there, what shows the loss, the wait and the question; a few were lost twice.
        #expect(delays.sorted()[delays.count * 99 / 100] < .milliseconds(130))
    }

    @Test("where nothing is lost, where losses stand together, and where a round trip is short, none is sent")
    func none() throws {
        for (trip, part, run) in [(160, 0, 1), (5, 2, 1), (160, 2, 12)] as [(Int64, UInt64, Int)] {
            let pair = far(.automatic, latency: .milliseconds(trip))
            var noise = Noise(seed: 3 << 32)
            var sizes = Noise(seed: 4 << 32)
            var left = 0
            pair.link.rule = { sighting in
                guard sighting.from == pair.alice.endpoint else { return .deliver }
                if left == 0, noise.next() % UInt64(100 * run) < part { left = run }
                guard left > 0 else { return .deliver }
                left -= 1
                return .drop
            }
            send(6000, through: pair, &sizes)
            pair.forget()
            let before = try #require(pair.alice.statistics(of: pair.bob)?.repair).parity
            send(2000, through: pair, &sizes)
            #expect(
                try #require(pair.alice.statistics(of: pair.bob)?.repair).parity == before, "\(trip) \(part) \(run)")
        }
    }

    @Test("one end switches it off, and nothing of it is said")
    func off() throws {
        let pair = far(.percent(10))
        pair.link.change(pair.bob) { tunnel, now in tunnel.setParity(.off, of: pair.alice.publicKey, at: now) }
        pair.link.run(for: .seconds(3))
        var noise = Noise(seed: 5 << 32)
        pair.link.rule = { _ in noise.next() % 100 < 2 ? .drop : .deliver }
        var other = Noise(seed: 6 << 32)
        send(3000, through: pair, &other)
        #expect(try #require(pair.alice.statistics(of: pair.bob)?.repair).parity == 0)
    }

    @Test("parity that lies gives back nothing that was not sealed, and harms nobody")
    func lies() throws {
        let pair = far(.percent(10))
        var noise = Noise(seed: 8 << 32)
        send(400, through: pair, &noise)
        pair.forget()
        let session = try #require(pair.alice.tunnel.peers[slot(of: pair.bob, at: pair.alice)].keypairs.current)
        for round in 0..<300 {
            let next = pair.alice.tunnel.services.sessions[session].nextCounter
            let start = next - 20 + noise.next() % 60
            let record = ParityRecord(
                isAES: false, start: start, mask: noise.next() | 1, row: Int(noise.next() % 3), rows: 3)
            let length = Int(noise.next() % 1400) + 20
            var payload = [UInt8](repeating: 0, count: ParityRecord.headerSize) + noise.bytes(length)
            do {
                var span = payload.mutableSpan
                var bytes = unsafe span.mutableBytes
                _ = record.writeHeader(length: length, to: &bytes)
            }
            pair.deliver(payload.padded)
            if round % 10 == 0 { pair.link.send(udp(1, 2, payload: round), from: pair.alice) }
            pair.link.run(for: .milliseconds(5))
        }
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.count == 30)
        // The first counter of a block may be anything.
        for start in [1 << 63, UInt64.max - 65] as [UInt64] {
            let record = ParityRecord(isAES: false, start: start, mask: 0xff, row: 0, rows: 1)
            var payload = [UInt8](repeating: 7, count: ParityRecord.headerSize + 40)
            do {
                var span = payload.mutableSpan
                var bytes = unsafe span.mutableBytes
                _ = record.writeHeader(length: 40, to: &bytes)
            }
            pair.deliver(payload.padded)
        }
        for malformed in [
            [0x1a, 2] + [UInt8](repeating: 1, count: 62), [0x1a, 0, 60, 0] + [UInt8](repeating: 0, count: 60),
        ] {
            #expect(pair.deliver(malformed) == [.record])
        }
    }

    // MARK: Helpers

    private struct Datagram {
        let counter: UInt64
        let bytes: [UInt8]
    }

    private let lane = ReceiverIndex(rawValue: 7)

    private func block(of size: Int, from start: UInt64, _ noise: inout Noise) -> [Datagram] {
        var counter = start + 1
        return (0..<size).map { _ in
            let head: [UInt8] = [4, 0, 0, 0, 7, 0, 0, 0] + (0..<8).map { UInt8(counter >> (8 * $0) & 255) }
            let bytes = head + noise.bytes(Int(noise.next() % 1400) + 16)
            defer { counter += noise.next() % 20 == 0 && size < 30 ? 2 : 1 }
            return Datagram(counter: counter, bytes: bytes)
        }
    }

    /// The datagrams that are had back if some of a block are lost, and some of its rows.
    private func received(
        _ sent: [Datagram], without lost: Set<Int>, rows: Int, skippedRows: Int, _ noise: inout Noise
    ) -> [UInt64: [UInt8]] {
        let peer = PeerSlot(0)
        let now = Instant(nanoseconds: 1_000_000_000)
        var blocks = ParityBlocks()
        var window = ParityWindow()
        let plan = ParityBlocks.Plan(rows: rows, size: 64, most: 100_000)
        blocks.begin(lane, of: peer)
        // The first row only makes it follow the lane.
        let empty = ParityRecord(isAES: false, start: 0, mask: 1, row: 0, rows: 1)
        _ = unsafe window.take(empty, [UInt8](repeating: 0, count: 40).span.bytes, on: lane, of: peer, at: now)
        for (index, datagram) in sent.enumerated() {
            let bytes = unsafe datagram.bytes.span.bytes
            blocks.add(bytes, to: peer, plan)
            guard !lost.contains(index) else { continue }
            window.stash(bytes, of: peer)
            _ = window.keep(datagram.counter, on: lane, length: bytes.byteCount, of: peer, at: now)
        }
        blocks.close(peer)
        guard let block = blocks.firstClosed(of: peer) else { return [:] }
        var order = Array(0..<block.rows)
        for _ in 0..<skippedRows { order.remove(at: Int(noise.next() % UInt64(order.count))) }
        for row in order {
            guard let start = unsafe blocks.row(row, of: peer) else { continue }
            let bytes = unsafe RawSpan(_unsafeStart: start, byteCount: block.longest)
            let record = ParityRecord(isAES: false, start: block.start, mask: block.mask, row: row, rows: block.rows)
            _ = window.take(record, bytes, on: lane, of: peer, at: now)
        }
        _ = window.solve(peer, at: now)
        var found: [UInt64: [UInt8]] = [:]
        while let rebuilt = window.popRebuilt(of: peer) {
            var bytes = [UInt8](repeating: 0, count: rebuilt.length)
            var span = bytes.mutableSpan
            var space = unsafe span.mutableBytes
            window.write(rebuilt, of: peer, to: &space)
            found[rebuilt.counter] = bytes
        }
        return found
    }

    /// Two ends that are far from each other, one of which has a rate.
    private func far(_ wish: ParityWish, latency: Interval = .milliseconds(120)) -> Pair {
        let pair = Pair(auto, auto, latency: latency)
        pair.connect()
        pair.link.run(for: .seconds(3))
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(20_000_000, of: pair.bob.publicKey, at: now)
            tunnel.setParity(wish, of: pair.bob.publicKey, at: now)
        }
        pair.link.run(for: .seconds(3))
        return pair
    }

    /// Sends packets of random sizes at a steady pace; what was sent.
    @discardableResult
    private func send(_ count: Int, through pair: Pair, _ noise: inout Noise) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        for number in 0..<count {
            // Each is another one.
            let size = Int(noise.next() % 300) + 700
            var content = Noise(seed: UInt64(number + 1) << 33 | UInt64(pair.link.instant.nanoseconds))
            packets.append(udp(1, 2, content.bytes(size)))
            pair.link.send(packets[number], from: pair.alice)
            pair.link.run(for: .milliseconds(1))
        }
        pair.link.run(for: .seconds(3))
        return packets
    }

    private func slot(of other: End, at end: End) -> PeerSlot {
        end.tunnel.peers.slot(of: other.publicKey) ?? PeerSlot(0)
    }
}
