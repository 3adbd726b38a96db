/// The counters of a session that have arrived: a sliding window of 8192 bits over a ring of words (RFC 6479), of which
/// 8128 are certain.
///
///     … │ word │ word │ word │ greatest │
///         └──────── ring, 128 words ────┘
///
/// It is asked only after the AEAD has proved the counter.
struct ReplayWindow {
    private static let words: UInt64 = 128
    private static let size = (words - 1) * 64

    private(set) var greatest: UInt64 = 0
    private var ring = InlineArray<128, UInt64>(repeating: 0)

    /// Marks `counter` as arrived; false if it had arrived before, or is too old to tell, or is at the end of all
    /// counters.
    mutating func accept(_ counter: UInt64) -> Bool {
        guard counter < Limits.rejectAfterMessages else { return false }
        if counter > greatest {
            let current = greatest >> 6
            let steps = min((counter >> 6) - current, Self.words)
            for step in 0..<steps { ring[Self.slot(of: current &+ 1 &+ step)] = 0 }
            greatest = counter
        } else if greatest - counter > Self.size {
            return false
        }
        let bit: UInt64 = 1 << (counter & 63)
        let slot = Self.slot(of: counter >> 6)
        defer { ring[slot] |= bit }
        return ring[slot] & bit == 0
    }

    /// The 64 counters up to the greatest, a bit for each that has arrived: bit 0 is the greatest.
    var recent: UInt64 {
        var bits: UInt64 = 0
        for age in 0..<min(64, greatest + 1) {
            let counter = greatest - age
            if ring[Self.slot(of: counter >> 6)] & 1 << (counter & 63) != 0 { bits |= 1 << age }
        }
        return bits
    }

    private static func slot(of word: UInt64) -> Int { Int(word & (words - 1)) }
}

// What a new process takes over.
extension ReplayWindow {
    func write(to state: inout StateWriter) {
        state.put(greatest)
        for index in ring.indices { state.put(ring[index]) }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        greatest = try state.number()
        guard greatest < Limits.rejectAfterMessages else { throw .implausible("a counter") }
        for index in ring.indices { ring[index] = try state.number() }
    }
}
