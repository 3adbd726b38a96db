/// Our receiver indices, and what each stands for: a session, or an initiation that waits for its response.
///
/// Open addressing with linear probing at half load at most. Indices are random, so they are their own hash, and
/// nobody outside can choose them.
struct IndexTable {
    enum Target: Equatable {
        case lane(LaneSlot)
        /// The peer that an initiation went to.
        case handshake(PeerSlot)
        /// An initiation came and its session is being made.
        case reserved
    }

    private enum Kind: Int8 {
        case wireGuard, aes, handshake, reserved
    }

    private struct Entry {
        /// 0: empty.
        var index: UInt32 = 0
        var kind = Kind.reserved
        var slot: Int32 = 0
    }

    private var entries: ContiguousArray<Entry>
    private(set) var count = 0

    init() {
        entries = ContiguousArray(repeating: Entry(), count: 64)
    }

    @inline(__always)
    subscript(index: ReceiverIndex) -> Target? {
        let entry = entries[position(of: index.rawValue)]
        guard entry.index != 0 else { return nil }
        return switch entry.kind {
        case .wireGuard: .lane(LaneSlot(session: SessionSlot(entry.slot), suite: .chacha20poly1305))
        case .aes: .lane(LaneSlot(session: SessionSlot(entry.slot), suite: .aes256gcm))
        case .handshake: .handshake(PeerSlot(entry.slot))
        case .reserved: .reserved
        }
    }

    /// An unpredictable index that was not in use, and now stands for `target`.
    mutating func insert(_ target: Target, _ randomness: inout Randomness) -> ReceiverIndex {
        if (count + 1) * 2 > entries.count { grow() }
        while true {
            let index = ReceiverIndex(rawValue: randomness.number())
            guard index.rawValue != 0, self[index] == nil else { continue }
            put(target, at: index)
            count += 1
            return index
        }
    }

    /// Has an index that somebody knows already stand for `target`; false if it is in use, or none.
    mutating func claim(_ index: ReceiverIndex, for target: Target) -> Bool {
        guard index.rawValue != 0, self[index] == nil else { return false }
        if (count + 1) * 2 > entries.count { grow() }
        put(target, at: index)
        count += 1
        return true
    }

    /// Changes what an index in use stands for.
    mutating func update(_ index: ReceiverIndex, to target: Target) {
        precondition(self[index] != nil)
        put(target, at: index)
    }

    /// Frees the indices of all initiations whose session is being made: nothing will come of them.
    mutating func removeReserved() {
        for entry in entries where entry.index != 0 && entry.kind == .reserved {
            remove(ReceiverIndex(rawValue: entry.index))
        }
    }

    /// Frees an index; nothing happens if it is not in use.
    mutating func remove(_ index: ReceiverIndex) {
        let mask = entries.count - 1
        var hole = position(of: index.rawValue)
        guard entries[hole].index != 0 else { return }
        count -= 1
        // Entries behind the hole move into it unless that would put them before their home.
        var next = hole
        while true {
            next = (next + 1) & mask
            guard entries[next].index != 0 else { break }
            let home = Int(entries[next].index) & mask
            if (next - home) & mask >= (next - hole) & mask {
                entries[hole] = entries[next]
                hole = next
            }
        }
        entries[hole].index = 0
    }

    /// Where `index` is, or the empty place where it would be.
    @inline(__always)
    private func position(of index: UInt32) -> Int {
        let mask = entries.count - 1
        var position = Int(index) & mask
        while entries[position].index != index && entries[position].index != 0 { position = (position + 1) & mask }
        return position
    }

    private mutating func put(_ target: Target, at index: ReceiverIndex) {
        let (kind, slot): (Kind, Int32) =
            switch target {
            case .lane(let lane): (lane.suite == .aes256gcm ? .aes : .wireGuard, lane.session.number)
            case .handshake(let slot): (.handshake, slot.number)
            case .reserved: (.reserved, 0)
            }
        entries[position(of: index.rawValue)] = Entry(index: index.rawValue, kind: kind, slot: slot)
    }

    private mutating func grow() {
        let old = entries
        entries = ContiguousArray(repeating: Entry(), count: old.count * 2)
        for entry in old where entry.index != 0 { entries[position(of: entry.index)] = entry }
    }
}
