import Testing

@testable import TestKit
@testable import TunnelCore

/// A sender of units that refer to a dictionary, and its receiver.
final class DictionaryEnds {
    /// The outcome of a unit.
    enum Outcome: Equatable {
        case plain([UInt8])
        /// It refers to what there is not.
        case gone
        /// It is not what it says it is.
        case wrong
        case malformed
    }

    static let start = Instant(nanoseconds: 1_000_000_000)

    var outbound = OutboundDictionaries(seed: 7 << 40)
    var inbound = InboundDictionaries()
    var now = DictionaryEnds.start
    /// Units are coded with deflate.
    var isBrief = false
    /// How often the sender began anew.
    var broken = 0

    init() { _ = outbound.begin(9, to: 0, at: now) }

    /// The sender is another process, whose epochs begin after that one.
    func restartSender(epochs: UInt8) {
        outbound = OutboundDictionaries(seed: UInt64(epochs) << 40)
        _ = outbound.begin(9, to: 0, at: now)
    }

    func encode(_ plain: [UInt8]) -> [UInt8]? {
        var arena = Arena(capacity: 65_536)
        var space = arena[0..<65_535]
        let recall = Recall(
            dictionary: 0, level: 3, without: 0, isBrief: isBrief, word: nil, isWordDue: false, at: now)
        let size = unsafe outbound.encode(plain.span.bytes, .members, as: recall, into: &space)
        return size > 0 ? (0..<size).map { arena.bytes(0..<size).byte(at: $0) } : nil
    }

    func receive(_ record: [UInt8]) -> Outcome {
        let body = unsafe record.span.bytes.extracting(Record.headerSize..<record.count)
        guard let unit = RecallRecord(parameter: record[1], body: body) else { return .malformed }
        let place: Int?
        switch inbound.place(of: unit, of: 0, at: now) {
        case .none: place = nil
        case .at(let found): place = found
        case .gone: return .gone
        }
        var arena = Arena(capacity: 65_536)
        var space = arena[0..<unit.decoded + 1]
        let coded = body.extracting(unit.coded(of: body.byteCount))
        guard let length = inbound.decode(unit, coded, in: place, into: &space, at: now) else {
            inbound.fail(unit, in: place, of: 0, at: now)
            return .wrong
        }
        if let place {
            inbound.learn(unit, arena.bytes(0..<length), in: place, at: now)
        }
        return .plain((0..<length).map { arena.bytes(0..<length).byte(at: $0) })
    }

    /// The words that the receiver has to say now.
    func poll() -> [LearnedRecord] {
        var words: [LearnedRecord] = []
        while let word = inbound.poll(of: 0, at: now) { words.append(word) }
        return words
    }

    /// Says them, after as long as it may take.
    func tell() {
        now = now + .milliseconds(800)
        for word in poll() where outbound.take(word, isAlone: true, from: 0, at: now) { broken += 1 }
    }

    /// A unit that is to be learned and refers to nothing.
    static func unit(dictionary: UInt8) -> RecallRecord? {
        let body: [UInt8] = [dictionary, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0x61]
        return unsafe RecallRecord(parameter: 0x11, body: body.span.bytes)
    }

    /// A message as programs send them: much of it is as in others.
    static func message(_ number: UInt64) -> [UInt8] {
        var noise = Noise(seed: number)
        func any(_ range: UInt64) -> UInt64 { noise.next() % range }
        return Array(
            """
            {"id":\(any(100_000)),"name":"user\(any(1000))","email":"user\(any(1000))@example.com","active":\(any(2) == 0),\
            "balance":\(any(10_000)).\(any(100)),"tags":["a\(any(20))","b\(any(20))"],"created":"2026-11-\(10 + any(20))"}
            """.utf8)
    }
}

/// Units of one dictionary over a path with faults, both ways, and what became of them.
struct DictionaryModel {
    private(set) var delivered = 0
    private(set) var referring = 0
    private(set) var lost = 0
    private(set) var gone = 0
    /// Units that were found to be wrong by their check, and those that came out as something else and were not.
    private(set) var caught = 0
    private(set) var wrong = 0
    private var noise: Noise
    private var units: [(record: [UInt8], plain: [UInt8])] = []
    private var words: [LearnedRecord] = []
    private let ends = DictionaryEnds()

    init(seed: UInt64) {
        noise = Noise(seed: seed << 32)
        ends.isBrief = seed % 2 == 0
    }

    private mutating func happens(_ thousandth: UInt64) -> Bool { noise.next() % 1000 < thousandth }

    /// Sends so many units; `damage` and `restarts`, in a thousand each, are what no path does to datagrams that are sealed.
    mutating func run(units count: Int, damage: UInt64 = 0, restarts: UInt64 = 0) {
        for number in 0..<count {
            ends.now = ends.now + .milliseconds(5)
            if happens(restarts) { restart() }
            guard ends.outbound.isUsable(0, at: ends.now) else {
                // It would go by itself.
                lost += 1
                ends.now = ends.now + .milliseconds(500)
                continue
            }
            let plain = DictionaryEnds.message(noise.next() % 100_000)
            guard let record = ends.encode(plain) else {
                Issue.record("unit \(number) was not coded")
                return
            }
            if happens(30) {
                lost += 1
            } else {
                units.append((record, plain))
            }
            // Now and then a few stay behind, and overtake one another.
            if !happens(50) { deliver(damage) }
            words += ends.poll().filter { _ in !happens(30) }
            if happens(100) { words.shuffle(using: &noise) }
            if !happens(200) {
                for word in words where ends.outbound.take(word, isAlone: true, from: 0, at: ends.now) {
                    ends.broken += 1
                }
                words = []
            }
        }
        deliver(damage)
    }

    private mutating func restart() {
        switch noise.next() % 3 {
        case 0: ends.restartSender(epochs: UInt8(truncatingIfNeeded: noise.next()))
        case 1: ends.inbound = InboundDictionaries()
        // Both, and what is on the way is of before.
        default:
            ends.restartSender(epochs: UInt8(truncatingIfNeeded: noise.next()))
            ends.inbound = InboundDictionaries()
        }
    }

    private mutating func deliver(_ damage: UInt64) {
        if happens(100) { units.shuffle(using: &noise) }
        for (record, plain) in units {
            var record = record
            if happens(damage) {
                let index = 5 + Int(noise.next() % UInt64(record.count - 5))
                record[index] ^= UInt8(1 + noise.next() % 255)
            }
            switch ends.receive(record) {
            case .plain(let got):
                delivered += 1
                if record[1] & 2 == 2 { referring += 1 }
                if got != plain { wrong += 1 }
            case .gone: gone += 1
            case .wrong, .malformed:
                caught += 1
            }
        }
        units = []
    }
}
