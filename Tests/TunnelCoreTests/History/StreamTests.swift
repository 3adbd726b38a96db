import Testing

@testable import TestKit
@testable import TunnelCore

/// Encoders and decoders of units that refer to those before them (docs/protocol.md §3.14).
@Suite struct StreamTests {
    @Test("units come out as they went in, and smaller than by themselves")
    func roundTrip() throws {
        let ends = Ends()
        var coded = 0
        for number in 0..<200 {
            let plain = words(1 + number * 37 % 4000, seed: UInt64(number))
            let record = try #require(ends.encode(plain))
            coded += record.count
            #expect(ends.decode(record) == plain)
        }
        let plain = (0..<200).reduce(0) { $0 + 1 + $1 * 37 % 4000 }
        #expect(coded < plain / 2)
    }

    @Test("what repeats is nearly nothing the second time")
    func repetition() throws {
        let ends = Ends()
        let noise = words(1200, seed: 4, alphabet: 256)
        let first = try #require(ends.encode(noise))
        let second = try #require(ends.encode(noise))
        #expect(first.count > 1200 && second.count < 60)
        #expect(ends.decode(first) == noise)
        #expect(ends.decode(second) == noise)
    }

    @Test("a unit of which one before it is missing is never decoded to wrong bytes", arguments: 1...20)
    func gap(seed: UInt64) throws {
        let ends = Ends()
        for number in 0..<(seed % 5 + 1) {
            _ = ends.decode(try #require(ends.encode(words(900, seed: seed << 8 | number))))
        }
        _ = ends.encode(words(900, seed: seed << 8 | 100))
        var wrong = 0
        for number in 101..<140 as Range<UInt64> {
            var record = try #require(ends.encode(words(900, seed: seed << 8 | number)))
            // As if it were the next.
            record.replaceSubrange(8..<10, with: little(ends.next))
            if ends.decode(record) == words(900, seed: seed << 8 | number) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test("any byte of a unit that is changed makes it fail, or nothing", arguments: 1...40)
    func damage(seed: UInt64) throws {
        let ends = Ends()
        let plain = words(700, seed: seed)
        _ = ends.decode(try #require(ends.encode(words(700, seed: seed << 8))))
        var record = try #require(ends.encode(plain))
        var noise = Noise(seed: seed)
        let index = StreamRecord.headerSize + Int(noise.next() % UInt64(record.count - StreamRecord.headerSize))
        record[index] ^= 1 << UInt8(noise.next() % 8)
        let decoded = ends.decode(record)
        #expect(decoded == nil || decoded == plain)
    }

    @Test("a unit that says another size, or ends its frame, fails", arguments: [-1, 1])
    func size(by difference: Int) throws {
        let ends = Ends()
        var record = try #require(ends.encode(words(700, seed: 1)))
        record.replaceSubrange(10..<12, with: little(UInt16(700 + difference)))
        #expect(ends.decode(record) == nil)
    }

    @Test("a copy that would fill more than a unit stops at its size")
    func bomb() {
        var inbound = InboundStreams()
        let opened = inbound.open(question(0, 1), of: 0, at: start)
        #expect(opened)
        // Window of 1 KB; runs of 128 KB of one byte, in four bytes each.
        var record = header(decoded: 65_535)
        record += [0x00, 0x40]
        for _ in 0..<4000 { record += [0x02, 0x00, 0x10, 0x61] }
        let decoded = decode(record, with: &inbound)
        #expect(decoded == nil)
    }

    @Test("a window above what was asked for is refused")
    func window() {
        var inbound = InboundStreams()
        let opened = inbound.open(question(0, 1, window: 10), of: 0, at: start)
        #expect(opened)
        var record = header(decoded: 1)
        // Window descriptor: 2^21.
        record += [0x00, 0x58, 0x08, 0x00, 0x00, 0x61]
        let decoded = decode(record, with: &inbound)
        #expect(decoded == nil)
        for window in [9, 22] as [UInt8] {
            let body = [0, window, 0, 0]
            let question = unsafe HistoryRecord(parameter: 0, body: body.span.bytes)
            #expect(question == nil)
        }
    }

    @Test(
        "neither encoders nor decoders take more memory than they may, with a thousand flows and a hundred peers",
        arguments: [18, 21] as [UInt8])
    func memory(window: UInt8) {
        var outbound = OutboundStreams(seed: 1)
        outbound.most = 16 << 20
        var now = start
        for flow in 1...1000 as ClosedRange<UInt64> {
            _ = outbound.begin(flow, to: 0, level: 3, at: now)
            now = now + .milliseconds(20)
            #expect(outbound.used <= outbound.most && outbound.count <= OutboundStreams.capacity)
        }
        let (used, count) = (outbound.used, outbound.count)
        #expect(used > 0 && count > 0)
        outbound.expire(at: now + .seconds(31))
        let left = outbound.used
        #expect(left == 0)

        var inbound = InboundStreams()
        inbound.most = 16 << 20
        var served = 0
        for peer in 0..<100 {
            for number in 0..<40 as Range<UInt8> {
                if inbound.open(question(number, 7, window: window), of: PeerSlot(peer), at: start) { served += 1 }
            }
            #expect(inbound.used <= inbound.most && inbound.count <= InboundStreams.capacity)
        }
        // The first does not take all.
        let ofFirst = (0..<40 as Range<UInt8>).filter { inbound.find($0, of: 0) != nil }.count
        #expect(ofFirst > 0 && ofFirst <= served / 2 + 1)
    }

    @Test(
        "of flows through which much goes one at a time has the wide window, once the peer has a decoder for it",
        arguments: [3, 7] as [Int32])
    func wide(level: Int32) throws {
        let ends = Ends(level: level)
        for flow in [10, 11] as [UInt64] {
            let question = ends.outbound.begin(flow, to: 0, level: level, at: start)
            ends.answer(try #require(question), .opened)
        }
        var now = start
        var text = words(60_000, seed: 1)
        var asked: [HistoryRecord] = []
        func send(_ flow: UInt64, _ count: Int, _ word: HistoryRecord.Word) throws {
            for number in 0..<count {
                now = now + .milliseconds(20)
                text[number * 37 % 60_000] &+= 1
                let found = try #require(ends.place(of: flow))
                let (place, question) = ends.outbound.prepare(found, roundTrip: .milliseconds(20), at: now)
                #expect(ends.encode(text, in: try #require(place), at: now))
                let (used, most) = (ends.outbound.used, ends.outbound.most)
                #expect(used <= most && ends.wide <= 1)
                guard let question else { continue }
                asked.append(question)
                ends.answer(question, word)
            }
        }
        try send(9, 60, .opened)
        #expect(asked.isEmpty)
        try send(9, 20, .opened)
        #expect(asked.map(\.window) == [21] && ends.window(of: 9) == 21)
        // While it is used no other gets it.
        for _ in 0..<90 {
            try send(9, 1, .opened)
            try send(10, 1, .opened)
        }
        #expect(ends.window(of: 10) == 18 && asked.count == 1)
        now = now + .seconds(4)
        // The peer has no memory for it: the flow goes on as before, and does not ask at once again.
        try send(10, 10, .closed)
        #expect(ends.window(of: 10) == 18 && asked.count == 2)
        try send(11, 90, .opened)
        #expect(ends.window(of: 11) == 21 && asked.count == 3)
    }

    @Test("a decoder that was asked for twice is made once, and one of another epoch begins anew")
    func epochs() {
        var inbound = InboundStreams()
        let first = inbound.open(question(3, 1), of: 0, at: start)
        let again = inbound.open(question(3, 1), of: 0, at: start)
        let other = inbound.open(question(3, 2), of: 0, at: start)
        let count = inbound.count
        #expect(first && again && other && count == 1)
        let place = inbound.find(3, of: 0) ?? 0
        let epoch = inbound[place]?.epoch
        #expect(epoch == 2)
        let otherPeer = inbound.find(3, of: 1)
        #expect(otherPeer == nil)
    }

    @Test("a stream that leaves hardly less than units alone rests, and one that leaves less goes on")
    func gain() {
        for (coded, isUsed) in [(970, false), (940, true)] {
            let ends = Ends()
            for _ in 0..<7 { ends.outbound.note(coded, alone: 1000, in: 0) }
            let early = ends.outbound.prepare(0, roundTrip: nil, at: start).place != nil
            ends.outbound.note(coded, alone: 1000, in: 0)
            let later = ends.outbound.prepare(0, roundTrip: nil, at: start).place != nil
            #expect(early && later == isUsed)
        }
    }

    @Test("what a stream gained long ago counts less")
    func change() {
        let ends = Ends()
        for _ in 0..<100 { ends.outbound.note(500, alone: 1000, in: 0) }
        for _ in 0..<200 { ends.outbound.note(1000, alone: 1000, in: 0) }
        let isOpen = ends.outbound.prepare(0, roundTrip: nil, at: start).place != nil
        #expect(!isOpen)
    }

    @Test("one unit of four is looked at by itself at first, and one of 32 later")
    func samples() {
        let ends = Ends()
        var numbers: [Int] = []
        for number in 1...128 {
            _ = ends.encode([UInt8](repeating: 7, count: 100))
            if ends.outbound.isSample(0) { numbers.append(number) }
        }
        #expect(numbers == [4, 8, 12, 16, 20, 24, 28, 32, 64, 96, 128])
    }

    private func question(_ stream: UInt8, _ epoch: UInt16, window: UInt8 = 18) -> HistoryRecord {
        HistoryRecord(word: .open, stream: stream, epoch: epoch, window: window)
    }

    private func header(decoded: UInt16) -> [UInt8] {
        [0x1d, 0x10, 0, 0, 0, 0] + little(1 as UInt16) + little(0 as UInt16) + little(decoded) + [0, 0, 0, 0]
    }
}

private let start = Instant(nanoseconds: 1_000_000_000)

/// An encoder and its decoder.
private final class Ends {
    var outbound = OutboundStreams(seed: 7)
    var inbound = InboundStreams()

    init(level: Int32 = 3) {
        let question = outbound.begin(9, to: 0, level: level, at: start)
        guard let question else { return }
        _ = inbound.open(question, of: 0, at: start)
        answer(question, .opened)
    }

    /// The peer says this to a question.
    func answer(_ question: HistoryRecord, _ word: HistoryRecord.Word) {
        var answer = question
        answer.word = word
        _ = outbound.take(answer, from: 0, at: start)
    }

    /// Streams with the wide window.
    var wide: Int { (0..<OutboundStreams.capacity).filter { outbound[$0]?.window == OutboundStreams.wideWindow }.count }

    func place(of flow: UInt64) -> Int? { outbound.find(flow, to: 0) }

    func window(of flow: UInt64) -> UInt8? { place(of: flow).flatMap { outbound[$0]?.window } }

    func encode(_ plain: [UInt8], in place: Int, at now: Instant) -> Bool {
        var arena = Arena(capacity: 70_000)
        var space = arena[0..<65_535]
        return unsafe outbound.encode(plain.span.bytes, .members, in: place, into: &space, at: now) > 0
    }

    /// The number that the decoder waits for.
    var next: UInt16 { inbound[0]?.next ?? 0 }

    func encode(_ plain: [UInt8]) -> [UInt8]? {
        var arena = Arena(capacity: 70_000)
        var space = arena[0..<65_535]
        let size = unsafe outbound.encode(plain.span.bytes, .members, in: 0, into: &space, at: start)
        return size > 0 ? (0..<size).map { arena.bytes(0..<size).byte(at: $0) } : nil
    }

    func decode(_ record: [UInt8]) -> [UInt8]? { TunnelCoreTests.decode(record, with: &inbound) }
}

private func decode(_ record: [UInt8], with inbound: inout InboundStreams) -> [UInt8]? {
    let body = unsafe record.span.bytes.extracting(Record.headerSize..<record.count)
    guard let unit = StreamRecord(parameter: record[1], body: body) else { return nil }
    var arena = Arena(capacity: 70_000)
    var space = arena[0..<unit.decoded + 1]
    let coded = body.extracting(StreamRecord.fieldsSize..<body.byteCount)
    guard inbound.decode(unit, coded, in: 0, into: &space, at: start) else { return nil }
    return (0..<unit.decoded).map { arena.bytes(0..<unit.decoded).byte(at: $0) }
}

/// Words of a small language, so that units have something in common.
private func words(_ count: Int, seed: UInt64, alphabet: UInt64 = 40) -> [UInt8] {
    guard alphabet < 256 else {
        var noise = Noise(seed: seed)
        return noise.bytes(count)
    }
    var noise = Noise(seed: seed)
    var bytes: [UInt8] = []
    while bytes.count < count {
        var word = Noise(seed: noise.next() % alphabet)
        bytes += (0..<6).map { _ in UInt8(97 + word.next() % 26) } + [0x20]
    }
    return Array(bytes.prefix(count))
}
