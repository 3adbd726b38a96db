import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// As the last version before repair, which takes RECEIPT in the place of REPORT.
private let older = Pair.Options(compression: CompressionPolicy(.auto), repairs: false)

/// REPORT and PING: what two gateways tell each other about the way between them (docs/protocol.md §3.6, §3.7).
@Suite struct ReportTests {
    @Test("reports are right under loss, reordering and duplication, and cost little", arguments: 0..<4)
    func right(seed: UInt64) throws {
        let wire = Wire(loss: [0, 0.03, 0.3, 0.01][Int(seed)], reordering: seed > 0, duplication: seed > 1, seed: seed)
        wire.run(packets: 8000, every: Interval(nanoseconds: 700_000 + 400_000 * Int64(seed)))
        let reports = wire.pair.link.sightings.sent(by: wire.pair.bob).reports
        #expect(reports.count > 10)
        for (previous, report) in zip(reports, reports.dropFirst()) {
            #expect(report.at - previous.at >= .milliseconds(50))
        }
        for report in reports { try wire.check(report) }
        // A thousandth of what arrived, with the headers of UDP and IPv4.
        let arrived = wire.arrivals.values.reduce(0) { $0 + $1.size + 28 }
        #expect(reports.reduce(0) { $0 + $1.bytes.count + 28 } * 1000 <= arrived)
        // And a PING and its answer no more.
        let pings = wire.pair.link.sightings.pings
        #expect(pings.reduce(0) { $0 + $1.bytes.count + 28 } * 1000 <= 2 * arrived)
    }

    @Test("the first report comes when the data is a thousand times its size, not sooner")
    func first() {
        let wire = Wire(seed: 9)
        wire.run(packets: 300, every: .milliseconds(60))
        let bytes = wire.pair.link.sightings.reports.first.map { report in
            wire.arrivals.values.filter { $0.at <= report.at }.reduce(0) { $0 + $1.size }
        }
        #expect(bytes.map { (100_000...125_000).contains($0) } == true)
    }

    @Test(
        "the loss that is seen is about the loss that there is, and it is forgotten when it ends",
        arguments: [
            0.01, 0.05, 0.2,
        ])
    func loss(loss: Double) throws {
        let wire = Wire(loss: loss, seed: 5)
        wire.run(packets: 12_000, every: .milliseconds(1))
        let seen = try #require(wire.pair.alice.statistics(of: wire.pair.bob)).loss
        #expect(seen > loss / 2.5 && seen < loss * 2)
        wire.loss = 0
        wire.run(packets: 6000, every: .milliseconds(1))
        let later = try #require(wire.pair.alice.statistics(of: wire.pair.bob)).loss
        #expect(later < 0.002)
    }

    @Test("loss of the reports themselves is not taken for loss")
    func lostReports() throws {
        let wire = Wire(seed: 6)
        wire.losesReports = true
        wire.run(packets: 10_000, every: .milliseconds(1))
        #expect(wire.pair.alice.statistics(of: wire.pair.bob)?.loss == 0)
    }

    @Test("units shrink to one datagram where datagrams get lost, and grow again")
    func unitSize() {
        let pair = Pair(both: older)
        pair.connect()
        var noise = Noise(seed: 3)
        let before = decodedSizes(pair, &noise)
        pair.link.rule = { $0.counter % 20 == 0 && $0.isData ? .drop : .deliver }
        _ = decodedSizes(pair, &noise, rounds: 60)
        let during = decodedSizes(pair, &noise)
        pair.link.rule = { _ in .deliver }
        _ = decodedSizes(pair, &noise, rounds: 300)
        let after = decodedSizes(pair, &noise)
        #expect(before > 15_000 && during < 6000 && after > 15_000, "\(before) \(during) \(after)")
    }

    @Test("reports that go backwards, overflow, or say what can't be do no harm")
    func nonsense() {
        let pair = Pair(both: older)
        pair.connect()
        var noise = Noise(seed: 1)
        let edges: [UInt64] = [0, 1, 2, 1000, 1 << 32, 1 << 62, 1 << 63, .max - 1, .max]
        for round in 0..<4000 {
            let values = (0..<5).map { _ in
                noise.next() % 2 == 0 ? edges[Int(noise.next() % 9)] : noise.next() >> (noise.next() % 64)
            }
            let lane = UInt8(round % 7 == 0 ? 1 : 0)
            let report = reportRecord(
                highest: values[0], recent: values[1], datagrams: values[2], bytes: values[3], clock: values[4],
                lane: lane)
            #expect(pair.deliver(report) == [])
            if round % 100 == 0 {
                pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
                pair.link.drain()
                #expect(pair.alice.received == [udp(2, 1, text(1000))])
                pair.forget()
            }
            let loss = pair.bob.statistics(of: pair.alice)?.loss ?? -1
            #expect((0...1).contains(loss))
        }
    }

