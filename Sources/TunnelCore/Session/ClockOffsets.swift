/// Offsets that are added to the instants that peers get to see, at random for each tunnel: neither says for how long the
/// machine has been up, nor do both together.
struct ClockOffsets {
    /// To the clock of a REPORT, in microseconds; less than 2^50, so that the clock never comes to its end.
    var report: UInt64 = 0
    /// To the token of a PING.
    var ping: UInt64 = 0

    init(_ randomness: Randomness) {
        var randomness = randomness
        report = (UInt64(randomness.number()) << 32 | UInt64(randomness.number())) >> 14
        ping = UInt64(randomness.number()) << 32 | UInt64(randomness.number())
    }

    /// Offsets of zero, which make the records of a test known.
    init() {}
}
