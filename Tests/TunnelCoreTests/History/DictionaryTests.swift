import Testing

@testable import TestKit
@testable import TunnelCore

/// Units that refer to a dictionary of what was acknowledged (docs/protocol.md §3.16), between one sender and one receiver.
@Suite struct DictionaryTests {
    @Test("units come out as they went in, and much smaller once they refer to others", arguments: [false, true])
    func roundTrip(isBrief: Bool) throws {
        let ends = DictionaryEnds()
        ends.isBrief = isBrief
        var (first, later, plain) = (0, 0, 0)
        for number in 0..<400 {
            let message = DictionaryEnds.message(UInt64(number))
            let record = try #require(ends.encode(message))
            #expect(ends.receive(record) == .plain(message))
            ends.tell()
            if number < 2 { first += record.count } else { later += record.count }
            if number >= 2 { plain += message.count }
        }
        #expect(first > 2 * 60 && Double(later) < 0.55 * Double(plain))
        let refused = ends.broken
        #expect(refused == 0)
    }

    @Test(
        "a peer that never says what it has decoded is sent units that refer to nothing, and learns no more than a bound"
    )
    func silence() throws {
        let ends = DictionaryEnds()
        for number in 0..<500 {
            let message = DictionaryEnds.message(UInt64(number))
            let record = try #require(ends.encode(message))
            #expect(record[1] & 2 == 0)
            #expect(ends.receive(record) == .plain(message))
            ends.now = ends.now + .milliseconds(20)
        }
        let learned = ends.inbound[0]?.log.count ?? 0
        let pending = ends.outbound[0]?.pending.count ?? 0
        #expect(learned > 0 && learned <= LearnedRecord.most && pending <= LearnedRecord.most)
    }

    @Test(
        "units and words that get lost, come twice or in another order cost their turn, and nothing more",
        arguments: 1...6)
    func faults(seed: UInt64) {
        var model = DictionaryModel(seed: seed)
        model.run(units: 5000)
        #expect(model.wrong == 0 && model.caught == 0 && model.delivered + model.lost + model.gone == 5000)
        #expect(model.delivered > 4250 && model.referring > 3500)
    }

    @Test(
        "whatever is damaged, and whoever begins anew, nothing comes out but what went in: the check finds every other history",
        arguments: 1...4)
    func damageAndRestarts(seed: UInt64) {
        var model = DictionaryModel(seed: seed)
        model.run(units: HistoryModelTests.units / 8, damage: 10, restarts: 2)
        #expect(model.wrong == 0 && model.caught > 0)
        #expect(model.delivered > HistoryModelTests.units / 8 / 2)
    }

