/// The sessions of a peer (whitepaper §6.3): one that data goes on, the one before for what is still under way, and one that
/// we answered and on which nothing has come yet.
///
/// Each change returns the sessions that end by it, for `Services.end`.
struct Keypairs {
    typealias Ended = InlineArray<3, SessionSlot?>

    private(set) var current: SessionSlot?
    private(set) var previous: SessionSlot?
    private(set) var next: SessionSlot?

    init() {}

    /// Whether there is a session that has carried data, or may.
    var hasAny: Bool { current != nil || next != nil }

    /// Whether a session is one of them.
    func has(_ session: SessionSlot) -> Bool { session == current || session == previous || session == next }

    /// Takes a session that we asked for, which may be used at once.
    mutating func take(initiated session: SessionSlot) -> Ended {
        var ended: Ended = [previous, nil, nil]
        if let next {
            ended[1] = current
            previous = next
        } else {
            previous = current
        }
        next = nil
        current = session
        return ended
    }

    /// Takes a session that we answered, which may be used after the first message on it.
    mutating func take(answered session: SessionSlot) -> Ended {
        let ended: Ended = [next, previous, nil]
        previous = nil
        next = session
        return ended
    }

    /// Notes that a message came on the session that we answered.
    mutating func confirmNext() -> Ended {
        let ended: Ended = [previous, nil, nil]
        previous = current
        current = next
        next = nil
        return ended
    }

    /// Sends on the session before, of which the peer has shown that it has it.
    mutating func preferPrevious() { swap(&current, &previous) }

    mutating func removeAll() -> Ended {
        let ended: Ended = [current, previous, next]
        (current, previous, next) = (nil, nil, nil)
        return ended
    }
}

// What a new process takes over.
extension Keypairs {
    init(current: SessionSlot?, previous: SessionSlot?, next: SessionSlot?) {
        (self.current, self.previous, self.next) = (current, previous, next)
    }
}
