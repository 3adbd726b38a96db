import Testing

@testable import TestKit
@testable import TunnelCore

@Suite("The governor of compression")
struct GovernorTests {
    @Test("a thread that has time compresses for ever")
    func idle() {
        var model = Model(withCoding: 1000, without: 9000, isBusy: false)
        model.run(for: .seconds(60))
        #expect(model.codingShare == 1)
    }

    @Test("a busy thread that gets more through without compression leaves it almost at once, and tries it seldom")
    func fastLink() {
        var model = Model(withCoding: 300, without: 900, isBusy: true)
        model.run(for: .seconds(1))
        #expect(model.codingShare < 0.2)
        model.run(for: .seconds(120))
        #expect(model.codingShare < 0.02)
    }

    @Test("a busy thread that gets more through with compression keeps it, and doubts it seldom")
    func thinLink() {
        var model = Model(withCoding: 280, without: 200, isBusy: true)
        model.run(for: .seconds(120))
        #expect(model.codingShare > 0.97)
    }

    @Test("a link that became thin is compressed again within half a minute")
    func becomesThin() {
        var model = Model(withCoding: 300, without: 900, isBusy: true)
        model.run(for: .seconds(300))
        model.without = 100
        model.run(for: .seconds(33))
        model.forget()
        model.run(for: .seconds(60))
        #expect(model.codingShare > 0.95)
    }
}

/// A thread whose turns take a millisecond, on a link that lets so many bytes through in each.
private struct Model {
    var withCoding: Int
    var without: Int
    let isBusy: Bool
    private var governor = Governor()
    private var now = Instant(nanoseconds: 1)
    private var turns = 0
    private var codingTurns = 0

    init(withCoding: Int, without: Int, isBusy: Bool) {
        self.withCoding = withCoding
        self.without = without
        self.isBusy = isBusy
    }

    /// The part of the turns in which there was compression.
    var codingShare: Double { Double(codingTurns) / Double(turns) }

    mutating func forget() {
        turns = 0
        codingTurns = 0
    }

    mutating func run(for time: Interval) {
        let end = now + time
        while now < end {
            governor.beginTurn(at: now, idle: isBusy ? Interval(nanoseconds: 0) : .milliseconds(1))
            let isCoding = governor.allowsCoding
            governor.noteSent(isCoding ? withCoding : without)
            turns += 1
            codingTurns += isCoding ? 1 : 0
            now = now + .milliseconds(1)
        }
    }
}
