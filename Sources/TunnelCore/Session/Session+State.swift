import Keys

// A session as a new process takes it over: keys, counters, indices, and what was said on it.

extension Session {
    func write(to state: inout StateWriter) {
        state.put(isInitiator)
        state.put(createdAt)
        state.put(nextUnit)
        presharedKey.write(to: &state)
        state.put(transcript.span)
        hello.write(to: &state)
        wireGuard.write(to: &state)
        aes.write(to: &state)
    }

    /// A session of the peer in `slot`. Its keys are to be begun where it stays.
    init(_ kept: KeptSession, of slot: PeerSlot) {
        self.init(
            peer: slot, local: kept.local, remote: kept.remote, isInitiator: kept.isInitiator, at: kept.createdAt)
        hello = kept.hello
        nextUnit = kept.nextUnit
        presharedKey = kept.presharedKey
        transcript = kept.transcript
        wireGuard.take(kept.wireGuard)
        aes.take(kept.aes)
    }

    /// Makes the keys ready, in the place where the session stays.
    mutating func begin(_ keys: KeptKeys, _ implementation: ChaChaImplementation) {
        wireGuard.sending.begin(.chacha20poly1305, implementation, key: keys.wireGuard.sending.span)
        wireGuard.receiving.begin(.chacha20poly1305, implementation, key: keys.wireGuard.receiving.span)
        aes.sending.begin(.aes256gcm, implementation, key: keys.aes.sending.span)
        aes.receiving.begin(.aes256gcm, implementation, key: keys.aes.receiving.span)
    }
}

/// A session that was read, without its keys.
struct KeptSession {
    let isInitiator: Bool
    let createdAt: Instant
    let nextUnit: UInt16
    let presharedKey: KeyName
    let transcript: Bytes32
    let hello: HelloExchange
    let wireGuard: KeptLane
    let aes: KeptLane
    /// Those of WireGuard's lane, which every session has.
    let local: ReceiverIndex
    let remote: ReceiverIndex

    /// Its keys are put into `keys`, which the caller wipes.
    init(_ state: inout StateReader, _ keys: inout KeptKeys, at now: Instant) throws(StateProblem) {
        isInitiator = try state.bool()
        createdAt = try state.instant()
        guard createdAt <= now else { throw .implausible("the age of a session") }
        nextUnit = try state.number()
        presharedKey = state.version < 2 ? .configured : try KeyName(&state)
        transcript = state.version < 2 ? Bytes32(repeating: 0) : try state.array()
        hello = try HelloExchange(&state)
        wireGuard = try KeptLane(&state, &keys.wireGuard)
        aes = try KeptLane(&state, &keys.aes)
        guard let local = wireGuard.local, let remote = wireGuard.remote else {
            throw .implausible("a session without indices")
        }
        self.local = local
        self.remote = remote
    }
}

/// A lane that was read, without its keys.
struct KeptLane {
    let local: ReceiverIndex?
    let remote: ReceiverIndex?
    let sendCounter: UInt64
    private(set) var window = ReplayWindow()
    private(set) var arrivals = Arrivals()

    init(_ state: inout StateReader, _ keys: inout KeptKeys.Pair) throws(StateProblem) {
        keys.sending = try state.array()
        keys.receiving = try state.array()
        let local = try state.number(UInt32.self)
        let remote = try state.number(UInt32.self)
        self.local = local == 0 ? nil : ReceiverIndex(rawValue: local)
        self.remote = remote == 0 ? nil : ReceiverIndex(rawValue: remote)
        sendCounter = try state.number()
        // Where nothing can be received, nothing was.
        guard local != 0 else { return }
        window = try ReplayWindow(&state)
        arrivals = try Arrivals(&state)
    }
}

/// The keys of a session that is read, until it is in its place.
struct KeptKeys {
    struct Pair {
        var sending = Bytes32(repeating: 0)
        var receiving = Bytes32(repeating: 0)
    }

    var wireGuard = Pair()
    var aes = Pair()

    init() {}

    mutating func wipe() {
        Keys.wipe(&wireGuard.sending)
        Keys.wipe(&wireGuard.receiving)
        Keys.wipe(&aes.sending)
        Keys.wipe(&aes.receiving)
    }
}

extension Lane {
    fileprivate func write(to state: inout StateWriter) {
        state.put(sending.bytes.span)
        state.put(receiving.bytes.span)
        state.put(localIndex?.rawValue ?? 0)
        state.put(remoteIndex?.rawValue ?? 0)
        state.put(sendCounter)
        guard localIndex != nil else { return }
        window.write(to: &state)
        arrivals.write(to: &state)
    }

    fileprivate mutating func take(_ kept: KeptLane) {
        localIndex = kept.local
        remoteIndex = kept.remote
        sendCounter = kept.sendCounter
        window = kept.window
        arrivals = kept.arrivals
    }
}
