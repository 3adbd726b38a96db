/// When the last datagrams of a lane left, by counter.
struct DepartureLog {
    private struct Entry {
        var counter: UInt64 = .max
        var at = Instant.distantPast
    }

    /// Full datagrams of a third of a second at 100 Mbit/s, and of a fifth at 1 Gbit/s.
    private static let usual = 4096
    private static let large = 16384

    private let size: Int
    private var entries = ContiguousArray<Entry>()
    private var lane: ReceiverIndex?

    /// For a link of so many bits a second at most. Nothing is allocated yet.
    init(for rate: UInt64) { size = rate > 100_000_000 ? Self.large : Self.usual }

    /// Notes that a counter leaves, or leaves now though it was noted before.
    @inline(__always)
    mutating func note(_ counter: UInt64, on lane: ReceiverIndex, at now: Instant) {
        if self.lane != lane { begin(lane) }
        entries[Int(truncatingIfNeeded: counter) & (size - 1)] = Entry(counter: counter, at: now)
    }

    @inline(never)
    private mutating func begin(_ lane: ReceiverIndex) {
        self.lane = lane
        entries = ContiguousArray(repeating: Entry(), count: size)
    }

    /// When a counter left, if that is still known.
    func departure(of counter: UInt64, on lane: ReceiverIndex) -> Instant? {
        guard self.lane == lane else { return nil }
        let entry = entries[Int(truncatingIfNeeded: counter) & (size - 1)]
        return entry.counter == counter ? entry.at : nil
    }
}
