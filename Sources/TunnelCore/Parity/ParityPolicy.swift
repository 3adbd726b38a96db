import Addresses

/// The operator's wish for parity.
public enum ParityWish: Equatable, Sendable {
    case automatic
    case off
    /// Always so many hundredths of the data.
    case percent(Int)
}

/// The amount of parity that pays on a path: where a round trip is too late for TCP, as much as what is lost needs.
///
/// Measured (cubic, one stream): at 300 ms any loss, at 40 ms from about half a per cent on, with few rows, since what is sent again is not
/// much later. Against runs of losses parity does little, and sending again
/// does all.
struct ParityPolicy {
    var wish = ParityWish.automatic
    /// What is sent now; `nil`: none.
    private(set) var plan: ParityBlocks.Plan?

    /// The part that the path loses, and how many losses stand together, on average.
    private(set) var loss = 0.0
    private(set) var run = 1.0
    private var last: ReceiptRecord?
    private var isKnown = false
    /// Since the last sample.
    private var sums = (counters: 0.0, lost: 0.0, runs: 0.0)

    /// Parity of automatic plans is at most so many hundredths of the data.
    private static let most = 12
    private static let linkTime = Interval.milliseconds(25)
    private static let sizes = 10...40
    /// The part of a round trip that a block may take.
    private static let inTime = 0.8
    private static let leastSample = 400.0
    /// The part of the blocks that may be beyond repair by parity: on a far path, and where sending again comes soon.
    private static let toleratedFar = 0.003
    private static let toleratedNear = 0.08

    /// The path as it is now.
    struct Conditions {
        /// The shortest round trip lately.
        let trip: Interval?
        /// A queue stands on the way: what is lost there is for TCP to see.
        let isQueued: Bool
        /// Datagrams of the size that most have, which leave in a second.
        let rate: Double
    }

    /// Takes the peer's word of what was lost.
    mutating func take(_ receipt: ReceiptRecord) {
        defer { last = receipt }
        guard let last, last.isAES == receipt.isAES, receipt.highest > last.highest,
            receipt.datagrams >= last.datagrams
        else { return }
        sums.counters += Double(receipt.highest - last.highest)
        sums.lost += Double(Int32(bitPattern: receipt.lost &- last.lost))
        sums.runs += Double(Int32(bitPattern: receipt.runs &- last.runs))
        // The first losses of a path tell enough to begin with.
        guard sums.counters >= Self.leastSample || !isKnown && sums.lost >= 2 && sums.counters >= Self.leastSample / 8
        else { return }
        let sample = min(max(sums.lost / sums.counters, 0), 1)
        loss += (sample - loss) * (isKnown ? 0.25 : 1)
        if sums.runs >= 1 { run += (max(sums.lost / sums.runs, 1) - run) * (isKnown ? 0.25 : 1) }
        isKnown = true
        sums = (0, 0, 0)
    }

    /// Some goes with all data, whatever is lost.
    var isAlways: Bool {
        if case .percent = wish { true } else { false }
    }

    /// Sends none.
    mutating func stop() { plan = nil }

    /// Decides on what is sent from now on.
    mutating func decide(_ conditions: Conditions) {
        plan = wished(conditions)
    }

    private func wished(_ conditions: Conditions) -> ParityBlocks.Plan? {
        let inTime = Int(conditions.rate * Double(Self.linkTime.nanoseconds) / 1e9)
        let size = min(max(inTime, Self.sizes.lowerBound), Self.sizes.upperBound)
        switch wish {
        case .off: return nil
        case .percent(let percent):
            let fitting = min(size, ParityRecord.mostRows * 100 / percent)
            let rows = min(max((fitting * percent + 50) / 100, 1), ParityRecord.mostRows)
            return ParityBlocks.Plan(rows: rows, size: fitting, most: percent)
        case .automatic:
            guard isKnown, !conditions.isQueued, let trip = conditions.trip, run < 2.5 else { return nil }
            // What is on already ends later than it begins.
            let ease = plan == nil ? 1.0 : 0.5
            let isFar = trip > .milliseconds(100) && loss > 0.0005 * ease
            let isBad = trip > .milliseconds(20) && loss > 0.005 * ease
            // A row that comes later than what is sent again is worth nothing.
            let isInTime = Double(size) * 1e9 < conditions.rate * Double(trip.nanoseconds) * Self.inTime
            guard isFar || isBad, isInTime else { return nil }
            let tolerated = isFar ? Self.toleratedFar : Self.toleratedNear
            let affordable = max(size * Self.most / 100, 1)
            var rows = 1
            while rows < min(affordable, ParityRecord.mostRows), beyond(rows, of: size + rows) > tolerated {
                rows += 1
            }
            return ParityBlocks.Plan(rows: rows, size: size, most: Self.most)
        }
    }

    /// How likely it is that more than `rows` of so many datagrams are lost, one by one.
    private func beyond(_ rows: Int, of count: Int) -> Double {
        var term = 1.0
        for _ in 0..<count { term *= 1 - loss }
        var within = term
        for lost in 1...rows {
            term *= Double(count - lost + 1) / Double(lost) * loss / max(1 - loss, 1e-9)
            within += term
        }
        return max(1 - within, 0)
    }
}
