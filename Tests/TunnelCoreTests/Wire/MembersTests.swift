import Testing

@testable import TestKit
@testable import TunnelCore

/// Members of records (docs/protocol.md §3.3), against a model of the page.
@Suite struct MembersTests {
    @Test("packets of every kind are read back byte for byte, by us and by the model", arguments: 0..<40)
    func roundTrip(seed: UInt64) throws {
        var source = PacketSource(seed: seed)
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        for round in 0..<40 {
            let members = source.members(count: 1 + round % 24)
            let written = write(members)
            let packets = try #require(members.map(\.packets) as? [[[UInt8]]])
            // What stands for several is the same if they are: its own checksums are nobody's.
            #expect(readMembers(written)?.map(\.packets) == packets)
            let drops = pair.deliver(record(0x12, 0, written))
            #expect(drops.isEmpty && pair.bob.received == packets.flatMap { $0 })
            pair.forget()
        }
    }

    @Test("members as the model writes them are read, whatever the mask sets besides", arguments: 0..<40)
    func reads(seed: UInt64) throws {
        var source = PacketSource(seed: seed ^ 0xff00)
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        for round in 0..<40 {
            let members = source.members(count: 1 + round % 24)
            let more = round % 2 == 0 ? 0 : source.noise.next() & source.noise.next()
            let drops = pair.deliver(record(0x12, 0, writeMembers(members, more: more)))
            let packets = try #require(members.map(\.packets) as? [[[UInt8]]])
            #expect(drops.isEmpty && pair.bob.received == packets.flatMap { $0 })
            pair.forget()
        }
    }

    @Test("a packet never takes more than three bytes besides its own")
    func overhead() {
        var source = PacketSource(seed: 5)
        for _ in 0..<200 {
            let members = source.members(count: 10)
            let sizes = members.map { $0.packet.count + ($0.segment > 0 ? 3 : 1) + 2 }
            #expect(write(members).count <= sizes.reduce(0, +))
        }
    }

