import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Units of bulk TCP that refer to those before them, in front of a thin link (docs/protocol.md §3.14).
@Suite struct HistoryTests {
    @Test("a bulk TCP flow gets a stream, and takes fewer bytes than without")
    func gain() throws {
        var sent: [UInt64] = []
        for history in [false, true] {
            let pair = thin(history: history)
            var flow = BulkFlow(port: 5000)
            for _ in 0..<150 { flow.send(10, on: pair) }
            pair.link.run(for: .seconds(1))
            let isSame = pair.bob.received == flow.sent
            #expect(isSame)
            let statistics = try #require(pair.alice.statistics(of: pair.bob))
            sent.append(statistics.traffic.sent.wire)
            #expect((statistics.history != nil) == history)
            if history {
                #expect(statistics.history?.unitsSent ?? 0 > 50)
                #expect(pair.bob.statistics(of: pair.alice)?.history?.unitsReceived == statistics.history?.unitsSent)
                #expect(statistics.history?.broken == 0)
            }
        }
        #expect(Double(sent[1]) < 0.9 * Double(sent[0]))
    }

    @Test(
        "the flow through which most goes gets a window of 2 MB where the peer has memory for it, and misses nothing",
        arguments: [64, 4])
    func wide(megabytes: Int) throws {
        let pair = thin(history: true)
        pair.bob.tunnel.setHistoryMemory(megabytes << 20)
        var flows = [BulkFlow(port: 5000), BulkFlow(port: 5001)]
        for round in 0..<450 { flows[round % 10 == 9 ? 1 : 0].send(12, on: pair) }
        pair.link.run(for: .seconds(1))
        let isSame = pair.bob.received.count == flows.reduce(0) { $0 + $1.sent.count }
        #expect(isSame)
        let mine = try #require(pair.alice.statistics(of: pair.bob)?.history)
        #expect(mine.broken == 0 && pair.bob.statistics(of: pair.alice)?.history?.wrong == 0)
        let windows = (0..<InboundStreams.capacity).compactMap {
            pair.bob.tunnel.services.ingress.opener.streams[$0]?.window
        }
        #expect(windows.contains(21) == (megabytes == 64) && windows.contains(18))
        let used = pair.bob.tunnel.services.ingress.opener.streams.used
        #expect(used <= megabytes << 20)
    }

    @Test("with a thousand flows, bulk and small, both ends keep to their memory, and what comes is what was sent")
    func budget() throws {
        let pair = thin(history: true)
        let memory = 16 << 20
        for end in [pair.alice, pair.bob] { end.tunnel.setHistoryMemory(memory) }
        func used(_ end: End) -> Int {
            end.tunnel.services.egress.streams.used + end.tunnel.services.egress.dictionaries.used
                + end.tunnel.services.ingress.opener.streams.used + end.tunnel.services.ingress.opener.dictionaries.used
        }
        var sent: Set<[UInt8]> = []
        var most = 0
        var bulk = (0..<20).map { BulkFlow(port: UInt16(4000 + $0)) }
        for round in 0..<1000 {
            // A message of each of the last five flows.
            for number in 0..<5 {
                let packet = udp(
                    1, 2, DictionaryEnds.message(UInt64(round * 5 + number)), port: UInt16(6000 + round - number))
                sent.insert(packet)
                pair.link.send(packet, from: pair.alice)
            }
            bulk[round % 20].send(4, on: pair)
            most = max(most, max(used(pair.alice), used(pair.bob)))
        }
        pair.link.run(for: .seconds(2))
        for flow in bulk { sent.formUnion(flow.sent) }
        let isAllSent = Set(pair.bob.received).isSubset(of: sent)
        #expect(isAllSent && pair.bob.received.count == sent.count)
        #expect(most > memory / 4 && most <= memory)
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(got.unitsReceived > 0 && got.recalledReceived > 0 && got.wrong == 0)
    }

