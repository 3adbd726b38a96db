/// What an end counts of units that refer to those before them.
struct HistoryState {
    /// The operator wants it.
    var isWanted = false
    /// Of what we sent: units, their packets and what they became; streams that broke.
    var unitsSent: UInt64 = 0
    var sent = CompressionCounters.Bytes()
    var broken: UInt64 = 0
    /// Of what came: the same; units that one before them was waited for in vain; units that were not what they said.
    var unitsReceived: UInt64 = 0
    var received = CompressionCounters.Bytes()
    var lost: UInt64 = 0
    var wrong: UInt64 = 0
}
