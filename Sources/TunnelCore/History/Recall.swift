/// How a batch becomes a RECALL.
struct Recall {
    let dictionary: Int
    let level: Int32
    /// The bytes that it would take on the wire otherwise.
    let without: Int
    /// The receiver takes deflate.
    let isBrief: Bool
    /// What there is to be said of a dictionary of the receiver's, and whether that is worth bytes that the padding would not take.
    let word: LearnedRecord?
    let isWordDue: Bool
    let at: Instant
}