    @Test("what is lost is sent again, and every packet comes as it was, in its order", arguments: [1, 3] as [UInt64])
    func losses(of hundred: UInt64) throws {
        let pair = thin(history: true)
        var noise = Noise(seed: hundred << 32)
        pair.link.rule = { sighting in
            sighting.from == pair.alice.endpoint && sighting.isTransport && noise.next() % 100 < hundred
                ? .drop : .deliver
        }
        var flow = BulkFlow(port: 5000)
        for _ in 0..<600 { flow.send(6, on: pair) }
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(3))
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(got.unitsReceived > 300)
        #expect(got.wrong == 0)
        let missing = flow.sent.count - pair.bob.received.count
        #expect(missing <= flow.sent.count / 50)
        let isAllSent = Set(pair.bob.received).isSubset(of: Set(flow.sent))
        #expect(isAllSent)
        // Before the first repair nothing waits.
        let sequences = pair.bob.received.map { $0[24..<28].reduce(0) { $0 << 8 | Int($1) } }
        let late = zip(sequences, sequences.dropFirst()).filter { $1 < $0 }.count
        #expect(late <= 3)
    }

    @Test(
        "what a queue loses costs a stream nothing: it is sent again, and once a round trip a packet of the flow is dropped instead",
        arguments: 1...3)
    func queue(seed: UInt64) throws {
        let pair = thin(history: true)
        var flow = BulkFlow(port: 5000)
        for _ in 0..<200 { flow.send(6, on: pair) }
        let before = try #require(pair.bob.statistics(of: pair.alice)?.history)
        var noise = Noise(seed: seed << 32)
        let begun = pair.link.instant
        // It fills in half a second.
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sighting.isTransport else { return .deliver }
            let queue = Interval(nanoseconds: min((sighting.at - begun).nanoseconds / 10, 50_000_000))
            return noise.next() % 100 < 3 ? .drop : .delay(queue)
        }
        for _ in 0..<500 { flow.send(6, on: pair) }
        let time = pair.link.instant - begun
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(3))
        let mine = try #require(pair.alice.statistics(of: pair.bob))
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        let told = try #require(mine.repair?.told)
        #expect(mine.history?.broken == 0 && got.lost == 0 && got.wrong == 0)
        #expect(got.unitsReceived > before.unitsReceived + 200)
        // Before the delay was seen losses were not a queue's.
        let dropped = pair.alice.drops(.queueDelay, of: pair.bob)
        #expect(told > 10 && dropped >= 5)
        #expect(dropped <= UInt64(time.nanoseconds / 60_000_000 + 1))
        #expect(pair.bob.received.count == flow.sent.count - Int(dropped))
    }

    @Test("with losses that nobody repairs streams break, begin anew, and no wrong byte comes", arguments: 1...6)
    func breaks(seed: UInt64) throws {
        let pair = thin(history: true)
        var noise = Noise(seed: seed << 32)
        // All that is sent again is lost, too.
        var seen: Set<[UInt8]> = []
        pair.link.rule = { sighting in
            guard sighting.from == pair.alice.endpoint, sighting.isTransport else {
                return noise.next() % 20 == 0 ? .delay(.milliseconds(15)) : .deliver
            }
            if !seen.insert(sighting.bytes).inserted { return .drop }
            switch noise.next() % 100 {
            case 0, 1: return .drop
            case 2: return .delay(Interval(nanoseconds: Int64(noise.next() % 30_000_000)))
            default: return .deliver
            }
        }
        var flows = (0..<4).map { BulkFlow(port: UInt16(5000 + $0)) }
        for round in 0..<800 { flows[round % 4].send(5, on: pair) }
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(3))
        let sent = Set(flows.flatMap(\.sent))
        let isAllSent = Set(pair.bob.received).isSubset(of: sent)
        #expect(isAllSent)
        let mine = try #require(pair.alice.statistics(of: pair.bob)?.history)
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(mine.broken > 0 && got.wrong == 0)
        #expect(got.unitsReceived > 50)
    }

    @Test("sessions that change to keys that were agreed on meanwhile end no stream, and every packet comes as it was")
    func keyExchange() throws {
        let options = Pair.Options(
            compression: auto, history: true, keyExchange: .require, keyExchangeRekey: .seconds(300))
        let pair = thin(options, options)
        pair.guardPackets()
        var flow = BulkFlow(port: 5000)
        var numbers: Set<UInt64> = []
        for _ in 0..<400 {
            for _ in 0..<3 { flow.send(6, on: pair) }
            pair.link.run(for: .seconds(2))
            if let number = pair.keyNumbers[0] { numbers.insert(number) }
        }
        #expect(numbers.count >= 2)
        let isSame = pair.bob.received == flow.sent
        #expect(isSame)
        let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
        #expect(got.unitsReceived > 300 && got.wrong == 0)
        #expect(pair.alice.statistics(of: pair.bob)?.history?.broken == 0)
    }

    @Test("a receiver that restarts says that it has no decoder, and streams begin anew")
    func restart() throws {
        var pair = thin(history: true)
        var flow = BulkFlow(port: 5000)
        for _ in 0..<60 { flow.send(10, on: pair) }
        let before = try #require(pair.alice.statistics(of: pair.bob)?.history?.unitsSent)
        #expect(before > 10)
        pair.restartBob(Pair.Options(compression: auto, history: true))
        // Until alice asks for a new session.
        for _ in 0..<200 {
            flow.send(2, on: pair)
            pair.link.run(for: .milliseconds(100))
        }
        for _ in 0..<300 { flow.send(4, on: pair) }
        let got = pair.bob.statistics(of: pair.alice)?.history
        let (units, wrong) = (got?.unitsReceived ?? 0, got?.wrong ?? 1)
        #expect(units > 10 && wrong == 0)
        let isAllSent = Set(pair.bob.received).isSubset(of: Set(flow.sent))
        #expect(isAllSent)
    }

    @Test("a peer without it is sent nothing of it", arguments: [true, false])
    func old(isAlice: Bool) throws {
        let with = Pair.Options(compression: auto, history: true)
        let without = Pair.Options(compression: auto)
        let pair = thin(isAlice ? without : with, isAlice ? with : without)
        var flow = BulkFlow(port: 5000)
        for _ in 0..<100 { flow.send(10, on: pair) }
        pair.link.run(for: .seconds(1))
        let isSame = pair.bob.received == flow.sent
        #expect(isSame)
        #expect(pair.alice.statistics(of: pair.bob)?.history == nil)
        #expect(pair.bob.drops(.record, of: pair.alice) == 0)
    }

    @Test("rekeys do not end a stream")
    func rekey() throws {
        let pair = thin(history: true)
        var flow = BulkFlow(port: 5000)
        for _ in 0..<3000 {
            flow.send(2, on: pair)
            pair.link.run(for: .milliseconds(80))
        }
        pair.link.run(for: .seconds(1))
        let mine = try #require(pair.alice.statistics(of: pair.bob))
        #expect(mine.handshakes > 2)
        #expect(mine.history?.broken == 0)
        let isSame = pair.bob.received == flow.sent
        #expect(isSame)
    }

    @Test("units for a decoder that there is not, of another epoch or far ahead, are dropped, and the sender is told")
    func unknown() throws {
        let pair = thin(history: true)
        let unit: [UInt8] = [0x1d, 0x10, 13, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x61]
        #expect(pair.deliver(unit) == [.incomplete])
        pair.link.run(for: .milliseconds(50))
        #expect(pair.deliver([0x1e, 0, 4, 0, 5, 18, 1, 0]) == [])
        var ahead = unit
        ahead.replaceSubrange(8..<10, with: little(5000 as UInt16))
        #expect(pair.deliver(ahead) == [.record])
        ahead.replaceSubrange(8..<10, with: little(0 as UInt16))
        ahead.replaceSubrange(6..<8, with: little(2 as UInt16))
        #expect(pair.deliver(ahead) == [.incomplete])
        // The next one, and no unit.
        #expect(pair.deliver(unit) == [.record])
        let wrong = try #require(pair.bob.statistics(of: pair.alice)?.history?.wrong)
        #expect(wrong == 1)
        // Of what it did not ask for an end takes no word.
        #expect(pair.deliver([0x1e, 1, 4, 0, 5, 18, 1, 0]) == [])
        #expect(pair.deliver([0x1e, 2, 4, 0, 200, 18, 1, 0]) == [])
        #expect(pair.deliver([0x1e, 3, 4, 0, 5, 18, 1, 0]) == [.record])
        #expect(pair.deliver([0x1e, 0, 3, 0, 5, 18, 1]) == [.record])
    }

    // MARK: Helpers

    private func thin(history: Bool) -> Pair {
        let options = Pair.Options(compression: auto, history: history)
        return thin(options, options)
    }

    private func thin(_ first: Pair.Options, _ second: Pair.Options) -> Pair {
        let pair = Pair(alice: first, bob: second)
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(20_000_000, of: pair.bob.publicKey, at: now)
        }
        return pair
    }
}
