import Keys

/// The peers, each in its slot as long as it is there.
@safe
struct PeerTable: ~Copyable {
    private var memory: UnsafeMutablePointer<Peer>
    private var capacity: Int
    /// How many slots there are; some may be free.
    private(set) var slotCount = 0
    private var free: [PeerSlot] = []
    private var slots: [PublicKey: PeerSlot] = [:]
    private var generation: UInt32 = 0

    init() {
        capacity = 4
        unsafe memory = .allocate(capacity: capacity)
    }

    deinit {
        unsafe memory.deinitialize(count: slotCount)
        unsafe memory.deallocate()
    }

    /// How many peers there are.
    var count: Int { slots.count }
    /// The slots of all peers, in no order.
    var all: Dictionary<PublicKey, PeerSlot>.Values { slots.values }
    var keys: Dictionary<PublicKey, PeerSlot>.Keys { slots.keys }
    /// The slot of the peer that is the only one.
    var only: PeerSlot? { count == 1 ? slots.values.first : nil }

    subscript(slot: PeerSlot) -> Peer {
        @inline(__always) unsafeAddress {
            precondition(slot.offset < slotCount)
            return unsafe UnsafePointer(memory + slot.offset)
        }
        @inline(__always) unsafeMutableAddress {
            precondition(slot.offset < slotCount)
            return unsafe memory + slot.offset
        }
    }

    func slot(of key: PublicKey) -> PeerSlot? { slots[key] }

    /// The slot of a peer that is still there.
    func slot(of id: PeerID) -> PeerSlot? {
        guard id.slot.offset < slotCount, self[id.slot].isAlive, self[id.slot].id == id else { return nil }
        return id.slot
    }

    /// Adds a peer whose key is not there yet; its slot.
    mutating func insert(_ key: PublicKey, _ configuration: PeerConfiguration) -> PeerSlot {
        generation &+= 1
        if let slot = free.popLast() {
            self[slot] = Peer(PeerID(slot: slot, generation: generation), publicKey: key, configuration)
            slots[key] = slot
            return slot
        }
        if slotCount == capacity { grow() }
        let slot = PeerSlot(slotCount)
        unsafe (memory + slotCount).initialize(
            to: Peer(PeerID(slot: slot, generation: generation), publicKey: key, configuration))
        slotCount += 1
        slots[key] = slot
        return slot
    }

    /// Forgets the key of a peer, which stays in its slot until another one gets it.
    mutating func remove(_ key: PublicKey) {
        if let slot = slots.removeValue(forKey: key) { free.append(slot) }
    }

    /// Has a peer found by another key.
    mutating func rename(_ key: PublicKey, to new: PublicKey) {
        if let slot = slots.removeValue(forKey: key) { slots[new] = slot }
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Peer>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: memory, count: slotCount)
        unsafe memory.deallocate()
        unsafe memory = larger
        capacity *= 2
    }
}
