/// The gain of a stream of units: of some it is known what they would have become by themselves.
struct StreamGain {
    /// One of so many units is coded by itself, too, and one of fewer at first.
    private static let rarely = 32
    private static let often = 4
    /// From so many of these on the gain is known; twice as many count half.
    private static let trial = 8
    /// What the stream has to leave at most, of what units alone do.
    private static let leastGain = 0.97

    /// Units of this epoch, and their bytes.
    private var units = 0
    private(set) var plain = 0
    /// Of those that were coded by themselves, too: what became of them so, and in the stream.
    private var samples = 0
    private var alone = 0
    private var coded = 0

    /// Whether the unit that was coded last is to be coded by itself, too.
    var isSample: Bool { units % (units < Self.trial * Self.often ? Self.often : Self.rarely) == 0 }

    /// Whether the stream leaves less than units alone did.
    var isWorthIt: Bool { samples < Self.trial || Double(coded) < Double(alone) * Self.leastGain }

    /// Counts a unit of so many bytes.
    mutating func add(unit bytes: Int) {
        units += 1
        plain += bytes
    }

    /// Notes the size of the record of a unit, and the one that it would have had without the stream.
    mutating func note(_ coded: Int, alone: Int) {
        let old = samples < Self.trial * 2 ? 1 : 2
        samples = samples / old + 1
        self.alone = self.alone / old + alone
        self.coded = self.coded / old + coded
    }
}
