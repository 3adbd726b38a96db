import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Units of Ethernet frames that refer to others, in front of a thin link: as those of packets do.
@Suite struct EthernetHistoryTests {
    @Test("a bulk TCP flow in frames gets a stream, and takes fewer bytes than without", arguments: [0, 2] as [UInt64])
    func stream(loss: UInt64) throws {
        var sent: [UInt64] = []
        for history in [false, true] {
            let pair = thin(history: history)
            var noise = Noise(seed: 5)
            pair.link.rule = { sighting in
                sighting.from == pair.alice.endpoint && sighting.isTransport && noise.next() % 100 < loss
                    ? .drop : .deliver
            }
            var flow = BulkFlow(port: 5000, between: (host(1), host(2)))
            for _ in 0..<150 { flow.send(10, on: pair) }
            pair.link.rule = { _ in .deliver }
            pair.link.run(for: .seconds(3))
            let isAllSent = Set(pair.bob.received).isSubset(of: Set(flow.sent))
            let missing = flow.sent.count - pair.bob.received.count
            #expect(isAllSent && missing <= (loss == 0 ? 0 : flow.sent.count / 50))
            let mine = try #require(pair.alice.statistics(of: pair.bob))
            sent.append(mine.traffic.sent.wire)
            #expect((mine.history != nil) == history)
            guard history else { continue }
            let got = try #require(pair.bob.statistics(of: pair.alice)?.history)
            #expect(mine.history?.unitsSent ?? 0 > 50 && got.unitsReceived > 50 && got.wrong == 0)
        }
        #expect(Double(sent[1]) < 0.9 * Double(sent[0]))
    }

    @Test(
        "small messages in frames refer to a dictionary, of their flow or their hosts",
        arguments: [.flow, .hosts] as [HistoryScope])
    func messages(scope: HistoryScope) throws {
        var sent: [UInt64] = []
        for history in [false, true] {
            let pair = thin(history: history, scope)
            let frames = messages(300) { scope == .flow ? 5000 : 5000 + UInt16($0) }
            for frame in frames { send(frame, on: pair) }
            pair.link.run(for: .milliseconds(200))
            let isSame = pair.bob.received == frames
            #expect(isSame)
            let mine = try #require(pair.alice.statistics(of: pair.bob))
            sent.append(mine.traffic.sent.wire)
            #expect((mine.history?.recalledSent ?? 0 > 250) == history)
            #expect(mine.history?.recalledSent == pair.bob.statistics(of: pair.alice)?.history?.recalledReceived)
        }
        #expect(Double(sent[1]) < 0.8 * Double(sent[0]))
    }

    @Test("by hosts, what stands in different VLANs or is of other stations is apart")
    func apart() {
        let pair = thin(history: true, .hosts)
        let ends: [(MACAddress, [UInt16])] = [(host(1), []), (host(1), [5]), (host(1), [6]), (host(1, 7), [])]
        for number in 0..<80 {
            let (source, tags) = ends[number % 4]
            let message = udp(1, 2, DictionaryEnds.message(UInt64(number)), port: UInt16(5000 + number))
            let type: UInt16 = tags.isEmpty ? 0x0800 : 0x8100
            let content = tags.flatMap { big($0) + [8, 0] } + message
            send(ethernet(source, host(2), content, type: type), on: pair)
        }
        let (mine, theirs) = (
            pair.alice.tunnel.services.egress.dictionaries.count,
            pair.bob.tunnel.services.ingress.opener.dictionaries.count
        )
        #expect(mine == 4 && theirs == 4)
        #expect(pair.bob.received.count == 80)
    }

    @Test(
        "a hub passes on what it decodes of streams and dictionaries, in order, to others in units that refer to its own"
    )
    func hub() throws {
        let offices = Offices(hub: true, auto, history: true)
        let (link, alice, bob, carol) = (offices.link, offices.alice, offices.bob, offices.carol)
        offices.show(host(2), from: bob)
        offices.show(host(3), from: carol)
        link.change(bob) { tunnel, now in tunnel.setRate(20_000_000, of: alice.publicKey, at: now) }
        link.change(alice) { tunnel, now in tunnel.setRate(20_000_000, of: carol.publicKey, at: now) }
        link.run(for: .seconds(1))
        var noise = Noise(seed: 9)
        link.rule = { sighting in sighting.isTransport && noise.next() % 100 < 1 ? .drop : .deliver }
        var flow = BulkFlow(port: 5000, between: (host(2), host(3)))
        for _ in 0..<300 { flow.send(6, from: bob, link) }
        link.rule = { _ in .deliver }
        link.run(for: .seconds(3))
        let isAllSent = Set(carol.received).isSubset(of: Set(flow.sent))
        #expect(isAllSent && carol.received.count > flow.sent.count * 97 / 100)
        #expect(alice.received.isEmpty)
        let (first, second) = (alice.statistics(of: bob)?.history, carol.statistics(of: alice)?.history)
        #expect(first?.unitsReceived ?? 0 > 100 && second?.unitsReceived ?? 0 > 100)
        #expect(first?.wrong == 0 && second?.wrong == 0)
    }

    // MARK: Helpers

    private func send(_ frame: [UInt8], on pair: Pair) {
        pair.link.send(ethernet: [frame], from: pair.alice)
        pair.link.run(for: .milliseconds(20))
    }

    private func messages(_ count: Int, port: (Int) -> UInt16) -> [[UInt8]] {
        (0..<count).map { number in
            ethernet(host(1), host(2), ip: udp(1, 2, DictionaryEnds.message(UInt64(number)), port: port(number)))
        }
    }

    private func thin(history: Bool, _ scope: HistoryScope = .flow) -> Pair {
        var options = Pair.Options(compression: auto, mode: .frames(isHub: false), history: history)
        options.historyScope = scope
        let pair = Pair(both: options)
        pair.connect()
        // Else what is for it would go to everybody.
        pair.link.send(ethernet: [ethernet(host(2), .everybody, text(46))], from: pair.bob)
        pair.link.run(for: .seconds(1))
        pair.forget()
        pair.link.change(pair.alice) { tunnel, now in
            tunnel.setRate(20_000_000, of: pair.bob.publicKey, at: now)
        }
        return pair
    }
}
