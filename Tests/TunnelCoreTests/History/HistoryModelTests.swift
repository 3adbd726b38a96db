import Glibc
import Testing

@testable import TestKit
@testable import TunnelCore

/// Units that refer to others, streams and small ones, between two gateways over a path with every fault, for long.
@Suite struct HistoryModelTests {
    /// How many units; `GATEWAY_UNITS` for another number.
    static let units = unsafe getenv("GATEWAY_UNITS").flatMap { unsafe Int(String(cString: $0)) } ?? 20_000

    @Test(
        "with losses, duplicates, another order, restarts and rekeys every packet that comes is one that was sent, and most come",
        arguments: 1...2)
    func faults(seed: UInt64) {
        var model = PairModel(seed: seed)
        model.run(units: Self.units / 4)
        #expect(model.strange == 0)
        #expect(model.received > model.sent * 3 / 4)
        #expect(model.streamed > Self.units / 50 && model.recalled > Self.units / 50)
        #expect(model.wrong == 0)
    }
}

/// Two gateways with bulk TCP flows and flows of small messages, and what comes of those.
private struct PairModel {
    private(set) var sent = 0
    private(set) var received = 0
    /// Packets that nobody sent.
    private(set) var strange = 0
    /// Units of both kinds that came, and those that were not what they said.
    private(set) var streamed = 0
    private(set) var recalled = 0
    private(set) var wrong: UInt64 = 0
    private var noise: Noise
    private var pair: Pair
    private var recent: [Set<[UInt8]>] = [[], []]
    private var sequences: [UInt32] = [1000, 5_000_000]
    private static let options: Pair.Options = {
        var options = Pair.Options(compression: CompressionPolicy(.auto), history: true)
        options.historyScope = .hosts
        return options
    }()

    init(seed: UInt64) {
        noise = Noise(seed: seed << 32)
        pair = Pair(both: Self.options, seed: seed)
        connect()
    }

    private mutating func connect() {
        pair.link.rule = { _ in .deliver }
        pair.connect()
        pair.link.run(for: .milliseconds(200))
        pair.link.listens = false
        let bob = pair.bob.publicKey
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(20_000_000, of: bob, at: now) }
        setFaults()
    }

    private mutating func setFaults() {
        let faults = Faults(seed: noise.next())
        pair.link.rule = { _ in faults.next() }
    }

    mutating func run(units count: Int) {
        var number = 0
        while number < count {
            // Some 500 turns of three units each, and then an end begins anew, or nothing happens for a while.
            for _ in 0..<500 {
                turn()
                number += 3
            }
            collect()
            note()
            switch noise.next() % 4 {
            case 0: pair.restartBob(Self.options, seed: noise.next())
            case 1: pair.restartAlice(Self.options, seed: noise.next())
            case 2: pair.link.run(for: .seconds(130))
            default: break
            }
            reconnect()
        }
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(3))
        collect()
    }

    private mutating func reconnect() {
        pair.link.rule = { _ in .deliver }
        let bob = pair.bob.publicKey
        pair.link.change(pair.alice) { tunnel, now in tunnel.setRate(20_000_000, of: bob, at: now) }
        // Until alice knows that the session is gone.
        for _ in 0..<30 {
            pair.link.send(message(), from: pair.alice)
            pair.link.run(for: .seconds(1))
        }
        pair.bob.received = []
        recent = [[], []]
        setFaults()
    }

    private mutating func message() -> [UInt8] {
        packet(
            site(1).v4, site(2).v4, transport: 17, ports: (UInt16(7000 + noise.next() % 50), 53),
            DictionaryEnds.message(noise.next() % 100_000))
    }

    private mutating func turn() {
        let flow = Int(noise.next() % 2)
        let bulk = (0..<Int(1 + noise.next() % 5)).map { _ in segment(of: flow) }
        for packets in [bulk, [message()], [message()]] {
            sent += packets.count
            recent[0].formUnion(packets)
            pair.link.send(together: packets, from: pair.alice)
        }
        pair.link.run(for: .milliseconds(4))
        if recent[0].count > 2000 { collect() }
    }

    private mutating func segment(of flow: Int) -> [UInt8] {
        var segment = Segment()
        segment.ports = (UInt16(5000 + flow), 6000)
        segment.sequence = sequences[flow]
        while segment.payload.count < 700 { segment.payload += DictionaryEnds.message(noise.next() % 5000) }
        sequences[flow] &+= UInt32(segment.payload.count)
        return segment.bytes
    }

    /// Looks at what came; a packet may be late by as many as are kept.
    private mutating func collect() {
        for packet in pair.bob.received {
            received += 1
            if !recent[0].contains(packet), !recent[1].contains(packet) { strange += 1 }
        }
        pair.bob.received = []
        recent[1] = recent[0]
        recent[0] = []
    }

    /// Adds up what bob counted before he is another one.
    private mutating func note() {
        guard let history = pair.bob.statistics(of: pair.alice)?.history else { return }
        streamed = max(streamed, Int(history.unitsReceived))
        recalled = max(recalled, Int(history.recalledReceived))
        wrong = max(wrong, history.wrong)
    }
}

/// What becomes of datagrams.
private final class Faults {
    private var noise: Noise

    init(seed: UInt64) { noise = Noise(seed: seed) }

    func next() -> Link.Fate {
        switch noise.next() % 200 {
        case 0, 1: .drop
        case 2: .duplicate
        case 3...6: .delay(Interval(nanoseconds: Int64(noise.next() % 30_000_000)))
        default: .deliver
        }
    }
}
