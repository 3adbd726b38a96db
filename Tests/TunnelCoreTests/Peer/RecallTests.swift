import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Small units that refer to what the peer has said it has decoded, in front of a thin link (docs/protocol.md §3.16).
@Suite struct RecallTests {
    @Test("small packets of a flow take a fifth fewer bytes than without, and come as they were", arguments: [4, 6])
    func gain(version: Int) throws {
        var sent: [UInt64] = []
        for history in [false, true] {
            let pair = thin(history: history)
            let packets = messages(300, version: version) { _ in 5000 }
            send(packets, on: pair)
            let isSame = pair.bob.received == packets
            #expect(isSame)
            let mine = try #require(pair.alice.statistics(of: pair.bob))
            // What the receiver says counts.
            sent.append(mine.traffic.sent.wire + (pair.bob.statistics(of: pair.alice)?.sent ?? 0))
            #expect((mine.history?.recalledSent ?? 0 > 250) == history)
            #expect(mine.history?.broken ?? 0 == 0)
            #expect(mine.history?.recalledSent == pair.bob.statistics(of: pair.alice)?.history?.recalledReceived)
        }
        #expect(Double(sent[1]) < 0.8 * Double(sent[0]))
    }

    @Test(
        "flows of one message gain nothing by themselves, and much by hosts or by peer",
        arguments: [.flow, .hosts, .peer] as [HistoryScope])
    func scopes(scope: HistoryScope) throws {
        var sent: [UInt64] = []
        for history in [false, true] {
            let pair = thin(history: history, scope)
            let packets = messages(300) { UInt16(5000 + $0) }
            send(packets, on: pair)
            let isSame = pair.bob.received == packets
            #expect(isSame)
            sent.append(try #require(pair.alice.statistics(of: pair.bob)).traffic.sent.wire)
        }
        if scope == .flow {
            #expect(sent[1] == sent[0])
        } else {
            #expect(Double(sent[1]) < 0.55 * Double(sent[0]))
        }
    }

    @Test("where there are answers, what was learned is said with them, not in datagrams of its own")
    func answers() throws {
        let pair = thin(history: true)
        pair.link.change(pair.bob) { tunnel, now in tunnel.setRate(2_000_000, of: pair.alice.publicKey, at: now) }
        let questions = messages(200) { _ in 5000 }
        let answers = questions.map { udp(2, 1, Array($0.dropFirst(28).reversed()), port: 5000) }
        pair.forget()
        for (question, answer) in zip(questions, answers) {
            pair.link.send(question, from: pair.alice)
            pair.link.run(for: .milliseconds(20))
            pair.link.send(answer, from: pair.bob)
            pair.link.run(for: .milliseconds(100))
        }
        let isSame = pair.bob.received == questions && pair.alice.received == answers
        #expect(isSame)
        for (one, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            let history = try #require(one.statistics(of: other)?.history)
            #expect(history.recalledSent > 180 && history.broken == 0)
            // Questions and reports about the path are among them.
            #expect(pair.link.sightings.sent(by: one).count < 200 + 30)
        }
        let fraction = try #require(pair.alice.statistics(of: pair.bob)).traffic.sent
        #expect(Double(fraction.wire) < 0.65 * Double(fraction.plain))
    }

    @Test(
        "with losses, duplicates and another order nothing comes that was not sent, and all else comes",
        arguments: 1...4)
    func faults(seed: UInt64) throws {
        let pair = thin(history: true)
        var noise = Noise(seed: seed << 32)
        pair.link.rule = { _ in
            switch noise.next() % 100 {
            case 0, 1: .drop
            case 2: .duplicate
            case 3, 4: .delay(Interval(nanoseconds: Int64(noise.next() % 40_000_000)))
            default: .deliver
            }
        }
        let packets = messages(1000) { UInt16(5000 + $0 % 3) }
        send(packets, on: pair)
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(3))
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(got.recalledReceived > 900 && got.wrong == 0)
        #expect(pair.bob.received.count >= 990)
        let isAllSent = Set(pair.bob.received).isSubset(of: Set(packets))
        #expect(isAllSent)
        #expect(pair.bob.drops(.record, of: pair.alice) == 0)
    }

