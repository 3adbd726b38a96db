import Keys

/// The state of our own handshake with a peer: the pending initiation, attempts, cookies.
struct Handshaking {
    /// Our index for the initiation that waits for its response.
    private(set) var pending: ReceiverIndex?
    private(set) var attempts = 0
    private(set) var lastInitiation = Instant.distantPast
    /// This session's last minute has been used to ask for the next.
    private(set) var askedBeforeEnd = false
    var cookies: CookieJar

    init(_ publicKey: PublicKey) { cookies = CookieJar(publicKey) }

    /// Whether an initiation may go out: none did in the last five seconds.
    func mayInitiate(at now: Instant) -> Bool { now - lastInitiation >= Limits.rekeyTimeout }

    /// Starts counting attempts anew: whoever asks while we try makes us try for 90 s more (whitepaper §6.4).
    mutating func resetAttempts() { attempts = 0 }

    /// Counts an attempt that was not answered; how many those are.
    mutating func countAttempt() -> Int {
        attempts += 1
        return attempts
    }

    mutating func begin(_ index: ReceiverIndex, at now: Instant) {
        pending = index
        lastInitiation = now
    }

    /// Forgets the pending initiation; its index, to be freed or given to the session.
    mutating func forgetPending() -> ReceiverIndex? {
        defer { pending = nil }
        return pending
    }

    /// Lets the next initiation go out at once.
    mutating func allowAtOnce() { lastInitiation = .distantPast }

    mutating func noteAskedBeforeEnd() { askedBeforeEnd = true }

    /// Notes that a session was made.
    mutating func noteDone() {
        attempts = 0
        askedBeforeEnd = false
    }
}

// What a new process takes over. A handshake that was under way begins anew there, and cookies are asked for again.
extension Handshaking {
    func write(to state: inout StateWriter) {
        state.put(pending != nil)
        state.put(UInt32(clamping: attempts))
        state.put(lastInitiation)
        state.put(askedBeforeEnd)
    }

    /// True if a handshake was under way.
    mutating func read(_ state: inout StateReader) throws(StateProblem) -> Bool {
        let wasPending = try state.bool()
        attempts = Int(try state.number(UInt32.self))
        lastInitiation = try state.instant()
        askedBeforeEnd = try state.bool()
        return wasPending
    }
}
