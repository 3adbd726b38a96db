/// What an end counts of units that refer to those before them.
struct HistoryState {
    /// The operator wants it.
    var isWanted = false
    var scope = HistoryScope.flow
    /// Of what we sent: units, their packets and what they became; streams that broke.
    var unitsSent: UInt64 = 0
    var sent = CompressionCounters.Bytes()
    var broken: UInt64 = 0
    /// Of what came: the same; units that one before them was waited for in vain; units that were not what they said.
    var unitsReceived: UInt64 = 0
    var received = CompressionCounters.Bytes()
    var lost: UInt64 = 0
    var wrong: UInt64 = 0
    /// Units that could refer to a dictionary, those that we sent and those that came; their packets and what they became.
    var recalledSent: UInt64 = 0
    var recallsSent = CompressionCounters.Bytes()
    /// Bytes on the wire that they took less than without, and units that the peer said it has learned.
    var saved = 0
    var learned: UInt64 = 0
    var recalledReceived: UInt64 = 0
    var recallsReceived = CompressionCounters.Bytes()
}

/// The traffic of which a dictionary is: what is sent to a peer by it may refer to all else of the same.
public enum HistoryScope: Sendable {
    /// One flow.
    case flow
    /// All from one address to another.
    case hosts
    /// All that goes to the peer.
    case peer
}