    @Test("a receiver that restarts says that it has no dictionary, and the next units refer to nothing")
    func restart() throws {
        var pair = thin(history: true)
        let packets = messages(400) { _ in 5000 }
        send(Array(packets.prefix(100)), on: pair)
        pair.restartBob(Pair.Options(compression: auto, history: true))
        // Until alice asks for a new session.
        for packet in packets.dropFirst(100).prefix(200) {
            pair.link.send(packet, from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        pair.bob.received = []
        send(Array(packets.suffix(100)), on: pair)
        let isSame = pair.bob.received == Array(packets.suffix(100))
        #expect(isSame)
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(got.recalledReceived > 100)
    }

    @Test("rekeys do not end a dictionary")
    func rekey() throws {
        let pair = thin(history: true)
        let packets = messages(3000) { _ in 5000 }
        for packet in packets {
            pair.link.send(packet, from: pair.alice)
            pair.link.run(for: .milliseconds(100))
        }
        let isSame = pair.bob.received == packets
        #expect(isSame)
        let mine = try #require(pair.alice.statistics(of: pair.bob))
        #expect(mine.handshakes > 2 && mine.history?.broken == 0 && mine.history?.recalledSent ?? 0 > 2900)
    }

    @Test("a peer without it is sent nothing of it", arguments: [true, false])
    func old(isAlice: Bool) throws {
        let with = Pair.Options(compression: auto, history: true)
        let without = Pair.Options(compression: auto)
        let pair = thin(isAlice ? without : with, isAlice ? with : without)
        let packets = messages(100) { _ in 5000 }
        send(packets, on: pair)
        let isSame = pair.bob.received == packets
        #expect(isSame)
        #expect(pair.alice.statistics(of: pair.bob)?.history == nil)
        #expect(pair.bob.drops(.record, of: pair.alice) == 0)
    }

    @Test(
        "where the link has no rate, or a high one, nothing refers to anything",
        arguments: [nil, 200_000_000] as [UInt64?])
    func fast(rate: UInt64?) throws {
        let options = Pair.Options(compression: auto, history: true)
        let pair = Pair(both: options)
        pair.connect()
        if let rate {
            pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(rate, of: pair.bob.publicKey, at: now) }
        }
        send(messages(100) { _ in 5000 }, on: pair)
        #expect(pair.alice.statistics(of: pair.bob)?.history?.recalledSent == 0)
        #expect(pair.alice.tunnel.services.egress.dictionaries.used == 0)
    }

    @Test(
        "units that refer to what there is not are dropped, and the sender is told; words of what nobody asked for are passed over"
    )
    func hostile() throws {
        let pair = thin(history: true)
        // Refers to dictionary 7 of epoch 3.
        let unit: [UInt8] = [0x20, 0x12, 11, 0, 7, 3, 1, 0, 1, 0, 0, 0, 0, 0, 0x61]
        #expect(pair.deliver(unit) == [.incomplete])
        pair.link.run(for: .milliseconds(100))
        #expect(!pair.link.sightings.filter { $0.from == pair.bob.endpoint && $0.bytes.count == 48 }.isEmpty)
        // Nothing to decode.
        var wrong = unit
        wrong[1] = 0x11
        #expect(pair.deliver(wrong) == [.record])
        #expect(pair.deliver([0x20, 0x12, 10, 0, 7, 3, 1, 0, 1, 0, 0, 0, 0, 0]) == [.record])
        for word in [[0, 7, 3, 1, 5], [1, 7, 3, 1], [0, 0, 0, 200, 1, 2, 3]] as [[UInt8]] {
            #expect(pair.deliver([0x21, word[0], UInt8(word.count - 1), 0] + word.dropFirst()) == [])
        }
        #expect(pair.deliver([0x21, 2, 3, 0, 0, 0, 0]) == [.record])
        send(messages(20) { _ in 5000 }, on: pair)
        #expect(pair.bob.received.count == 20)
    }

    @Test("checksums that are right are left out and made again; others stay", arguments: [4, 6])
    func checksums(version: Int) {
        var first = [4] + messages(1, version: version) { _ in 5000 }[0]
        Self.change(&first) { Members.completeFirst(&$0) }
        let whole = Array(first.dropFirst())
        let checksum = version == 4 ? 26 : 46
        var others = [whole]
        // A wrong one, none at all, one that is right in a header that is not, a packet that is cut off, a protocol without.
        for (index, value) in [(checksum, whole[checksum] ^ 1), (10, whole[10] ^ 1), (version == 4 ? 9 : 6, 89)] {
            var other = whole
            other[index] = UInt8(value)
            others.append(other)
        }
        var none = whole
        none.replaceSubrange(checksum..<checksum + 2, with: [0, 0])
        others += [none, Array(whole.dropLast()), [0x45], []]
        for (number, packet) in others.enumerated() {
            var members = [0] + packet
            Self.change(&members) { Members.shortenFirst(&$0) }
            #expect((members[0] == 4) == (number == 0))
            if number == 0 { #expect(members[1 + checksum] == 0 && members[2 + checksum] == 0) }
            Self.change(&members) { Members.completeFirst(&$0) }
            #expect(members == [0] + packet)
        }
    }

    private static func change(_ bytes: inout [UInt8], _ act: (inout MutableRawSpan) -> Void) {
        var span = bytes.mutableSpan
        var whole = unsafe span.mutableBytes
        act(&whole)
    }

    @Test("a word behind a unit is read, and malformed where nothing is left in front of it, or it lists too much")
    func words() throws {
        var word = LearnedRecord(.entries, of: 3, epoch: 4, count: 9)
        word.append(7)
        word.append(8)
        var arena = Arena(capacity: 128)
        var space = arena[0..<128]
        let unit: [UInt8] = [0x20, 0x17, 9, 0, 7, 3, 1, 0, 0, 0, 0, 0, 0x61]
        for (index, byte) in unit.enumerated() { space.store(byte, at: index) }
        let size = RecallRecord.append(word, to: &space, at: unit.count)
        let body = arena.bytes(Record.headerSize..<size)
        let parameter = arena.bytes(0..<size).byte(at: 1)
        let length = Int(arena.bytes(0..<size).little16(at: 2))
        let found = RecallRecord(parameter: parameter, body: body)
        let coded = found?.coded(of: body.byteCount)
        let read = try #require(found)
        #expect(read.word == word && read.isDeflated && coded == 8..<9 && length == size - Record.headerSize)
        for tail in [[3, 4, 9, 7, 8, 2], [0x61, 3, 4, 9, 33], [33], [0x61, 3, 9, 0]] as [[UInt8]] {
            let bytes = [7, 3, 1, 0, 0, 0, 0, 0] + tail
            let malformed = unsafe RecallRecord(parameter: 0x1f, body: bytes.span.bytes)
            #expect(malformed == nil)
        }
    }

    // MARK: Helpers

    /// Sends packets, each 20 ms after the one before.
    private func send(_ packets: [[UInt8]], on pair: Pair) {
        for packet in packets {
            pair.link.send(packet, from: pair.alice)
            pair.link.run(for: .milliseconds(20))
        }
        pair.link.run(for: .milliseconds(200))
    }

    private func messages(_ count: Int, version: Int = 4, port: (Int) -> UInt16) -> [[UInt8]] {
        (0..<count).map { number in
            let ends = version == 4 ? (site(1).v4, site(2).v4) : (site(1).v6, site(2).v6)
            return packet(
                ends.0, ends.1, transport: 17, ports: (port(number), 4000), DictionaryEnds.message(UInt64(number)))
        }
    }

    private func thin(history: Bool, _ scope: HistoryScope = .flow) -> Pair {
        var options = Pair.Options(compression: auto, history: history)
        options.historyScope = scope
        return thin(options, options)
    }

    private func thin(_ first: Pair.Options, _ second: Pair.Options) -> Pair {
        let pair = Pair(alice: first, bob: second)
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(2_000_000, of: pair.bob.publicKey, at: now)
        }
        return pair
    }
}
