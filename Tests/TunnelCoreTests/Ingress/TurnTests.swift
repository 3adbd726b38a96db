import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// The parts that peers have of a turn: who sends what is dear to decode does not hold up what others sent after it.
@Suite struct TurnTests {
    @Test("another peer's packet comes before all but the first of the units that arrived in front of it")
    func others() throws {
        let hub = Hub()
        let units = hub.fromAlice((0..<8).map { unit(of: 128, number: $0) })
        let last = hub.fromCarol(udp(3, 2, payload: 10))
        hub.pair.link.deliver(together: units + last, to: hub.pair.bob)
        let received = hub.pair.bob.received
        let place = try #require(received.firstIndex { $0[15] == 3 })
        #expect(place == 128)
        #expect(received.count == 8 * 128 + 1)
        #expect(hub.drops == [])
    }

    @Test("a unit of another peer's comes before them as well")
    func unitsOfOthers() throws {
        let hub = Hub()
        let units = hub.fromAlice((0..<8).map { unit(of: 128, number: $0) })
        let last = hub.fromCarol(unitRecord(udp(3, 2, text(500))))
        hub.pair.link.deliver(together: units + last, to: hub.pair.bob)
        #expect(hub.pair.bob.received.firstIndex { $0[15] == 3 } == 128)
    }

    @Test("what a peer sent comes in the order in which it came, whether it is coded or not, in one turn or several")
    func order() {
        let hub = Hub()
        var number = 0
        func payloads() -> [[UInt8]] {
            (0..<3).flatMap { _ in
                number += 2
                return [
                    unit(of: 100, number: number), numbered(number + 1),
                    bundleRecord([numbered(number + 1), numbered(number + 1)]),
                ]
            }
        }
        for _ in 0..<3 {
            hub.receive(hub.fromAlice(payloads()))
            hub.pair.link.run(for: .milliseconds(1))
            hub.receive(hub.fromAlice(payloads()))
            hub.turn()
            hub.receive(hub.fromAlice([numbered(number + 1)]))
            hub.pair.link.settle(hub.pair.bob)
            hub.pair.link.run(for: .seconds(1))
        }
        let numbers = hub.pair.bob.received.map(number(of:))
        #expect(numbers == numbers.sorted())
        #expect(numbers.count == 3 * (6 * 103 + 1))
        #expect(hub.drops == [])
    }

    @Test("fragments of a unit wait with the rest")
    func fragments() {
        let hub = Hub()
        let pieces = fragmentRecords(unit(of: 100, number: 2), number: 1, count: 3)
        let payloads = [unit(of: 128, number: 1), pieces[0], pieces[1], pieces[2], numbered(3)]
        hub.pair.link.deliver(together: hub.fromAlice(payloads), to: hub.pair.bob)
        let numbers = hub.pair.bob.received.map(number(of:))
        #expect(numbers == numbers.sorted())
        #expect(numbers.count == 128 + 100 + 1)
    }

    @Test("a ping is answered at once, and a keepalive taken")
    func control() {
        let hub = Hub()
        let units = hub.fromAlice((0..<4).map { unit(of: 128, number: $0) })
        hub.receive(units + hub.fromAlice([pingRecord(0, token: 7), []]))
        #expect(hub.keeps)
        #expect(hub.answers)
        hub.pair.link.settle(hub.pair.bob)
    }

    @Test("nothing waits where there is no other peer, nor what is cheap")
    func alone() {
        let pair = Pair(both: Pair.Options(compression: CompressionPolicy(.auto)))
        pair.connect()
        let units = pair.seal((0..<8).map { unit(of: 128, number: $0) })
        for datagram in units {
            pair.bob.receive(
                datagram, from: Path(pair.alice.endpoint), trafficClass: 0, at: pair.link.now(at: pair.bob))
        }
        let keeps = pair.bob.tunnel.hasKept
        #expect(!keeps)
        let hub = Hub()
        hub.receive(hub.fromAlice((0..<500).map(numbered)))
        hub.receive(hub.fromAlice([unitRecord(numbered(1)), unitRecord(numbered(2))]))
        #expect(!hub.keeps)
    }

    @Test("in its next turn a peer that has nothing left waiting goes on at once")
    func nextTurn() {
        let hub = Hub()
        hub.receive(hub.fromAlice([unit(of: 128, number: 1), numbered(2)]))
        #expect(hub.keeps)
        hub.pair.link.settle(hub.pair.bob)
        hub.pair.link.run(for: .milliseconds(1))
        hub.receive(hub.fromAlice([numbered(3)]))
        #expect(!hub.keeps)
        #expect(hub.pair.bob.received.count == 130)
    }

