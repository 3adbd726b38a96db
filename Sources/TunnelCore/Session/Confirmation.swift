/// Whether what an end announced on a session before is confirmed on this one by a CONFIRM that goes with messages that are sent anyway
/// (docs/protocol.md §3.9).
struct Confirmation {
    /// It goes behind every packet, until the peer has seen one.
    private(set) var isOffered = false
    /// The peer has not seen ours and said so: it goes with the next message, be it a keepalive.
    private(set) var isOwed = false
    /// How many have been sent.
    private(set) var sent = 0

    /// The next packet is to carry one.
    @inline(__always) var isDue: Bool { isOffered || isOwed }
    /// Many packets carried one, and nothing came back: the peer may be another than it was.
    var isInVain: Bool { isOffered && sent >= Limits.confirmations }

    mutating func offer() { isOffered = true }

    mutating func owe() { isOwed = true }

    /// A peer that was told what it lacked says so again if that got lost.
    mutating func noteSent() {
        sent += 1
        if isOwed { end() }
    }

    /// The peer has seen one, or a HELLO says it all.
    mutating func end() {
        isOffered = false
        isOwed = false
    }
}

// What a new process takes over.
extension Confirmation {
    func write(to state: inout StateWriter) {
        state.put(isOffered)
        state.put(isOwed)
        state.put(UInt32(clamping: sent))
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        isOffered = try state.bool()
        isOwed = try state.bool()
        sent = Int(try state.number(UInt32.self))
    }
}
