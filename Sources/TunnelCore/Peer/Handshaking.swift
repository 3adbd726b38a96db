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
    /// For the public key that is to take the place of the peer's.
    private(set) var nextCookies: CookieJar?
    /// The pending initiation is for that key, and then the next one is for the other.
    private(set) var isToNext = false

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

    /// Sets the public key that is to take the place of the peer's.
    mutating func setNext(_ key: PublicKey?) {
        nextCookies = key.map { CookieJar($0) }
        isToNext = key != nil
    }

    /// It has taken its place.
    mutating func takeNext() {
        if let nextCookies { cookies = nextCookies }
        nextCookies = nil
        isToNext = false
    }

    /// Writes the macs of a message to the peer, by the key that it goes to.
    mutating func sign<let size: Int>(_ message: inout InlineArray<size, UInt8>, toNext: Bool, at now: Now) {
        if toNext, nextCookies != nil {
            nextCookies?.sign(&message, at: now)
        } else {
            cookies.sign(&message, at: now)
        }
    }

    /// Takes the cookie out of a reply; false if it is none.
    mutating func accept(_ reply: CookieReply.Bytes, at now: Now) -> Bool {
        cookies.accept(reply, at: now) || nextCookies?.accept(reply, at: now) == true
    }

    mutating func begin(_ index: ReceiverIndex, at now: Instant) {
        pending = index
        if nextCookies != nil { isToNext.toggle() }
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