    @Test("what finds no room is counted as the peer's, and others find some")
    func bound() {
        let hub = Hub()
        hub.receive(hub.fromAlice([unit(of: 128, number: 1)] + (0..<3000).map(numbered)))
        #expect(hub.pair.bob.drops(.backlog, of: hub.pair.alice) == 3000 - 1024)
        hub.receive(hub.fromCarol(membersRecord([[UInt8]](repeating: v4(3, 2, length: 20), count: 128))))
        hub.receive((0..<3000).flatMap { _ in hub.fromCarol(udp(3, 2, payload: 10)) })
        #expect(hub.pair.bob.drops(.backlog, of: hub.carol) == 3000 - 512)
        hub.pair.link.settle(hub.pair.bob)
        #expect(hub.pair.bob.received.count == 128 + 1024 + 128 + 512)
    }

    @Test("what waits goes with its peer, and with the device")
    func gone() {
        for end in [true, false] {
            let hub = Hub()
            hub.receive(hub.fromAlice([unit(of: 128, number: 1)] + (0..<10).map(numbered)))
            let key = hub.pair.alice.publicKey
            hub.pair.link.change(hub.pair.bob) { tunnel, now in
                if end { tunnel.removePeer(key) } else { tunnel.setUp(false, at: now) }
            }
            #expect(!hub.keeps)
            #expect(hub.pair.bob.received.count == 128)
        }
    }

    @Test("lines take turns; a message of many blocks comes out as it went in; nothing of the memory is lost")
    func lines() throws {
        var waiting = WaitingMessages()
        var noise = Noise(seed: 4)
        let messages = (1...200).map { noise.bytes($0 * 61) }
        for _ in 0..<20 {
            for (number, message) in messages.enumerated() {
                let bytes = unsafe message.span.bytes
                let isKept = waiting.append(bytes, of: PeerSlot(number % 3), isMarked: number % 7 == 0)
                #expect(isKept)
            }
            let removed = waiting.removeAll(of: PeerSlot(1))
            #expect(removed == 67)
            var left = [0: messages.indices.filter { $0 % 3 == 0 }, 2: messages.indices.filter { $0 % 3 == 2 }]
            var last: Int?
            while let taken = waiting.take() {
                let peer = taken.peer.offset
                let number = try #require(left[peer]?.first)
                #expect(taken.isMarked == (number % 7 == 0))
                let isSame = waiting.bytes(of: taken).elementsEqual(messages[number])
                #expect(isSame)
                let both = left.values.allSatisfy { !$0.isEmpty }
                if both { #expect(peer != last) }
                left[peer]?.removeFirst()
                last = peer
                waiting.passOn(from: taken.peer)
            }
            let isDone = left.values.allSatisfy { $0.isEmpty } && waiting.isEmpty
            #expect(isDone)
        }
    }
}

/// A packet of 20 bytes and more that nothing joins, with a number.
private func numbered(_ number: Int) -> [UInt8] {
    var packet = v4(1, 2, length: 22)
    put(UInt16(number), into: &packet, at: 20)
    return packet
}

private func number(of packet: [UInt8]) -> Int { Int(packet[20]) << 8 | Int(packet[21]) }

/// So many of them, dear to decode.
private func unit(of count: Int, number: Int) -> [UInt8] {
    membersRecord([[UInt8]](repeating: numbered(number), count: count)).padded
}

extension RawSpan {
    fileprivate func elementsEqual(_ other: [UInt8]) -> Bool {
        unsafe withUnsafeBytes { unsafe $0.elementsEqual(other) }
    }
}

/// Bob takes what alice and carol send.
private struct Hub {
    let pair: Pair
    let carol: End

    init() {
        let options = Pair.Options(compression: CompressionPolicy(.auto))
        pair = Pair(both: options)
        carol = End(privateKey(3), site(3).endpoint, seed: 3)
        pair.link.add(carol)
        pair.introduce(carol, site(3), to: pair.bob, options)
        pair.introduce(pair.bob, site(2), to: carol, options)
        pair.link.send(udp(3, 2, payload: 10), from: carol)
        pair.connect()
        pair.link.run(for: .seconds(1))
        pair.forget()
    }

    func fromAlice(_ payloads: [[UInt8]]) -> [(bytes: [UInt8], source: Endpoint)] {
        pair.seal(payloads).map { ($0, pair.alice.endpoint) }
    }

    func fromCarol(_ payload: [UInt8]) -> [(bytes: [UInt8], source: Endpoint)] {
        [carol.seal(payload, to: pair.bob)].compactMap { $0 }.map { ($0, carol.endpoint) }
    }

    /// Hands them to bob, and does nothing of what follows.
    func receive(_ datagrams: [(bytes: [UInt8], source: Endpoint)]) {
        for datagram in datagrams {
            let now = pair.link.now(at: pair.bob)
            pair.bob.receive(datagram.bytes, from: Path(datagram.source), trafficClass: 0, at: now)
        }
    }

    /// Whether anything waits at bob's, and whether he has something to send.
    var keeps: Bool { pair.bob.tunnel.hasKept }
    var answers: Bool { pair.bob.tunnel.outbox.count > 0 }

    /// The end of one of bob's turns.
    func turn() { pair.bob.driver.handleKept(at: pair.link.now(at: pair.bob)) }

    /// Reasons for which bob dropped anything.
    var drops: [DropReason] { DropReason.allCases.filter { pair.drops[$0.rawValue] > 0 } }
}
