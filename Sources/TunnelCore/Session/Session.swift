import CSodium
import Keys

/// One session with a peer: two keys, two counters, and what the peer said on it that it can receive.
///
/// Sessions live in a `SessionSlab`, by index, and are never copied out of it.
struct Session {
    let sendingKey: Bytes32
    let receivingKey: Bytes32
    /// The counter of the next message.
    var sendCounter: UInt64 = 0
    var window = ReplayWindow()

    let peer: Int32
    let localIndex: SessionIndex
    let remoteIndex: SessionIndex
    let isInitiator: Bool
    let createdAt: Instant

    var hello = HelloExchange()

    init(_ keys: SessionKeys, peer: Int32, local: SessionIndex, remote: SessionIndex, isInitiator: Bool, at now: Instant) {
        sendingKey = Bytes32(copying: keys.sending.bytes)
        receivingKey = Bytes32(copying: keys.receiving.bytes)
        self.peer = peer
        localIndex = local
        remoteIndex = remote
        self.isInitiator = isInitiator
        createdAt = now
    }

    /// Whether messages may still be sent on it.
    @inline(__always) func canSend(at now: Instant) -> Bool {
        sendCounter < Limits.rejectAfterMessages && now - createdAt < Limits.rejectAfterTime
    }

    /// Whether messages may still be accepted on it; the counter is checked by the window.
    @inline(__always) func canReceive(at now: Instant) -> Bool { now - createdAt < Limits.rejectAfterTime }
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

    subscript(slot: Int32) -> Session {
        unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
        unsafeMutableAddress { unsafe pointer(to: slot) }
    }

    /// Puts `session` into a free slot, which is its index from now on.
    mutating func insert(_ session: consuming Session) -> Int32 {
        if free.isEmpty { grow() }
        let slot = free.removeLast()
        unsafe pointer(to: slot).initialize(to: session)
        return slot
    }

    /// Wipes a session and frees its slot.
    mutating func remove(_ slot: Int32) {
        let bytes = unsafe MutableSpan<UInt8>(
            _unsafeStart: UnsafeMutableRawPointer(pointer(to: slot)).assumingMemoryBound(to: UInt8.self),
            count: MemoryLayout<Session>.stride)
        var span = bytes
        wipe(&span)
        free.append(slot)
    }

    @inline(__always)
    private func pointer(to slot: Int32) -> UnsafeMutablePointer<Session> {
        unsafe chunks[Int(slot) / Self.chunkCount] + Int(slot) % Self.chunkCount
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
