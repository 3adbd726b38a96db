/// Counts of the datagrams that have arrived on a lane, and of those that the peer was told of.
struct Arrivals {
    private(set) var datagrams: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private var reportedBytes: UInt64 = 0
    private var reportedAt = Instant.distantPast

    private static let interval = Interval.milliseconds(50)
    /// A report must not cost a thousandth of what it is about.
    private static let bytesPerReport = UInt64(ReportRecord.wireSize) * 1000
    /// A hundredth, where datagrams get lost.
    private static let bytesPerDenseReport = UInt64(ReportRecord.wireSize) * 100

    @inline(__always)
    mutating func note(_ size: Int) {
        datagrams &+= 1
        bytes &+= UInt64(size)
    }

    /// Whether the peer is to be told now.
    @inline(__always)
    func isReportDue(at now: Instant, isDense: Bool) -> Bool {
        bytes &- reportedBytes >= (isDense ? Self.bytesPerDenseReport : Self.bytesPerReport)
            && now - reportedAt >= Self.interval
    }

    mutating func noteReported(at now: Instant) {
        reportedBytes = bytes
        reportedAt = now
    }
}

// What a new process takes over.
extension Arrivals {
    func write(to state: inout StateWriter) {
        state.put(datagrams)
        state.put(bytes)
        state.put(reportedBytes)
        state.put(reportedAt)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        datagrams = try state.number()
        bytes = try state.number()
        reportedBytes = try state.number()
        reportedAt = try state.instant()
    }
}
