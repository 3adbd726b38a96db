import Keys

/// The name of the preshared key that a session was made with.
public enum KeyName: Sendable, Equatable {
    /// The operator's, or none.
    case configured
    /// The operator's at the other end, as far as we know.
    case other
    /// One that both ends agreed on, by its number.
    case agreed(UInt64)

    /// It came out of the exchange that a quantum computer does not undo.
    @inline(__always) var isAgreed: Bool { if case .agreed = self { true } else { false } }
}

/// The preshared keys that a handshake with one peer may be made with (docs/protocol.md §7.1).
///
/// An initiation says nothing of them. The end that answers it chooses, and the end that reads the response tries all that it has:
/// few, each for the price of some hashes. What was chosen and then carried no session is in doubt: the peer may have lost it.
struct CandidateKeys {
    /// A key that both ends derived.
    struct Agreed: Sendable, Equatable {
        let number: UInt64
        let key: PresharedKey
        /// The peer has shown that it has it.
        var isShared: Bool

        static func == (a: Self, b: Self) -> Bool { a.number == b.number && a.isShared == b.isShared }
    }

    /// A key with its name.
    struct Candidate {
        let name: KeyName
        let key: PresharedKey?
    }

    /// Answers of ours with one key, on the sessions of which nothing has come yet.
    private struct Answer {
        let name: KeyName
        /// The last of their sessions.
        var indices: [ReceiverIndex]
        /// When the first was given: who asks often has no longer to wait for that.
        let since: Instant

        static let mostIndices = 4
    }

    /// Keys that were agreed on and may still be met: the newest, the one before, and one of which it is not known that the peer has it.
    static let mostAgreed = 3
    /// An answer that carried nothing for so long, when the next initiation comes, was not understood: who can't open a response asks
    /// again after five seconds, and a little is left for the way.
    private static let patience = Interval.seconds(4)

    private(set) var configured: PresharedKey?
    /// One that the peer may answer with, and we don't: it takes the place of the operator's, or the other way round.
    var other: PresharedKey?
    /// Newest first.
    private(set) var agreed: [Agreed] = []
    private var unproved: Answer?

    init(_ configured: PresharedKey?) { self.configured = configured }

    // MARK: Settings

    /// Sets the operator's key. What was agreed on under another one is forgotten, unless that one may still be met.
    mutating func configure(_ key: PresharedKey?) {
        if Self.isSame(key, configured) { return }
        if other == nil || !Self.isSame(configured ?? .zeros, other) { agreed = [] }
        configured = key
        unproved = nil
    }

    // MARK: Agreed keys

    subscript(number: UInt64) -> PresharedKey? { agreed.first { $0.number == number }?.key }

    /// Takes a key that both ends derived, the newest from now on. The newest that the peer is known to have stays, however many come that
    /// it never confirms: who drops what would confirm them does not take us back behind it.
    mutating func add(_ key: PresharedKey, _ number: UInt64, isShared: Bool) {
        agreed.removeAll { $0.number == number }
        agreed.insert(Agreed(number: number, key: key, isShared: isShared), at: 0)
        while agreed.count > Self.mostAgreed {
            let needed = agreed.firstIndex(where: \.isShared)
            agreed.remove(at: agreed.count - (needed == agreed.count - 1 ? 2 : 1))
        }
    }

    /// Takes over what another process had.
    mutating func adopt(_ kept: [Agreed]) { agreed = Array(kept.prefix(Self.mostAgreed)) }

    /// Notes that the peer has an agreed key; false if we have it not.
    mutating func noteShared(_ number: UInt64) -> Bool {
        guard let index = agreed.firstIndex(where: { $0.number == number }) else { return false }
        agreed[index].isShared = true
        return true
    }

    /// Forgets a key that the peer has not.
    mutating func remove(_ number: UInt64) { agreed.removeAll { $0.number == number } }

    /// Forgets all that was agreed on.
    mutating func forgetAgreed() { agreed = [] }

    // MARK: Handshakes

    /// All that a response may be made with, the most likely first.
    var all: [Candidate] {
        var all = agreed.map { Candidate(name: .agreed($0.number), key: $0.key) }
        all.append(Candidate(name: .configured, key: configured))
        if let other { all.append(Candidate(name: .other, key: other)) }
        return all
    }

    /// The key to answer an initiation with, for a session of this index: the newest that the peer has, as far as we know; the
    /// operator's, if the last answer was another and nothing came of it.
    mutating func choose(for index: ReceiverIndex, at now: Instant) -> Candidate {
        var isDoubtful = false
        if let last = unproved, now - last.since >= Self.patience {
            doubt(last.name)
            isDoubtful = true
        }
        var choice = Candidate(name: .configured, key: configured)
        if !isDoubtful, let newest = agreed.first(where: \.isShared) {
            choice = Candidate(name: .agreed(newest.number), key: newest.key)
        }
        guard choice.name != .configured else {
            unproved = nil
            return choice
        }
        let before = unproved?.name == choice.name ? unproved : nil
        let indices = Array((before?.indices ?? []).suffix(Answer.mostIndices - 1)) + [index]
        unproved = Answer(name: choice.name, indices: indices, since: before?.since ?? now)
        return choice
    }

    /// Notes that the peer used the session that we answered it with.
    mutating func noteProved(_ index: ReceiverIndex) {
        guard let answer = unproved, answer.indices.contains(index) else { return }
        noteUsed(answer.name)
    }

    /// Notes that a session was made with a key at both ends: those before it are not needed any more.
    mutating func noteUsed(_ name: KeyName) {
        unproved = nil
        switch name {
        case .configured, .other: break
        case .agreed(let number):
            guard let index = agreed.firstIndex(where: { $0.number == number }) else { return }
            agreed[index].isShared = true
            agreed.removeLast(agreed.count - index - 1)
        }
    }

    /// The peer did not go on with a key: it may have lost it, and with it all others that were agreed on.
    private mutating func doubt(_ name: KeyName) {
        unproved = nil
        switch name {
        case .configured, .other: break
        case .agreed: for index in agreed.indices { agreed[index].isShared = false }
        }
    }

    private static func isSame(_ a: PresharedKey?, _ b: PresharedKey?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        return Primitive.equal(a.bytes, b.bytes)
    }
}

// What a new process takes over.
extension KeyName {
    func write(to state: inout StateWriter) {
        switch self {
        case .configured: state.put(0 as UInt8)
        case .agreed(let number):
            state.put(2 as UInt8)
            state.put(number)
        case .other: state.put(3 as UInt8)
        }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        switch try state.number(UInt8.self) {
        // 1 was one that nothing ever set.
        case 0: self = .configured
        case 2: self = .agreed(try state.number())
        case 3: self = .other
        default: throw .implausible("a preshared key")
        }
    }
}

extension CandidateKeys.Agreed {
    func write(to state: inout StateWriter) {
        state.put(number)
        state.put(isShared)
        state.put(key.bytes)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        number = try state.number()
        isShared = try state.bool()
        var bytes: Bytes32 = try state.array()
        key = PresharedKey(consuming: &bytes)
    }
}
