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
