import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Units in several datagrams (docs/protocol.md §3.5), as they come and as they don't.
@Suite struct FragmentTests {
    @Test("pieces make their unit in whatever order they come", arguments: [2, 3, 7, 63, 64])
    func anyOrder(count: Int) {
        let pair = connected()
        var noise = Noise(seed: UInt64(count))
        for number in 0..<40 as Range<UInt16> {
            let unit = Unit(number, count)
            for piece in pair.seal(unit.pieces).shuffled(using: &noise) {
                #expect(pair.bob.received.isEmpty)
                #expect(pair.deliver(datagram: piece) == [])
            }
            #expect(pair.bob.received == unit.packets)
            pair.forget()
        }
    }

    @Test("a datagram that came already is a replay, and the same piece sent again later is none of its unit")
    func duplicates() {
        let pair = connected()
        let unit = Unit(0, 5)
        for piece in pair.seal(unit.pieces.dropLast()) {
            #expect(pair.deliver(datagram: piece) == [])
            #expect(pair.deliver(datagram: piece) == [.replay])
        }
        let last = pair.seal([unit.pieces[4]])
        #expect(pair.deliver(unit.pieces[4]) == [] && pair.deliver(unit.pieces[0]) == [])
        #expect(pair.bob.received.isEmpty)
        #expect(last.flatMap { pair.deliver(datagram: $0) } == [])
        #expect(pair.bob.received == unit.packets)
    }

