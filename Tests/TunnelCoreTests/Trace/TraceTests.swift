import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct TraceTests {
    @Test("a packet that leaves is told of with its codec and its datagrams, and one that comes as well")
    func steps() throws {
        let pair = Pair(CompressionPolicy(.codec(.zstd)), CompressionPolicy(.codec(.zstd)))
        pair.connect()
        let (near, far) = (begin(TraceWish(), pair.alice, pair), begin(TraceWish(), pair.bob, pair))
        pair.link.send(udp(1, 2, text(800)), from: pair.alice)
        pair.link.drain()
        let out = try #require(take(near, pair.alice, pair)?.records.first { $0.form == .unit })
        #expect(out.direction == .out && out.packets == 1 && out.plain == 828 && out.codec == .zstd)
        #expect(out.coded > 0 && out.coded < 828 && out.wire >= out.coded + 32 && out.datagrams == 1)
        #expect(out.flow.destination == site(2).v4 && out.flow.transport == 17 && out.flow.destinationPort == 4000)
        let into = try #require(take(far, pair.bob, pair)?.records.first { $0.form == .unit })
        #expect(into.direction == .into && into.plain == 828 && into.wire == out.wire && into.codec == .zstd)
    }

    @Test("what is dropped is told of with its reason, and comes before what passes when there is no room for all")
    func drops() {
        let pair = Pair()
        pair.connect()
        let number = begin(TraceWish(), pair.bob, pair, room: 8)
        for _ in 0..<20 { pair.link.send(udp(1, 2, payload: 100), from: pair.alice) }
        pair.link.drain()
        #expect(pair.deliver(datagram: [UInt8](repeating: 9, count: 100)) == [.malformed])
        let batch = take(number, pair.bob, pair)
        #expect(batch?.records.count == 7)
        #expect(batch?.records.last?.drop == .malformed)
        #expect(batch?.seen == 21 && batch?.left == 14)
        // Twice as many pass as are chosen from now on.
        for _ in 0..<20 { pair.link.send(udp(1, 2, payload: 100), from: pair.alice) }
        pair.link.drain()
        let next = take(number, pair.bob, pair)
        #expect(next?.every == 5 && next?.records.count == 4 && next?.left == 0)
    }

    @Test("only what is wanted is told of")
    func filter() {
        let pair = Pair()
        pair.connect()
        var wish = TraceWish()
        wish.port = 4001
        wish.direction = .out
        wish.prefix = Prefix("10.0.0.2/32")
        let number = begin(wish, pair.alice, pair)
        for port: UInt16 in [4000, 4001, 4002] { pair.link.send(udp(1, 2, payload: 64, port: port), from: pair.alice) }
        pair.link.send(udp(2, 1, payload: 64, port: 4001), from: pair.bob)
        pair.link.drain()
        #expect(take(number, pair.alice, pair)?.records.map(\.flow.destinationPort) == [4001])
    }

    @Test("one may watch at a time, and who does not come for what there is has ended")
    func one() {
        let pair = Pair()
        pair.connect()
        let number = begin(TraceWish(), pair.alice, pair)
        #expect(number != nil && begin(TraceWish(), pair.alice, pair) == nil)
        pair.link.run(for: .seconds(6))
        pair.link.send(udp(1, 2, payload: 64), from: pair.alice)
        pair.link.send(udp(2, 1, payload: 64), from: pair.bob)
        pair.link.drain()
        #expect(take(number, pair.alice, pair) == nil && begin(TraceWish(), pair.alice, pair) != nil)
    }

    @Test("a capture has the bytes of packets as they are inside, both ways")
    func bytes() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        var wish = TraceWish()
        (wish.content, wish.bytes, wish.samples) = (.plain, 60, false)
        let number = begin(wish, pair.bob, pair, bytes: 100)
        let sent = (0..<3).map { udp(1, 2, text(400 + $0)) }
        for packet in sent { pair.link.send(packet, from: pair.alice) }
        pair.link.drain()
        let batch = take(number, pair.bob, pair)
        #expect(batch?.records.count == 1 && batch?.left == 2)
        #expect(batch?.bytes == Array(sent[0].prefix(60)) && batch?.records.first?.original == 428)
    }

    private func begin(_ wish: TraceWish, _ end: End, _ pair: Pair, room: Int = 100, bytes: Int = 0) -> UInt64? {
        var number: UInt64?
        pair.link.change(end) { tunnel, now in
            number = tunnel.beginTrace(wish, of: nil, into: TraceBatch(records: room, bytes: bytes), at: now)
        }
        return number
    }

    private func take(_ number: UInt64?, _ end: End, _ pair: Pair) -> TraceBatch? {
        var batch: TraceBatch?
        pair.link.change(end) { tunnel, now in
            if let number { batch = tunnel.takeTrace(number, for: TraceBatch(records: 8), at: now) }
        }
        return batch
    }
}