    @Test("a stream that goes on costs three bytes a packet besides its payload, four from 128 bytes on")
    func stream() {
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                for (size, cost) in [(0, 3), (1, 3), (127, 3), (128, 4), (1360, 4)] {
                    var segment = Segment(isV6: isV6, isTCP: isTCP, identifier: 0xfff0, sequence: 0xffff_ff00)
                    if isTCP { segment.tcpOptions = timestamps(7) }
                    var members: [Member] = []
                    for index in 0..<20 as Range<UInt8> {
                        segment.payload = [UInt8](repeating: index, count: size)
                        members.append(Member(packet: segment.bytes))
                        segment.identifier &+= 1
                        segment.sequence &+= UInt32(size)
                    }
                    let first = 1 + members[0].packet.count
                    #expect(write(members).count == first + 19 * (cost + size))
                }
            }
        }
    }

    @Test("a new acknowledgement costs four to six bytes more, a new window and a new timestamp four and five")
    func differences() {
        let base = Segment(tcpOptions: timestamps(0x0102_0304), payload: [1, 2, 3])
        var next = base
        next.identifier += 1
        next.sequence += 3
        let expected = base.bytes.count + 1
        func cost(_ change: (inout Segment) -> Void) -> Int {
            var changed = next
            change(&changed)
            return write([Member(packet: base.bytes), Member(packet: changed.bytes)]).count - expected - 3
        }
        #expect(cost { _ in } == 3)
        // Masks grow with the place of what they name: seven half-words a byte.
        #expect(cost { $0.acknowledgement += 1 } == 3 + 2 + 2)
        #expect(cost { $0.acknowledgement += 0x10000 } == 3 + 2 + 2)
        #expect(cost { $0.acknowledgement += 0x10001 } == 3 + 2 + 4)
        #expect(cost { $0.window += 1 } == 3 + 2 + 2)
        #expect(cost { $0.tcpOptions = timestamps(0x0102_0305) } == 3 + 3 + 2)
    }

    @Test("super-segments that go on cost six bytes each")
    func segmented() {
        var segment = Segment(payload: [UInt8](repeating: 8, count: 2500))
        var members: [Member] = []
        for _ in 0..<4 {
            members.append(Member(packet: segment.bytes, segment: 1000))
            segment.identifier += 3
            segment.sequence += 2500
        }
        let first = members[0].packet.count + 3
        #expect(write(members).count == first + 3 * (2500 + 6))
    }

    @Test("checksums at the ends of their range survive: 0x0000 and 0xffff, right and wrong, of IP, TCP and UDP")
    func cornerChecksums() throws {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                let first = Segment(isV6: isV6, isTCP: isTCP, payload: [0, 0, 9])
                // With this in the payload the sum comes to 0xffff, so the checksum is zero.
                var zero = first
                zero.payload = big(PacketView(first.bytes).checksum) + [9]
                #expect(PacketView(zero.bytes).checksum == (isTCP ? 0 : 0xffff))
                for checksum: UInt16 in [0, 1, 0xfffe, 0xffff] {
                    for payload in [first.payload, zero.payload] {
                        var next = first
                        (next.payload, next.identifier) = (payload, first.identifier + 1)
                        next.sequence += 3
                        var packet = PacketView(next.bytes)
                        packet.checksum = checksum
                        var headerToo = packet
                        if !isV6 { headerToo.headerChecksum = checksum }
                        for packet in [next.bytes, packet.bytes, headerToo.bytes] {
                            let members = [first.bytes, packet, packet].map { Member(packet: $0) }
                            #expect(readMembers(write(members)) == members)
                            #expect(pair.deliver(record(0x12, 0, write(members))).isEmpty)
                            #expect(pair.bob.received == members.map(\.packet))
                            pair.forget()
                        }
                    }
                }
            }
        }
    }

    @Test("an IPv4 header whose right checksum is zero survives")
    func zeroHeaderChecksum() {
        var base = Segment(identifier: 0)
        // The identification takes the sum to 0xffff.
        base.identifier = PacketView(base.bytes).headerChecksum
        #expect(PacketView(base.bytes).headerChecksum == 0)
        var before = base
        before.identifier -= 1
        for checksum: UInt16 in [0, 0xffff] {
            var packet = PacketView(base.bytes)
            packet.headerChecksum = checksum
            let members = [Member(packet: before.bytes), Member(packet: packet.bytes)]
            #expect(readMembers(write(members)) == members)
        }
    }

    @Test("what is malformed drops the record from there on, and the packets before count")
    func malformed() {
        let good = [Segment(payload: [1, 2, 3]).bytes, Segment(identifier: 0x1235, payload: [4]).bytes]
        let packets: [UInt8] = good.flatMap { [0] + $0 }
        let long = [UInt8](repeating: 0x80, count: 9)
        var bad: [[UInt8]] = [
            // Unknown bits; cut off everywhere.
            [4] + good[0], [0x80] + good[0], [8, 0, 0], [0], [0] + good[0].dropLast(), [0, 0x45], [2], [2, 1],
            [1], [1, 0x80], [1, 3], [1, 0, 0x80], [1, 0, 1], [1, 0, 1, 7], [1, 1, 0], [1, 2, 0, 9],
        ]
        // Numbers that never end, a mask behind the header, more payload than there can be.
        bad += [[1] + long + [0, 0], [1, 0] + long + [1], like(mask: 1 << 20, []), [1] + number(65_500) + [0]]
        // A segmented packet with a segment of nothing, or of all it has, or of what can't be cut.
        bad += [[2, 0, 0] + good[0], [2, 3, 0] + good[0], [2, 4, 0] + good[0], [2, 1, 0] + v4(1, 2, length: 60)]
        // No IP packet.
        bad += [0x55, 0].map { [0] + [UInt8](repeating: $0, count: 60) }
        // Like, but with another version, header length, total length, protocol, data offset, or as a fragment.
        bad += [
            like(mask: 1, [0x65, 0]), like(mask: 1, [0x46, 0]), like(mask: 2, [0, 99]), like(mask: 1 << 4, [64, 17]),
        ]
        bad += [like(mask: 1 << 3, [0x20, 0]), like(mask: 1 << 16, [0x60, 16])]
        for tail in bad {
            let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
            pair.connect()
            #expect(readMembers(packets + tail) == nil, "\(tail.prefix(8))")
            #expect(pair.deliver(record(0x12, 0, packets + tail)) == [.record], "\(tail.prefix(8))")
            #expect(pair.bob.received == good)
            pair.forget()
            #expect(pair.deliver(unitRecord(packets + tail, parameter: 0x11)) == [.record])
            #expect(pair.bob.received == good)
        }
    }

    @Test("the first member is not like anything, and a record has one at least")
    func first() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        #expect(pair.deliver(record(0x12, 0, [])) == [.record])
        #expect(pair.deliver(record(0x12, 0, [1, 0, 0])) == [.record])
        #expect(pair.deliver(record(0x12, 0, [1, 0, 0] + [0] + udp(1, 2, payload: 9))) == [.record])
        // Not like a member of the record before, either.
        #expect(pair.deliver(bundleRecord([udp(1, 2, payload: 9)])) == [])
        #expect(pair.deliver(record(0x12, 0, [1, 0, 0])) == [.record])
        #expect(pair.bob.received == [udp(1, 2, payload: 9)])
    }

    @Test("128 packets are read, as members or in segmented ones, and no more")
    func mostPackets() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let packet = udp(1, 2, payload: 2)
        for count in [127, 128, 129, 140] {
            let body = [[UInt8]](repeating: [0] + packet, count: count).flatMap { $0 }
            #expect(pair.deliver(unitRecord(body, parameter: 0x11)) == (count > 128 ? [.record] : []))
            #expect(pair.bob.received.count == min(count, 128))
            pair.forget()
            let segmented = [2] + little(10 as UInt16) + Segment(payload: text(10 * count)).bytes
            #expect(pair.deliver(unitRecord(segmented, parameter: 0x11)) == (count > 128 ? [.record] : []))
            #expect(pair.bob.received.count == (count > 128 ? 0 : count))
            pair.forget()
        }
    }

    @Test("AllowedIPs hold for every member, and one that they do not admit takes no other along")
    func allowedIPs() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let packets = [udp(1, 2, payload: 5), udp(7, 2, payload: 6), udp(1, 2, payload: 7)]
        for payload in [bundleRecord(packets), membersRecord(packets)] {
            #expect(pair.deliver(payload) == [.allowedIPs])
            #expect(pair.bob.received == [packets[0], packets[2]])
            pair.forget()
        }
        // A mask can change the source of one that is like the one before.
        let changed = [0] + packets[0] + like(mask: 1 << 7, [0, 9]) + like(mask: 1 << 7, [0, 1])
        #expect(pair.deliver(record(0x12, 0, changed)) == [.allowedIPs])
        #expect(pair.bob.received.count == 2)
    }

    @Test("the packets of a bundle are counted, not its members")
    func counted() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let members = [
            Member(packet: udp(1, 2, payload: 5)), Member(packet: Segment(payload: text(250)).bytes, segment: 100),
        ]
        #expect(pair.deliver(record(0x12, 0, writeMembers(members))) == [])
        #expect(pair.bob.statistics(of: pair.alice)?.traffic.bundledPackets == 4)
        #expect(pair.bob.statistics(of: pair.alice)?.traffic.bundles == 1)
    }

    @Test("thousands of damaged records do no harm, and are read as the model reads them", arguments: 0..<20)
    func damaged(seed: UInt64) {
        var source = PacketSource(seed: seed ^ 0xdada)
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        for round in 0..<100 {
            var bytes = writeMembers(source.members(count: 1 + round % 8))
            for _ in 0...source.noise.next() % 3 {
                let place = Int(source.noise.next() % UInt64(bytes.count))
                bytes[place] ^= UInt8(truncatingIfNeeded: 1 << (source.noise.next() % 8))
            }
            let drops = pair.deliver(record(0x12, 0, bytes))
            if let members = readMembers(bytes), !drops.contains(.allowedIPs) {
                #expect(drops.isEmpty)
                #expect(pair.bob.received == members.flatMap { $0.packets ?? [] })
            } else {
                #expect(drops.contains(.record) || drops.contains(.allowedIPs))
            }
            pair.forget()
        }
    }

    /// A member without payload that is like the one before.
    private func like(mask: UInt64, _ differing: [UInt8]) -> [UInt8] { [1, 0] + number(mask) + differing }

    private func timestamps(_ value: UInt32) -> [UInt8] { [1, 1, 8, 10] + big(value) + big(7 as UInt32) }

    /// What `Members.write` makes of them.
    private func write(_ members: [Member]) -> [UInt8] {
        var out = Arena(capacity: 1 << 20)
        var scratch = Arena(capacity: PacketLayout.longestHeader)
        var end = 0
        for (index, member) in members.enumerated() {
            var space = out[0..<out.capacity]
            var header = scratch[0..<scratch.capacity]
            let packet = unsafe member.packet.span.bytes
            guard let shape = shape(member) else { return [] }
            if index > 0, let last = self.shape(members[index - 1]) {
                let earlier = members[index - 1].packet
                let before = unsafe earlier.span.bytes
                end += Members.write(
                    Members.Packet(packet, shape), after: Members.Packet(before, last), to: &space, at: end, &header)
            } else {
                end += Members.write(Members.Packet(packet, shape), after: nil, to: &space, at: end, &header)
            }
        }
        return unsafe out.bytes(0..<end).withUnsafeBytes { unsafe Array($0) }
    }

    private func shape(_ member: Member) -> MemberShape? {
        let packet = unsafe member.packet.span.bytes
        guard let header = InternetPacket(packet) else { return nil }
        return MemberShape(layout: PacketLayout(packet, header), segment: member.segment)
    }
}
