/// When a peer is told what became part of its dictionary. A word of its own takes as much as a message; one that goes with another next to
/// nothing. So it waits for one, the longer the more there is already to refer to.
enum TellingTimes {
    /// So many entries, or bytes of them, are said at once.
    private static let some = (entries: 8, bytes: 4 << 10)
    /// The first, which are worth most, wait for what is answered at once; those that make up what is worth most of the rest a little.
    private static let first = (entries: 2, patience: Interval.milliseconds(10))
    private static let early = (entries: 16, patience: Interval.milliseconds(200))
    private static let late = Interval.milliseconds(800)
    /// So many are worth bytes of a message that goes anyway.
    private static let worthBytes = 3

    /// How long `fresh` entries of so many bytes may wait, the last of `count`.
    static func patience(_ fresh: Int, bytes: Int, of count: Int) -> Interval {
        guard fresh < some.entries, bytes < some.bytes else { return .milliseconds(0) }
        if count <= first.entries { return first.patience }
        return count <= early.entries ? early.patience : late
    }

    /// Whether `fresh` entries, the last of `count`, go with a message though its padding has no room for them.
    static func areWorthBytes(_ fresh: Int, of count: Int) -> Bool { fresh >= worthBytes || count <= first.entries }
}
