/// The timers of a peer (whitepaper §6), as places in a fixed array of deadlines.
enum PeerTimer: Int, CaseIterable {
    /// An initiation went out: send it again if nothing comes of it.
    case retransmitHandshake
    /// Data came in: tell the peer that we are there, unless we send anyway.
    case keepalive
    /// Data went out: if nothing comes back, make a new session.
    case newHandshake
    /// The last session was made long ago: wipe all keys.
    case wipe
    /// The operator wants a message this often, whatever happens.
    case persistentKeepalive
    /// A HELLO went out: send it again if nothing confirms it.
    case hello
    /// Something is missing: ask for it.
    case receipt
    /// Data was sent with nothing behind it: show what is missing.
    case probe
    /// The path MTU is searched, or it is to be shown that large datagrams arrive.
    case pathMTU
    /// What was said of keys was not answered, or more is to be.
    case keyExchange
}

/// When each timer of a peer goes off.
struct PeerTimers {
    /// A place for each timer (`CapacityTests`).
    private(set) var deadlines = InlineArray<10, Instant>(repeating: .distantFuture)
    /// The earliest instant at which the tunnel's schedule looks at this peer.
    var scheduled = Instant.distantFuture

    init() {}

    @inline(__always)
    subscript(timer: PeerTimer) -> Instant {
        get { deadlines[timer.rawValue] }
        set { deadlines[timer.rawValue] = newValue }
    }

    @inline(__always) func isArmed(_ timer: PeerTimer) -> Bool { self[timer] != .distantFuture }
    @inline(__always) mutating func disarm(_ timer: PeerTimer) { self[timer] = .distantFuture }

    /// The next deadline of all.
    var earliest: Instant {
        deadlines.indices.reduce(.distantFuture) { min($0, deadlines[$1]) }
    }
}

// What a new process takes over. A later version may have more timers.
extension PeerTimers {
    func write(to state: inout StateWriter) {
        state.put(UInt32(deadlines.count))
        for index in deadlines.indices { state.put(deadlines[index]) }
    }

    mutating func read(_ state: inout StateReader) throws(StateProblem) {
        let count = try state.count(eachAtLeast: 8)
        guard count <= deadlines.count else { throw .implausible("timers") }
        for index in 0..<count { deadlines[index] = try state.instant() }
    }
}