    @Test("a report that is cut off or of another lane is dropped; a longer one is read")
    func malformed() {
        let pair = Pair(both: older)
        pair.connect()
        let report = Array(reportRecord(highest: 9, datagrams: 9, bytes: 9, clock: 9)[Record.headerSize...])
        for length in 0..<40 { #expect(pair.deliver(record(0x14, 0, Array(report[..<length]))) == [.record]) }
        for lane in 2...255 as ClosedRange<UInt8> {
            #expect(pair.deliver(record(0x14, lane, report)) == [.record])
        }
        #expect(pair.deliver(record(0x14, 0, report + [1, 2, 3])) == [])
        for length in 0..<8 {
            #expect(pair.deliver(record(0x15, 0, [UInt8](repeating: 1, count: length))) == [.record])
        }
        #expect(pair.deliver(record(0x15, 2, [UInt8](repeating: 1, count: 8))) == [.record])
    }

    @Test("each lane has reports of its own")
    func lanes() {
        let pair = Pair(both: Pair.Options(cipher: .auto))
        pair.connect()
        for _ in 0..<400 {
            pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
            pair.link.run(for: .milliseconds(1))
        }
        let reports = pair.link.sightings.sent(by: pair.bob).reports
        #expect(reports.count > 2 && reports.allSatisfy { $0.record?.parameter == 1 })
    }

    @Test("a peer that has not announced REPORT and PING gets none")
    func notAnnounced() throws {
        let pair = Pair(both: older)
        pair.connect()
        let hello = HelloBuilder(seen: true, maximumUnit: nil, records: [.bundle, .fragment]).bytes
        #expect(pair.deliver(hello) == [])
        for _ in 0..<1000 {
            pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
            pair.link.run(for: .milliseconds(1))
        }
        #expect(pair.link.sightings.sent(by: pair.bob).reports.isEmpty)
        #expect(pair.link.sightings.sent(by: pair.bob).pings.isEmpty)
    }

    @Test("neither a REPORT nor a PING tells for how long the machine is up, nor do both together")
    func uptime() throws {
        var offsets: [UInt64] = []
        for seed in [1, 2] as [UInt64] {
            let pair = Pair(both: older, seed: seed)
            pair.connect()
            for _ in 0..<3000 {
                pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
                pair.link.send(udp(2, 1, payload: 1372), from: pair.bob)
                pair.link.run(for: .milliseconds(1))
            }
            let sent = pair.link.sightings.sent(by: pair.alice)
            let report = try #require(sent.reports.last)
            let clock = try #require(report.record).report.clock
            let ping = try #require(sent.pings.last { $0.record?.parameter == 0 })
            let token = try #require(ping.record).token
            offsets.append(clock &- UInt64(report.at.nanoseconds / 1000))
            offsets.append(token &- UInt64(ping.at.nanoseconds))
            #expect(clock < 1 << 51)
        }
        #expect(Set(offsets).count == 4 && offsets.allSatisfy { $0 > 1 << 32 })
    }

    @Test("the way there and back is measured", arguments: [1, 7, 40, 300] as [Int64])
    func roundTrip(latency: Int64) {
        let pair = Pair(both: older, latency: .milliseconds(latency))
        pair.link.send(udp(1, 2, payload: 32), from: pair.alice)
        pair.link.run(for: .seconds(3))
        pair.forget()
        for _ in 0..<5000 {
            pair.link.send(udp(1, 2, payload: 1372), from: pair.alice)
            pair.link.run(for: .milliseconds(1))
        }
        pair.link.run(for: .seconds(1))
        #expect(pair.alice.statistics(of: pair.bob)?.roundTrip == .milliseconds(2 * latency))
        let questions = pair.link.sightings.sent(by: pair.alice).pings
        #expect(questions.count >= 3 && questions.summary.allSatisfy { $0 == "PING" })
        for (previous, question) in zip(questions, questions.dropFirst()) {
            #expect(question.at - previous.at >= .seconds(1))
        }
        let answers = pair.link.sightings.sent(by: pair.bob).pings
        #expect(answers.map(\.at) == questions.map { $0.at + .milliseconds(latency) })
        #expect(answers.map { $0.record?.token } == questions.map { $0.record?.token })
    }

    @Test("a question is answered with its token alone, whatever its padding; an answer is not")
    func ping() {
        let pair = Pair(both: older)
        pair.connect()
        for padding in [0, 1, 7, 8, 100, 1300] {
            pair.forget()
            #expect(pair.deliver(pingRecord(0, token: 0x1122_3344_5566_7788, padding: padding)) == [])
            let answer = pingRecord(1, token: 0x1122_3344_5566_7788).padded
            #expect(pair.link.sightings.sent(by: pair.bob).map(\.payload) == [answer])
        }
        pair.forget()
        for token in [0, 1, .max] as [UInt64] { #expect(pair.deliver(pingRecord(1, token: token)) == []) }
        #expect(pair.link.sightings.isEmpty)
        #expect(pair.bob.statistics(of: pair.alice)?.roundTrip == nil)
    }

    /// The mean of what units have when the network brings super-segments.
    private func decodedSizes(_ pair: Pair, _ noise: inout Noise, rounds: Int = 20) -> Int {
        var model = RecordModel()
        var sizes: [Int] = []
        for _ in 0..<rounds {
            pair.forget()
            let content = (0..<30_000).map { _ in Array("0123456789abcdef".utf8)[Int(noise.next() & 15)] }
            pair.link.send(
                frames: [Segment(ports: (5000, 6000), payload: content).frame(segment: 1368)], from: pair.alice)
            pair.link.run(for: .milliseconds(10))
            for sighting in pair.link.sightings.sent(by: pair.alice).data {
                guard let unit = model.read(sighting.payload ?? []), unit.codec > 0 else { continue }
                sizes.append(unit.decoded)
            }
        }
        pair.link.drain()
        return sizes.isEmpty ? 0 : sizes.reduce(0, +) / sizes.count
    }
}

/// A way from alice to bob that loses, reorders and doubles, and knows what arrived when.
private final class Wire {
    let pair = Pair(both: older)
    var loss: Double
    var losesReports = false
    private let reordering: Bool
    private let duplication: Bool
    private var noise: Noise
    private var start = 0
    /// By counter.
    private(set) var arrivals: [UInt64: (at: Instant, size: Int)] = [:]

    init(loss: Double = 0, reordering: Bool = false, duplication: Bool = false, seed: UInt64) {
        self.loss = loss
        self.reordering = reordering
        self.duplication = duplication
        noise = Noise(seed: seed)
        pair.link.rule = { [unowned self] in decide($0) }
        pair.connect()
    }

    func run(packets: Int, every interval: Interval) {
        for index in 0..<packets {
            pair.link.send(udp(1, 2, payload: 1300 + index % 80), from: pair.alice)
            pair.link.run(for: interval)
        }
    }

    private func decide(_ sighting: Sighting) -> Link.Fate {
        guard sighting.isTransport else { return .deliver }
        guard sighting.from == pair.alice.endpoint else {
            return losesReports && sighting.isReport && noise.next() % 2 == 0 ? .drop : .deliver
        }
        guard !sighting.isHello else { return note(sighting, .seconds(0), .deliver) }
        if Double(noise.next() % 10_000) < loss * 10_000 { return .drop }
        if reordering, noise.next() % 10 == 0 {
            let more = Interval(nanoseconds: Int64(noise.next() % 9_000_000))
            return note(sighting, more, .delay(more))
        }
        return note(sighting, .seconds(0), duplication && noise.next() % 10 == 0 ? .duplicate : .deliver)
    }

    private func note(_ sighting: Sighting, _ more: Interval, _ fate: Link.Fate) -> Link.Fate {
        arrivals[sighting.counter] = (sighting.at + pair.link.latency + more, sighting.bytes.count)
        return fate
    }

    /// Compares a report with what had arrived when it was sent.
    func check(_ report: Sighting) throws {
        let record = try #require(report.record)
        #expect(record.kind == .report && record.parameter == 0 && record.length == 40)
        #expect(record.payload.count == 48 && record.payload[44...] == [0, 0, 0, 0])
        let known = arrivals.filter { $0.value.at <= report.at }
        let highest = try #require(known.keys.max())
        #expect(record.report.highest == highest)
        let bits = (0..<64).reduce(UInt64(0)) { bits, age in
            age <= highest && known[highest - UInt64(age)] != nil ? bits | 1 << UInt64(age) : bits
        }
        #expect(record.report.recent == bits)
        #expect(record.report.datagrams == UInt64(known.count))
        #expect(record.report.bytes == UInt64(known.values.reduce(0) { $0 + $1.size }))
        let offset = pair.bob.tunnel.services.clockOffsets.report
        #expect(record.report.clock == UInt64(report.at.nanoseconds / 1000) + offset)
    }
}
