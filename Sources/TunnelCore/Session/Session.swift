import CSodium
import Keys

/// One session with a peer: its lanes, its age, and what the peer said on it that it can receive.
///
/// Sessions live in a `SessionSlab`, by index, and never leave it.
struct Session: ~Copyable {
    private let inPlace = InPlace()
    /// WireGuard's own, and the one for AES-256-GCM if both ends want it.
    var wireGuard: Lane
    var aes: Lane

    let peer: PeerSlot
    let isInitiator: Bool
    let createdAt: Instant
    /// The preshared key that it was made with.
    var presharedKey = KeyName.configured
    /// The peer's public key was the one that is to take the place of the other.
    var isOfNextKey = false
    /// The hash of its handshake; zeros if that was made by a version which did not keep it.
    var transcript = Bytes32(repeating: 0)

    var hello = HelloExchange()
    /// The number of the next unit that goes in fragments.
    var nextUnit: UInt16 = 0

    init(peer: PeerSlot, local: ReceiverIndex, remote: ReceiverIndex, isInitiator: Bool, at now: Instant) {
        wireGuard = Lane(.chacha20poly1305, local: local, remote: remote)
        aes = Lane(.aes256gcm, local: nil, remote: nil)
        self.peer = peer
        self.isInitiator = isInitiator
        createdAt = now
    }

    /// Makes the keys ready, in the place where the session stays.
    mutating func begin(_ keys: SessionKeys, _ implementation: ChaChaImplementation) {
        presharedKey = keys.presharedKey
        isOfNextKey = keys.isOfNextKey
        transcript = keys.transcript
        wireGuard.begin(implementation, sending: keys.sending, receiving: keys.receiving)
        aes.begin(implementation, sending: keys.sendingAES, receiving: keys.receivingAES)
    }

    mutating func end() {
        wireGuard.end()
        aes.end()
    }

    /// Whether keys can be agreed on in it.
    var hasTranscript: Bool { transcript.indices.contains { transcript[$0] != 0 } }

    /// How many authentic messages have come on it.
    var arrived: UInt64 { wireGuard.arrivals.datagrams &+ aes.arrivals.datagrams }

    /// The lane that data goes on: that for AES-256-GCM as soon as the peer has said that it is there.
    var forData: Lane {
        @inline(__always) _read { if aes.isOpen { yield aes } else { yield wireGuard } }
        @inline(__always) _modify { if aes.isOpen { yield &aes } else { yield &wireGuard } }
    }

    /// The lane of a suite.
    subscript(suite: CipherSuite) -> Lane {
        @inline(__always) _read { if suite == .aes256gcm { yield aes } else { yield wireGuard } }
        @inline(__always) _modify { if suite == .aes256gcm { yield &aes } else { yield &wireGuard } }
    }

    /// Whether the peer wants to be told what has arrived on a lane, and that is due.
    @inline(__always) func isReportDue(on suite: CipherSuite, at now: Instant, isDense: Bool) -> Bool {
        guard hello.records.contains(.report) else { return false }
        // Not through the subscript: to read through that allocates.
        return suite == .aes256gcm
            ? aes.arrivals.isReportDue(at: now, isDense: isDense)
            : wireGuard.arrivals.isReportDue(at: now, isDense: isDense)
    }

    /// The report that the peer is to get now of a lane.
    mutating func report(on suite: CipherSuite, at now: Instant, offset: UInt64) -> ReportRecord {
        suite == .aes256gcm ? aes.report(at: now, offset: offset) : wireGuard.report(at: now, offset: offset)
    }

    /// The same in the words of repair, for a peer that takes those.
    mutating func receipt(on suite: CipherSuite, at now: Instant, offset: UInt64) -> ReceiptRecord {
        let report = report(on: suite, at: now, offset: offset)
        return ReceiptRecord(
            isAES: report.isAES, highest: report.highest, datagrams: report.datagrams, bytes: report.bytes,
            clock: UInt32(truncatingIfNeeded: report.clock), age: 0, missing: CounterRanges(below: report.highest))
    }

    /// The receiver index of the lane that data goes on.
    var dataIndex: ReceiverIndex? { aes.isOpen ? aes.remoteIndex : wireGuard.remoteIndex }
    /// The counter of the next message there.
    var nextCounter: UInt64 { aes.isOpen ? aes.sendCounter : wireGuard.sendCounter }

    /// Whether messages may still be sent on it.
    @inline(__always) func canSend(at now: Instant) -> Bool {
        (aes.isOpen ? aes.canSend : wireGuard.canSend) && now - createdAt < Limits.rejectAfterTime
    }

    /// Whether messages may still be accepted on it; the counter is checked by the window.
    @inline(__always) func canReceive(at now: Instant) -> Bool { now - createdAt < Limits.rejectAfterTime }

    /// Whether so many messages were sent that it is time for a new one.
    @inline(__always) var isUsedUp: Bool { wireGuard.isUsedUp || aes.isUsedUp }
}

/// Sessions in locked memory that core dumps leave out, in chunks that are wiped slot by slot. It grows by a chunk when
/// it is full and keeps what it has.
@safe
struct SessionSlab: ~Copyable {
    private static let chunkCount = 32

    private var chunks: [UnsafeMutablePointer<Session>] = unsafe []
    private var free: [Int32] = []

    init() {}

    deinit {
        for index in unsafe chunks.indices { unsafe sodium_free(chunks[index]) }
    }

    /// How many sessions are alive.
    var count: Int { (unsafe chunks.count) * Self.chunkCount - free.count }

    subscript(slot: SessionSlot) -> Session {
        unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
        unsafeMutableAddress { unsafe pointer(to: slot) }
    }

    /// Puts `session` into a free slot, which is its index from now on; its keys are begun there.
    mutating func insert(_ session: consuming Session) -> SessionSlot {
        if free.isEmpty { grow() }
        let slot = SessionSlot(free.removeLast())
        unsafe pointer(to: slot).initialize(to: session)
        return slot
    }

    /// Wipes a session and frees its slot.
    mutating func remove(_ slot: SessionSlot) {
        unsafe pointer(to: slot).pointee.end()
        let bytes = unsafe MutableSpan<UInt8>(
            _unsafeStart: UnsafeMutableRawPointer(pointer(to: slot)).assumingMemoryBound(to: UInt8.self),
            count: MemoryLayout<Session>.stride)
        var span = bytes
        wipe(&span)
        free.append(slot.number)
    }

    @inline(__always)
    private func pointer(to slot: SessionSlot) -> UnsafeMutablePointer<Session> {
        unsafe chunks[slot.offset / Self.chunkCount] + slot.offset % Self.chunkCount
    }

    private mutating func grow() {
        // A multiple of 64 keeps the chunk aligned: libsodium puts its end at the end of a page.
        let size = (Self.chunkCount * MemoryLayout<Session>.stride + 63) & ~63
        guard let memory = unsafe sodium_malloc(size) else { fatalError("no memory for sessions") }
        let first = unsafe Int32(chunks.count * Self.chunkCount)
        unsafe chunks.append(memory.bindMemory(to: Session.self, capacity: Self.chunkCount))
        free.append(contentsOf: (first..<first + Int32(Self.chunkCount)).reversed())
    }
}
