import Keys

/// One way of sealing within a session, both directions: its keys, its counters, and the indices by which each end knows
/// it. Every session has WireGuard's lane; between gateways it may have a second one for AES-256-GCM, which looks the
/// same on the wire.
struct Lane: ~Copyable {
    private let inPlace = InPlace()
    let suite: CipherSuite
    var sending = CipherKey()
    var receiving = CipherKey()
    /// The counter of the next message.
    var sendCounter: UInt64 = 0
    var window = ReplayWindow()
    var arrivals = Arrivals()
    /// The receiver indices in messages to us, and in messages to the peer; `nil`: that direction is not there.
    var localIndex: ReceiverIndex?
    var remoteIndex: ReceiverIndex?

    init(_ suite: CipherSuite, local: ReceiverIndex?, remote: ReceiverIndex?) {
        self.suite = suite
        localIndex = local
        remoteIndex = remote
    }

    mutating func begin(_ implementation: ChaChaImplementation, sending: Secret, receiving: Secret) {
        self.sending.begin(suite, implementation, key: sending.bytes)
        self.receiving.begin(suite, implementation, key: receiving.bytes)
    }

    mutating func end() {
        sending.end()
        receiving.end()
    }

    /// The peer has said that it receives on this lane.
    @inline(__always) var isOpen: Bool { remoteIndex != nil }

    /// A report of what has arrived, which counts as made from now on. `offset` is added to the clock.
    mutating func report(at now: Instant, offset: UInt64) -> ReportRecord {
        arrivals.noteReported(at: now)
        return ReportRecord(
            isAES: suite == .aes256gcm, highest: window.greatest, recent: window.recent, datagrams: arrivals.datagrams,
            bytes: arrivals.bytes, clock: UInt64(now.nanoseconds / 1000) &+ offset)
    }

    /// Whether there are counters left.
    @inline(__always) var canSend: Bool {
        sendCounter < (suite == .aes256gcm ? Limits.aesRejectAfterMessages : Limits.rejectAfterMessages)
    }

    /// Whether so many messages were sent that it is time for new keys.
    @inline(__always) var isUsedUp: Bool {
        sendCounter > (suite == .aes256gcm ? Limits.aesRekeyAfterMessages : Limits.rekeyAfterMessages)
    }
}

/// One of the two lanes of a session.
struct LaneSlot: Hashable, Sendable {
    let session: SessionSlot
    let suite: CipherSuite
}
