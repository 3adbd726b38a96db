/// What the operator wants of the key exchange that a quantum computer does not undo (docs/protocol.md §7).
public enum KeyExchangePolicy: Sendable, Equatable {
    /// The peer is not told of it.
    case off
    /// With a peer that takes part in it; without it where that is not so.
    case prefer
    /// No packet goes or comes on a session without it.
    case require
}

/// How far two ends are with a key for their handshakes.
public enum KeyExchangeStage: Sendable {
    /// The session is made with one.
    case agreed
    /// The peer has not said yet what it takes.
    case unsaid
    /// It has said that it takes no part, or says nothing at all.
    case refused
    /// Something was said of it, or will be in a moment.
    case underWay
    /// What was said of it does not get there, or what is said to that does not come back.
    case unanswered
}

/// The state of the exchange of keys with one peer, as the data thread has it: what is under way, and what is known of the keys.
struct KeyExchange {
    enum Phase: Equatable {
        case idle
        /// The handshake thread makes our encapsulation key.
        case making
        /// It was sent, and the ciphertext is waited for.
        case offered
        /// The handshake thread opens it.
        case opening
        /// The peer was asked whether it has our newest key.
        case asking
    }

    /// Exchanges that we begin: so many at once, and then one in five minutes.
    static let interval = Interval.seconds(300)
    /// How long a key may be used until another one is agreed on.
    static let rekeys = interval...Interval.seconds(86_400)
    static let atOnce: Int64 = 4
    /// When a record that nothing answers is sent again, counted from the time before; then it is given up until the next session.
    static let repeats: [Interval] = [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(15)]
    /// A session without an agreed key for so long is not one that will have it in a moment.
    static let patience = Interval.seconds(35)
    /// Handshakes that follow an exchange without the pause between two, until one of them is made with its key.
    static let handshakesAtOnce = 2

    var policy: KeyExchangePolicy
    /// How long a key is used until another one is agreed on, within `rekeys`.
    var rekey: Interval { didSet { rekey = Self.bounded(rekey) } }
    var phase = Phase.idle
    /// The session that the exchange is about: our index of it.
    var index: ReceiverIndex?
    /// Our record, to be sent again, and how often it was.
    var record: [UInt8] = []
    var sent = 0
    /// The number of our last exchange.
    var exchange: UInt32 = 0
    /// The newest key that both ends should have, and since when.
    var newest: UInt64?
    var agreedAt = Instant.distantPast
    /// The peer's last exchange that was answered, the record that answered it, and when.
    var answered: (exchange: UInt32, record: [UInt8], at: Instant)?
    /// The handshake thread makes an answer, until then at the latest.
    var answersUntil = Instant.distantPast
    /// A session with the newest key is to be made, and how many may be asked for without the pause between two handshakes.
    var wantsSession = false
    var hurried = handshakesAtOnce
    /// It was told that the peer takes no part, or that sessions are made with agreed keys.
    var isRefusalTold = false
    var isInUse = false
    var offers = TokenBucket(every: interval, atOnce: atOnce)
    /// Of a peer that floods, no more costs anything: about as many as it may begin itself, and a good many more.
    var answers = TokenBucket(every: .seconds(30), atOnce: 8)
    var questions = TokenBucket(every: .milliseconds(250), atOnce: 8)
    /// What we said in vain: exchanges and questions that were given up, one after the other, and ciphertexts that no question followed.
    var unanswered: UInt32 = 0
    var inVain: UInt32 = 0
    /// Since when sessions are made without an agreed key.
    var classicSince: Instant?
    /// Bytes on the wire that went into it, and keys that came out of it.
    var bytes: UInt64 = 0
    var agreements: UInt64 = 0

    init(_ policy: KeyExchangePolicy, rekey: Interval) {
        self.policy = policy
        self.rekey = Self.bounded(rekey)
    }

    private static func bounded(_ rekey: Interval) -> Interval { min(max(rekey, rekeys.lowerBound), rekeys.upperBound) }

    /// The peer has said something that follows from what we said.
    mutating func noteAnswered() {
        unanswered = 0
        inVain = 0
    }

    /// Nothing is under way any more.
    mutating func rest() {
        phase = .idle
        index = nil
        record = []
        sent = 0
    }
}

// What a new process takes over: of what was under way it begins anew.
extension KeyExchange {
    func write(to state: inout StateWriter) {
        state.put(optional: newest) { $0.put($1) }
        state.put(agreedAt)
        state.put(isInUse)
        state.put(bytes)
        state.put(agreements)
    }

    mutating func read(_ state: inout StateReader) throws(StateProblem) {
        newest = try state.optional { state throws(StateProblem) in try state.number() }
        agreedAt = try state.instant()
        isInUse = try state.bool()
        bytes = try state.number()
        agreements = try state.number()
    }
}
