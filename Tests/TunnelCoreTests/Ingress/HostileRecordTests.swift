import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// A peer that has our trust and a session, and sends nonsense. Nothing may trap, everything is counted, and the
/// session lives on.
@Suite struct HostileRecordTests {
    @Test("every truncation of a UNIT, padded or not, is dropped")
    func truncatedUnit() throws {
        let attack = try Attack()
        let unit = unitRecord(udp(1, 2, text(400)))
        for length in 1..<unit.count {
            let cut = Array(unit.prefix(length))
            try attack.send(cut, expect: .record)
            // With a length that fits what is left.
            if length >= 4 { try attack.send(record(0x11, 1, Array(cut.dropFirst(4))), expect: .record) }
        }
        try attack.expectAlive()
    }

    @Test("every truncation of a HELLO is dropped")
    func truncatedHello() throws {
        let attack = try Attack()
        let hello = helloRecord(flags: 1)
        for length in 1..<hello.count { try attack.send(Array(hello.prefix(length)), expect: .record) }
        try attack.expectAlive()
    }

    @Test("a body longer than the payload, or shorter by 16 and more, is dropped")
    func lengths() throws {
        let attack = try Attack()
        let body = Array(unitRecord(udp(1, 2, text(400))).dropFirst(4))
        for length in [0, 1, 2, body.count - 16, body.count + 1, body.count + 15, 1500, 65_535] {
            try attack.send(record(0x11, 1, body, length: length), expect: .record)
        }
        try attack.expectAlive()
    }

    @Test("up to 15 zeros may follow a record, 16 may not")
    func trailing() throws {
        let attack = try Attack()
        let packet = udp(1, 2, text(400))
        for zeros in 0...40 {
            let payload = unitRecord(packet) + [UInt8](repeating: 0, count: zeros)
            if zeros < 16 {
                try attack.send(payload, expect: nil)
                #expect(attack.pair.bob.received.last == packet)
            } else {
                try attack.send(payload, expect: .record)
            }
        }
        #expect(attack.pair.bob.received.count == 16)
    }

    @Test("a decoded size that is not that of the content is dropped")
    func decodedSizes() throws {
        let attack = try Attack()
        let packet = udp(1, 2, text(400))
        for size in [0, 1, 19, packet.count - 1, packet.count + 1, 1500, 65_535] {
            try attack.send(unitRecord(packet, decoded: size), expect: .record)
        }
        try attack.send(unitRecord(packet), expect: nil)
        try attack.expectAlive()
    }

    @Test("a bomb is not unfolded")
    func bomb() throws {
        let attack = try Attack()
        let bomb = deflated([UInt8](repeating: 0, count: 10_000_000))
        #expect(bomb.count < 12_000)
        for size in [0, 1, 20, 1420, 65_535] as [UInt16] {
            try attack.send(record(0x11, 1, little(size) + bomb), expect: .record)
        }
        try attack.expectAlive()
    }

    @Test("a stream that is cut off, goes on, or is not one, is dropped")
    func streams() throws {
        let attack = try Attack()
        let packet = udp(1, 2, text(400))
        let coded = deflated(packet)
        let size = little(UInt16(packet.count))
        try attack.send(record(0x11, 1, size + coded.dropLast()), expect: .record)
        try attack.send(record(0x11, 1, size + coded + [0]), expect: .record)
        try attack.send(record(0x11, 1, size + coded + coded), expect: .record)
        try attack.send(record(0x11, 1, size + packet), expect: .record)
        try attack.send(record(0x11, 1, size), expect: .record)
        // A stored block, which is a stream as well.
        let length = little(UInt16(packet.count))
        try attack.send(record(0x11, 1, size + [1] + length + length.map { ~$0 } + packet), expect: nil)
        #expect(attack.pair.bob.received.last == packet)
        try attack.expectAlive()
    }

    @Test("codecs and layouts that nobody announced are dropped")
    func parameters() throws {
        let attack = try Attack()
        let packet = udp(1, 2, text(400))
        for parameter in 0...255 as ClosedRange<UInt8> where parameter != 1 {
            try attack.send(unitRecord(packet, parameter: parameter), expect: .record)
        }
        try attack.expectAlive()
    }

    @Test("an end that only wants another cipher has announced no records with packets, and drops them")
    func notAnnounced() {
        let pair = Pair(both: Pair.Options(cipher: .auto))
        pair.connect()
        let packets = [udp(1, 2, text(300)), udp(1, 2, text(200))]
        let unit = membersRecord(packets)
        for payload in [unitRecord(packets[0]), unit, bundleRecord(packets)]
            + fragmentRecords(unit, number: 0, count: 2)
        {
            #expect(pair.deliver(payload) == [.record])
        }
        #expect(pair.deliver(pingRecord(0, token: 1)) == [])
        #expect(pair.bob.received.isEmpty)
    }