    @Test("what deflate refers to in front of the dictionary, or copies beyond the unit, is not decoded")
    func deflated() throws {
        let ends = DictionaryEnds()
        ends.isBrief = true
        _ = ends.receive(try #require(ends.encode(DictionaryEnds.message(1))))
        ends.tell()
        let record = try #require(ends.encode(DictionaryEnds.message(2)))
        #expect(record[1] & 6 == 6)
        // Something behind its end, and fixed codes that copy from 32 KB back.
        let longer = record.prefix(2) + little(UInt16(record.count - 3)) + record.dropFirst(4) + [0]
        #expect(ends.receive(Array(longer)) == .wrong)
        let other = DictionaryEnds()
        other.isBrief = true
        _ = other.receive(try #require(other.encode(DictionaryEnds.message(1))))
        other.tell()
        let far =
            Array(try #require(other.encode(DictionaryEnds.message(2))).prefix(12)) + [0x02, 0x7c, 0xff, 0x7f, 0x00]
        #expect(other.receive(far) == .wrong)
    }

    @Test("a unit with deflate of more than an entry may have is not decoded, however it is coded")
    func deflateBomb() throws {
        for (count, isRight) in [(4096, true), (4097, false), (60_000, false)] {
            let ends = DictionaryEnds()
            ends.isBrief = true
            let plain = [UInt8](repeating: 97, count: count)
            #expect((ends.receive(try #require(ends.encode(plain))) == .plain(plain)) == isRight)
        }
    }

    @Test("any byte that is changed makes a unit fail, or nothing; a unit that fails ends the epoch at both ends")
    func damage() throws {
        var failed = 0
        for seed in 0..<200 as Range<UInt64> {
            let ends = DictionaryEnds()
            for number in 0..<5 {
                _ = ends.receive(try #require(ends.encode(DictionaryEnds.message(UInt64(number)))))
                ends.tell()
            }
            let message = DictionaryEnds.message(seed + 100)
            var record = try #require(ends.encode(message))
            var noise = Noise(seed: seed)
            let index =
                RecallRecord.headerSize - 6 + Int(noise.next() % UInt64(record.count - RecallRecord.headerSize + 6))
            record[index] ^= 1 << UInt8(noise.next() % 8)
            let outcome = ends.receive(record)
            #expect(outcome == .plain(message) || outcome == .wrong || outcome == .malformed)
            guard outcome == .wrong else { continue }
            failed += 1
            ends.tell()
            #expect(ends.broken == 1)
            ends.now = ends.now + .milliseconds(300)
            let next = try #require(ends.encode(message))
            #expect(next[1] & 2 == 0 && ends.receive(next) == .plain(message))
        }
        #expect(failed > 100)
    }

    @Test(
        "references to entries that are ahead or gone, to another epoch or dictionary, are dropped and told, and nothing is decoded"
    )
    func hostileReferences() throws {
        let ends = DictionaryEnds()
        for number in 0..<40 {
            _ = ends.receive(try #require(ends.encode(DictionaryEnds.message(UInt64(number)))))
            ends.tell()
        }
        let record = try #require(ends.encode(DictionaryEnds.message(1)))
        // Ahead; before the first; of a later epoch; of another dictionary.
        for (index, value) in [(6, record[6] &+ 1), (6, record[6] &- 40), (6, 200), (5, record[5] &+ 1), (4, 77)] {
            var other = record
            other[index] = value
            #expect(ends.receive(other) == .gone, "\(index) \(value)")
        }
        // An earlier epoch: it is only late.
        var old = record
        old[5] &-= 1
        let told = ends.poll().filter { $0.word == .none }.count
        #expect(ends.receive(old) == .gone)
        let after = ends.poll().count
        #expect(told == 3 && after == 0)
        #expect(ends.receive(record) == .plain(DictionaryEnds.message(1)))
    }

    @Test("entries of which the bytes are gone can't be referred to")
    func goneBytes() throws {
        let ends = DictionaryEnds()
        var early: [UInt8]?
        for number in 0..<60 {
            var noise = Noise(seed: UInt64(number))
            let record = try #require(ends.encode(noise.bytes(1000)))
            if number == 4 { early = record }
            if number != 4 { _ = ends.receive(record) }
            ends.tell()
        }
        let late = try #require(early)
        #expect(late[1] & 2 == 2 && ends.receive(late) == .gone)
    }

    @Test("a unit that says that it is as large as can be, in copies of the dictionary, takes no more than that")
    func bomb() throws {
        let ends = DictionaryEnds()
        _ = ends.receive(try #require(ends.encode([UInt8](repeating: 97, count: 4000))))
        ends.tell()
        // A window of 32 MB; runs of 128 KB of one byte, in four bytes each.
        var record: [UInt8] = [0x20, 0x12, 0, 0, 0, ends.outbound[0]?.epoch ?? 0, 1, 0] + little(65_535 as UInt16)
        record += [0, 0, 0, 0, 0x00, 0x78]
        for _ in 0..<300 { record += [0x02, 0x00, 0x10, 0x61] }
        record += [0x03, 0x00, 0x10, 0x61]
        record.replaceSubrange(2..<4, with: little(UInt16(record.count - 4)))
        #expect(ends.receive(record) == .wrong)
    }

    @Test("a dictionary that begins as zstd's own do is content like any other", arguments: [0, 3])
    func magic(before: Int) throws {
        let ends = DictionaryEnds()
        let magic: [UInt8] = [0x37, 0xa4, 0x30, 0xec] + [UInt8](repeating: 0xff, count: 200)
        for _ in 0..<before { _ = ends.receive(try #require(ends.encode(magic))) }
        _ = ends.receive(try #require(ends.encode(magic)))
        ends.tell()
        for number in 0..<50 {
            let message = magic + DictionaryEnds.message(UInt64(number))
            let record = try #require(ends.encode(message))
            #expect(record[1] & 2 == 2 && ends.receive(record) == .plain(message))
            ends.tell()
        }
        #expect(ends.broken == 0)
    }

    @Test("a word of units that were never sent, or of more than it lists, ends the epoch and changes nothing else")
    func lies() throws {
        for lie in 0..<3 {
            let ends = DictionaryEnds()
            for number in 0..<10 {
                _ = ends.receive(try #require(ends.encode(DictionaryEnds.message(UInt64(number)))))
            }
            let epoch = try #require(ends.outbound[0]?.epoch)
            var word = LearnedRecord(.entries, of: 0, epoch: epoch, count: lie == 1 ? 9 : 1)
            word.append(lie == 0 ? 99 : 0)
            if lie == 2 {
                // The right one, and then again for the next.
                _ = ends.outbound.take(word, isAlone: true, from: 0, at: ends.now)
                word = LearnedRecord(.entries, of: 0, epoch: epoch, count: 2)
                word.append(0)
            }
            let isBroken = ends.outbound.take(word, isAlone: true, from: 0, at: ends.now)
            #expect(isBroken)
            // Of other dictionaries, peers and epochs nothing is taken.
            for other in [(1, 0, epoch), (0, 1, epoch), (0, 0, epoch)] as [(UInt8, Int, UInt8)] {
                let strange = LearnedRecord(.none, of: other.0, epoch: other.2)
                let breaks = ends.outbound.take(strange, isAlone: true, from: PeerSlot(other.1), at: ends.now)
                #expect(!breaks)
            }
            let isUsable = ends.outbound.isUsable(0, at: ends.now)
            let isUsableLater = ends.outbound.isUsable(0, at: ends.now + .milliseconds(250))
            #expect(!isUsable && isUsableLater)
            let next = try #require(ends.encode(DictionaryEnds.message(3)))
            #expect(next[1] & 2 == 0 && ends.receive(next) == .plain(DictionaryEnds.message(3)))
        }
    }

    @Test(
        "a sender that began anew gets its dictionary again, however its epochs lie",
        arguments: [0, 1, 100, 127, 128, 129, 255])
    func restart(distance: UInt8) throws {
        let ends = DictionaryEnds()
        for number in 0..<20 {
            _ = ends.receive(try #require(ends.encode(DictionaryEnds.message(UInt64(number)))))
            ends.tell()
        }
        let epoch = try #require(ends.outbound[0]?.epoch)
        // The first epoch is one above where they begin.
        ends.restartSender(epochs: epoch &+ distance &- 1)
        var referring = 0
        for number in 0..<40 {
            let message = DictionaryEnds.message(UInt64(number + 1000))
            let record = try #require(ends.encode(message))
            let outcome = ends.receive(record)
            #expect(outcome == .plain(message) || distance == 0)
            if record[1] & 2 == 2 { referring += 1 }
            ends.tell()
            ends.now = ends.now + .milliseconds(60)
        }
        // With the same epoch the receiver learns on, and says what the sender can't know.
        #expect(referring > (distance == 0 ? 10 : 30))
    }

    @Test(
        "neither end takes more memory than it may, with a thousand flows and a hundred peers; what is quiet or brings least gives way"
    )
    func memory() throws {
        var outbound = OutboundDictionaries(seed: 1)
        outbound.most = 1 << 20
        var now = DictionaryEnds.start
        for flow in 1...1000 as ClosedRange<UInt64> {
            _ = outbound.begin(flow, to: 0, at: now)
            now = now + .milliseconds(20)
            #expect(outbound.used <= outbound.most && outbound.count <= OutboundDictionaries.capacity)
        }
        let (used, count) = (outbound.used, outbound.count)
        #expect(used > (1 << 20) * 9 / 10 && count > 20)
        let isOldest = outbound.find(1) != nil
        let isLater = (500...1000 as ClosedRange<UInt64>).contains { outbound.find($0) != nil }
        #expect(!isOldest && isLater)
        outbound.expire(at: now + .seconds(31))
        let left = outbound.used
        #expect(left == 0)

        var inbound = InboundDictionaries()
        inbound.most = 4 << 20
        for peer in 0..<100 {
            for number in 0..<50 as Range<UInt8> {
                let unit = try #require(DictionaryEnds.unit(dictionary: number))
                _ = inbound.place(of: unit, of: PeerSlot(peer), at: DictionaryEnds.start)
            }
            #expect(inbound.used <= inbound.most && inbound.count <= InboundDictionaries.capacity)
        }
        let ofFirst = (0..<50 as Range<UInt8>).filter { inbound.find($0, of: 0) != nil }.count
        let all = inbound.count
        #expect(ofFirst > 0 && ofFirst <= all / 2 + 1)
        inbound.removeAll(of: 0)
        inbound.expire(at: DictionaryEnds.start + .seconds(41))
        let rest = inbound.used
        #expect(rest == 0)
    }

    @Test("a dictionary that brings nothing rests")
    func worthless() {
        let ends = DictionaryEnds()
        for _ in 0..<32 { _ = ends.outbound.accept(0, wire: 200, without: 200, at: ends.now) }
        let isUsable = ends.outbound.isUsable(0, at: ends.now + .seconds(100))
        #expect(!isUsable)
        let other = DictionaryEnds()
        for _ in 0..<320 { _ = other.outbound.accept(0, wire: 150, without: 200, at: other.now) }
        let isUsed = other.outbound.isUsable(0, at: other.now)
        #expect(isUsed)
    }

    @Test("records that are cut off, or say what there is not, are malformed")
    func malformed() {
        for (record, isGood) in [
            ([0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7], true), ([0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], false),
            ([0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], false), ([0x00, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7], false),
            ([0x14, 0, 0, 0, 0, 0, 0, 0, 0, 7], true), ([0x14, 0, 0, 0, 0, 0, 0, 0, 0], false),
            ([0x18, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7], false),
        ] as [([UInt8], Bool)] {
            let body = unsafe record.span.bytes.extracting(1..<record.count)
            let unit = RecallRecord(parameter: record[0], body: body)
            #expect((unit != nil) == isGood)
        }
        for (parameter, count, isGood) in [
            (0, 3, true), (0, 2, false), (0, 35, true), (0, 36, false), (1, 3, true), (2, 3, false),
        ] as [(UInt8, Int, Bool)] {
            let bytes = [UInt8](repeating: 1, count: count)
            let word = unsafe LearnedRecord(parameter: parameter, body: bytes.span.bytes)
            #expect((word != nil) == isGood)
        }
    }
}