    @Test("a piece of another size or count than the others is dropped, and the unit is completed all the same")
    func contradictions() throws {
        let pair = connected()
        let unit = Unit(3, 4)
        let size = unit.record.count
        let first = try pair.nextCounter()
        let pieces = pair.seal(unit.pieces)
        #expect(pair.deliver(datagram: pieces[0]) == [])
        // What stands where the unit has no more pieces.
        for (index, size, count) in [(4, size, 5), (5, size + 8, 6), (6, size, 64)] {
            let wrong = FragmentRecord(number: 3, size: size, index: index, count: count)
            let piece = fragmentRecord(
                3, size: size, index, of: count, [UInt8](repeating: 9, count: wrong.range.count))
            #expect(pair.deliver(piece, counter: first + UInt64(index)) == [.record])
        }
        for piece in pieces.dropFirst() { #expect(pair.deliver(datagram: piece) == []) }
        #expect(pair.bob.received == unit.packets)
    }

    @Test("a piece of another size in the place of one is dropped, and so is its unit")
    func anotherSize() {
        let pair = connected()
        let unit = Unit(3, 4)
        let other = fragmentRecords(unit.record + [UInt8](repeating: 0, count: 4), number: 3, count: 4)
        let pieces = pair.seal([unit.pieces[0], other[1], unit.pieces[2], unit.pieces[3]])
        #expect(pieces.map { pair.deliver(datagram: $0) } == [[], [.record], [], []])
        #expect(pair.bob.received.isEmpty)
    }

    @Test("pieces of two units with the same number, 65,536 units apart, are never joined")
    func wrap() throws {
        let pair = Pair(both: Pair.Options(mode: .frames(isHub: false)))
        pair.connect()
        // The frames of a fast sender: of one size, in two pieces each.
        let frames = (0..<3).map { ethernet(host(1), host(2), [UInt8](repeating: UInt8($0), count: 1420)) }
        let units = frames.map { fragmentRecords(record(0x16, 0, $0), number: 7, count: 2) }
        #expect(pair.deliver(units[0][0]) == [])
        let session = try #require(pair.alice.sessions(with: pair.bob.publicKey).first)
        pair.alice.tunnel.services.sessions[session].wireGuard.sendCounter += 2 * 65_536
        #expect(pair.deliver(units[1][1]) == [])
        #expect(pair.bob.received.isEmpty)
        for piece in units[2] { #expect(pair.deliver(piece) == []) }
        #expect(pair.bob.received == [frames[2]])
    }

    @Test("a piece whose counter is less than its index is malformed")
    func tooSoon() {
        let pair = connected()
        let unit = Unit(0, 64)
        #expect(pair.deliver(unit.pieces[63], counter: 40) == [.record])
        #expect(pair.deliver(unit.pieces[63], counter: 63) == [])
    }

    @Test("a piece of a length, an index or a count that it cannot have is dropped")
    func malformed() {
        let pair = connected()
        let body = [UInt8](repeating: 1, count: 100)
        for (size, index, count, length) in [
            (200, 0, 2, 99), (200, 0, 2, 101), (200, 1, 2, 99), (199, 1, 2, 100), (200, 2, 2, 100), (200, 3, 2, 100),
            (200, 0, 1, 200), (200, 0, 0, 200), (200, 0, 65, 4), (200, 64, 64, 4), (200, 255, 2, 100), (200, 0, 255, 1),
            (0, 0, 2, 0), (1, 1, 2, 0), (2, 0, 2, 0), (3, 0, 2, 1), (60, 63, 64, 1), (60, 63, 64, 0),
        ] {
            let piece = Array((body + body + body).prefix(length))
            let record = fragmentRecord(7, size: size, index, of: count, piece)
            #expect(pair.deliver(record) == [.record], "\(size) \(index) \(count) \(length)")
        }
        #expect(pair.deliver(record(0x13, 0, [])) == [.record])
        #expect(pair.deliver(record(0x13, 0, [0, 0, 200, 0, 0])) == [.record])
        #expect(pair.deliver(record(0x13, 1, Array(Unit(0, 2).pieces[0].dropFirst(4)))) == [.record])
    }

    @Test("what is put together must be a UNIT, and a whole one")
    func contents() {
        let unit = unitRecord(udp(1, 2, text(4000)))
        let whole = [
            bundleRecord([udp(1, 2, text(900))]), udp(1, 2, text(900)), helloRecord(flags: 3),
            unit + [UInt8](repeating: 0, count: 16),
            Array(unit.dropLast()), pingRecord(0, token: 7, padding: 50), fragmentRecords(unit, number: 1, count: 2)[0],
            [UInt8](repeating: 0, count: 100), unitRecord(udp(1, 2, text(900)), parameter: 9),
        ]
        for (number, record) in whole.enumerated() {
            let pair = connected()
            let pieces = pair.seal(fragmentRecords(record, number: UInt16(number), count: 3))
            #expect(pair.deliver(datagram: pieces[0]) == [] && pair.deliver(datagram: pieces[2]) == [])
            let drops = pair.deliver(datagram: pieces[1])
            #expect(drops == [.record], "\(number)")
            #expect(pair.bob.received.isEmpty && pair.link.sightings.sent(by: pair.bob).isEmpty)
        }
    }

    @Test("a unit that is not complete after a second is forgotten, and its number is free")
    func timeOut() {
        let pair = connected()
        let old = Unit(5, 3)
        for piece in old.pieces.dropLast() { pair.deliver(piece) }
        pair.link.run(for: .milliseconds(1001))
        let new = Unit(5, 2)
        for piece in new.pieces { #expect(pair.deliver(piece) == []) }
        #expect(pair.bob.received == new.packets)
        // The last piece of the old one comes too late for it.
        pair.forget()
        #expect(pair.deliver(old.pieces[2]) == [])
        #expect(pair.bob.received.isEmpty)
    }

    @Test("within that second it is not")
    func inTime() {
        let pair = connected()
        let unit = Unit(5, 3)
        for piece in unit.pieces {
            #expect(pair.deliver(piece) == [])
            pair.link.run(for: .milliseconds(450))
        }
        #expect(pair.bob.received == unit.packets)
    }

    @Test("units that never complete take no more than their room, and whole ones still pass")
    func neverComplete() {
        let pair = connected()
        var noise = Noise(seed: 4)
        for number in 0..<2000 as Range<UInt16> {
            let unit = Unit(number, 2 + Int(noise.next() % 20))
            pair.deliver(unit.pieces[Int(noise.next() % UInt64(unit.pieces.count))])
            guard number % 10 == 0 else { continue }
            let whole = Unit(10_000 + number, 3)
            for piece in whole.pieces { #expect(pair.deliver(piece) == []) }
            #expect(pair.bob.received == whole.packets)
            pair.forget()
        }
    }

    @Test("pieces of two units may be mixed")
    func interleaved() {
        let pair = connected()
        let (first, second) = (Unit(0, 6), Unit(1, 6))
        for (one, other) in zip(pair.seal(first.pieces), pair.seal(second.pieces)) {
            #expect(pair.deliver(datagram: one) == [] && pair.deliver(datagram: other) == [])
        }
        #expect(pair.bob.received == first.packets + second.packets)
    }

    @Test("a unit's pieces may come on either lane, but all on the same")
    func bothLanes() {
        let pair = Pair(both: Pair.Options(compression: auto, cipher: .auto))
        pair.connect()
        for (number, suite) in [(0, .aes256gcm), (1, .chacha20poly1305)] as [(UInt16, CipherSuite)] {
            let unit = Unit(number, 6)
            for piece in unit.pieces { #expect(pair.deliver(piece, on: suite) == []) }
            #expect(pair.bob.received == unit.packets)
            pair.forget()
        }
        let unit = Unit(2, 6)
        for (index, piece) in unit.pieces.enumerated() {
            let suite: CipherSuite = index % 2 == 0 ? .aes256gcm : .chacha20poly1305
            #expect(pair.deliver(piece, on: suite, counter: 100 + UInt64(index)) == [])
        }
        #expect(pair.bob.received.isEmpty)
    }

    @Test("congestion on any one piece marks every packet, and drops those that can't carry the mark")
    func congestion() {
        for marked in 0..<4 {
            for capable in [true, false] {
                let pair = connected()
                let packets = (0..<5).map { index in
                    Segment(trafficClass: capable ? 2 : 0, identifier: UInt16(index), payload: text(700)).bytes
                }
                let pieces = fragmentRecords(membersRecord(packets), number: 9, count: 4)
                for (index, piece) in pieces.enumerated() {
                    pair.deliver(piece, trafficClass: index == marked ? 3 : capable ? 2 : 0)
                }
                let expected = (0..<5).map { index in
                    Segment(trafficClass: 3, identifier: UInt16(index), payload: text(700)).bytes
                }
                #expect(pair.bob.received == (capable ? expected : []))
                #expect(pair.bob.drops(.congestion, of: pair.alice) == (capable ? 0 : 5))
            }
        }
    }

    @Test("pieces of one session are none of another's")
    func sessions() {
        let pair = connected()
        let unit = Unit(0, 3)
        for piece in unit.pieces.dropLast() { pair.deliver(piece) }
        // The next session, well within a second.
        pair.link.change(pair.alice) { tunnel, now in tunnel.setPrivateKey(pair.alice.key, at: now) }
        pair.link.run(for: .milliseconds(300))
        pair.link.send(udp(1, 2, payload: 9), from: pair.alice)
        pair.link.drain()
        pair.forget()
        #expect(pair.deliver(unit.pieces[2]) == [])
        #expect(pair.bob.received.isEmpty)
        let other = Unit(0, 2)
        for piece in other.pieces { pair.deliver(piece) }
        #expect(pair.bob.received == other.packets)
    }

    @Test("what is sent in fragments keeps to the page: numbers count up and wrap, sizes are even, lanes don't matter")
    func sent() throws {
        for cipher in [CipherPolicy.chacha20poly1305, .auto] {
            let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.codec(.zstd)), cipher: cipher))
            pair.connect()
            let session = try #require(pair.alice.sessions(with: pair.bob.publicKey).first)
            pair.alice.tunnel.services.sessions[session].nextUnit = 65_534
            var noise = Noise(seed: 2)
            for _ in 0..<30 {
                let frame = Segment(
                    ports: (5000, UInt16(6000 + noise.next() % 5)), payload: hexadecimal(30_000, &noise)
                ).frame(segment: 1368)
                pair.link.send(frames: [frame], from: pair.alice)
                pair.link.drain()
                #expect(pair.bob.received == kernelSplit(frame))
                pair.bob.received = []
            }
            var numbers: [UInt16] = []
            var first: UInt64 = 0
            for sighting in pair.link.sightings.filter(\.isFragment) {
                let fragment = try #require(sighting.record).fragment
                if fragment.index == 0 {
                    first = sighting.counter
                    numbers.append(fragment.number)
                }
                #expect(sighting.counter == first + UInt64(fragment.index))
                #expect(fragment.number == numbers.last && fragment.size > 1420)
                #expect((2...64).contains(fragment.count) && fragment.index < fragment.count)
            }
            #expect(numbers.count >= 30)
            #expect(numbers == numbers.indices.map { UInt16(truncatingIfNeeded: 65_534 + $0) })
        }
    }

    @Test("a fragment lost costs its unit and nothing else")
    func loss() {
        let pair = connected()
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            pair.link.change(end) { tunnel, now in tunnel.setRepairs(false, of: other.publicKey, at: now) }
        }
        pair.link.run(for: .seconds(1))
        var noise = Noise(seed: 3)
        var lost = 0
        pair.link.rule = { sighting in
            guard sighting.isFragment, sighting.counter % 11 == 0 else { return .deliver }
            lost += 1
            return .drop
        }
        var arrived = 0
        for index in 0..<60 {
            let frame = Segment(sequence: UInt32(index) * 20_000, payload: hexadecimal(20_000, &noise)).frame(
                segment: 1000)
            pair.link.send(frames: [frame], from: pair.alice)
            pair.link.drain()
            if pair.bob.received == kernelSplit(frame) { arrived += 1 } else { #expect(pair.bob.received.count < 20) }
            pair.bob.received = []
        }
        #expect(lost > 10 && arrived > 5)
        #expect(pair.drops.reduce(0, +) == 0)
    }

    private func connected() -> Pair {
        let pair = Pair(auto, auto)
        pair.connect()
        return pair
    }
}

extension Pair {
    /// The counter of alice's next message on WireGuard's lane.
    fileprivate func nextCounter() throws -> UInt64 {
        let session = try #require(alice.sessions(with: bob.publicKey).first)
        return alice.tunnel.services.sessions[session].wireGuard.sendCounter
    }
}

/// A UNIT of some packets of its own, in pieces.
private struct Unit {
    let packets: [[UInt8]]
    let record: [UInt8]
    let pieces: [[UInt8]]

    init(_ number: UInt16, _ count: Int) {
        var noise = Noise(seed: UInt64(number) << 8 | UInt64(count))
        packets = (0..<6).map { udp(1, 2, hexadecimal(300 + 20 * count + 10 * $0 + Int(number % 97), &noise)) }
        record = membersRecord(packets)
        pieces = fragmentRecords(record, number: number, count: count)
    }
}

/// Bytes of which codecs leave a half.
private func hexadecimal(_ count: Int, _ noise: inout Noise) -> [UInt8] {
    noise.bytes(count).map { Array("0123456789abcdef".utf8)[Int($0 & 15)] }
}