    @Test("a record inside a unit is never looked at as a record")
    func nested() throws {
        let attack = try Attack()
        for inner in [unitRecord(udp(1, 2, text(400))), helloRecord(flags: 3), [0x10], []] {
            try attack.send(unitRecord(inner.padded), expect: .content)
        }
        #expect(attack.pair.link.sightings.summary == [])
        try attack.expectAlive()
    }

    @Test("a unit whose content is no IP packet, or a packet of somebody else, is dropped")
    func contents() throws {
        let attack = try Attack()
        try attack.send(unitRecord(udp(7, 2, text(400))), expect: .allowedIPs)
        try attack.send(unitRecord(text(400)), expect: .content)
        try attack.send(unitRecord([0x45]), expect: .content)
        try attack.send(unitRecord(Array(udp(1, 2, text(400)).dropLast())), expect: .content)
        // Bytes behind the packet's own length are not its own.
        try attack.send(unitRecord(udp(1, 2, text(400)) + [1, 2, 3]), expect: nil)
        #expect(attack.pair.bob.received.last == udp(1, 2, text(400)))
        try attack.expectAlive()
    }

    @Test("a payload of any unknown type is dropped")
    func types() throws {
        let attack = try Attack()
        // A CONFIRM of something that was never said is passed over.
        let known = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17] as [UInt8]
        for type in 0...255 as ClosedRange<UInt8> where ![4, 6].contains(type >> 4) && !known.contains(type) {
            try attack.send(record(type, 1, text(50)).padded, expect: .record)
            try attack.send([type], expect: .record)
        }
        try attack.expectAlive()
    }

    @Test("thousands of random payloads of every length and type do no harm")
    func random() throws {
        let attack = try Attack()
        var noise = Noise(seed: 31)
        for round in 0..<20_000 {
            var payload = noise.bytes(Int(noise.next() % 1500))
            if !payload.isEmpty, round % 4 != 0 { payload[0] = round % 4 == 1 ? 0x10 : 0x11 }
            if payload.count > 4, round % 3 != 0 {
                payload[1] = round % 8 == 1 ? UInt8(truncatingIfNeeded: round) : 1
                payload.replaceSubrange(
                    2..<4, with: little(UInt16(payload.count - 4 - Int(noise.next() % 18) % (payload.count - 4))))
            }
            try attack.send(payload)
        }
        #expect(attack.pair.bob.received.isEmpty)
        try attack.expectAlive()
    }

    @Test("thousands of damaged units and HELLOs do no harm")
    func damaged() throws {
        let attack = try Attack()
        var noise = Noise(seed: 32)
        let originals = [unitRecord(udp(1, 2, text(900))), unitRecord(udp(1, 2, payload: 60)), helloRecord(flags: 1)]
        for round in 0..<20_000 {
            var payload = originals[round % 3]
            for _ in 0...noise.next() % 3 {
                payload[Int(noise.next() % UInt64(payload.count))] ^= UInt8(truncatingIfNeeded: 1 << (noise.next() % 8))
            }
            try attack.send(round % 5 == 0 ? payload.padded : payload)
        }
        try attack.expectAlive()
    }
}

/// Alice as somebody who seals what she likes.
private struct Attack {
    let pair: Pair

    init() throws {
        pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
    }

    /// Delivers a payload; with an expectation, it is dropped for that reason, or not at all.
    func send(_ payload: [UInt8], expect reason: DropReason?, _ location: SourceLocation = #_sourceLocation) throws {
        let before = drops
        try send(payload)
        let after = drops
        let changes = DropReason.allCases.filter { after[$0.rawValue] != before[$0.rawValue] }
        #expect(
            changes == (reason.map { [$0] } ?? []), "\(payload.prefix(12)) of \(payload.count)",
            sourceLocation: location)
    }

    func send(_ payload: [UInt8]) throws {
        let datagram = try #require(pair.alice.seal(payload, to: pair.bob))
        pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
    }

    /// The session goes on, both ways, with units.
    func expectAlive() throws {
        pair.link.drain()
        pair.forget()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        pair.link.drain()
        #expect(pair.bob.received == [udp(1, 2, text(1000))])
        #expect(pair.alice.received == [udp(2, 1, text(1000))])
        #expect(pair.link.sightings.initiations.isEmpty)
    }

    private var drops: [UInt64] {
        let peer = pair.bob.statistics(of: pair.alice)?.drops
        return DropReason.allCases.map { (peer?[$0] ?? 0) + pair.bob.drops($0) }
    }
}
