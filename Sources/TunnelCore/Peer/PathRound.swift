/// A round of questions about a path: one or two sizes, the larger first, 0 for none, and a small PING behind them. The tokens are
/// consecutive, that of the small PING the third.
struct PathRound {
    private(set) var sizes = (0, 0)
    private(set) var token: UInt64 = 0
    /// The bytes that had ever been sent when it began.
    private(set) var sentBefore: UInt64 = 0
    private(set) var askedAt = Instant.distantPast
    /// The largest size that was answered.
    private(set) var answered = 0
    /// When the small PING was answered: what is larger may be a little later.
    private(set) var smallAt: Instant?
    /// Answers are waited for.
    private(set) var isOpen = false

    init() {}

    init(of sizes: (Int, Int), token: UInt64, sent: UInt64, at now: Instant) {
        self.sizes = sizes
        self.token = token
        sentBefore = sent
        askedAt = now
        isOpen = true
    }

    /// Takes an answer; false if it is none to this round.
    mutating func take(answer: UInt64, at now: Instant) -> Bool {
        let index = answer &- token
        guard isOpen, index < 3 else { return false }
        switch index {
        case 0: answered = max(answered, sizes.0)
        case 1: answered = max(answered, sizes.1)
        default: smallAt = smallAt ?? now
        }
        return true
    }

    /// All sizes were answered.
    var isAnswered: Bool { answered >= max(sizes.0, sizes.1) }

    /// The size that was not answered, the smaller if neither was; 0: all were.
    var lost: Int { sizes.1 > answered ? sizes.1 : sizes.0 > answered ? sizes.0 : 0 }

    mutating func close() { isOpen = false }
}
