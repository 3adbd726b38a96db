/// Our receiver indices, and what each stands for: a session, or an initiation that waits for its response.
///
/// Open addressing with linear probing at half load at most. Indices are random, so they are their own hash, and
/// nobody outside can choose them.
struct IndexTable {
    enum Target: Equatable {
        /// The slot of a session, on WireGuard's lane.
        case session(Int32)
        /// The slot of a session, on its lane for AES-256-GCM.
        case aes(Int32)
        /// The slot of the peer that an initiation went to.
        case handshake(Int32)
        /// An initiation came and its session is being made.
        case reserved
    }

    private struct Entry {
        /// 0: empty.
        var index: SessionIndex
        var kind: Int8
        var slot: Int32
    }

    private var entries: ContiguousArray<Entry>
    private(set) var count = 0

    init() {
        entries = ContiguousArray(repeating: Entry(index: 0, kind: 0, slot: 0), count: 64)
    }

    @inline(__always)
    subscript(index: SessionIndex) -> Target? {
        let entry = entries[position(of: index)]
        guard entry.index != 0 else { return nil }
        switch entry.kind {
        case 0: return .session(entry.slot)
        case 1: return .handshake(entry.slot)
        case 3: return .aes(entry.slot)
        default: return .reserved
        }
    }

    /// An unpredictable index that was not in use, and now stands for `target`.
    mutating func insert(_ target: Target, _ randomness: inout Randomness) -> SessionIndex {
        if (count + 1) * 2 > entries.count { grow() }
        while true {
            let index = randomness.number()
            guard index != 0, self[index] == nil else { continue }
            put(target, at: index)
            count += 1
            return index
        }
    }

    /// Changes what an index in use stands for.
    mutating func update(_ index: SessionIndex, to target: Target) {
        precondition(self[index] != nil)
        put(target, at: index)
    }

    /// Frees the indices of all initiations whose session is being made: nothing will come of them.
    mutating func removeReserved() {
        for entry in entries where entry.index != 0 && self[entry.index] == .reserved { remove(entry.index) }
    }

    /// Frees an index; nothing happens if it is not in use.
    mutating func remove(_ index: SessionIndex) {
        let mask = entries.count - 1
        var hole = position(of: index)
        guard index != 0, entries[hole].index != 0 else { return }
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
    private func position(of index: SessionIndex) -> Int {
        let mask = entries.count - 1
        var position = Int(index) & mask
        while entries[position].index != index && entries[position].index != 0 { position = (position + 1) & mask }
        return position
    }

    private mutating func put(_ target: Target, at index: SessionIndex) {
        let (kind, slot): (Int8, Int32) =
            switch target {
            case .session(let slot): (0, slot)
            case .handshake(let slot): (1, slot)
            case .aes(let slot): (3, slot)
            case .reserved: (2, 0)
            }
        entries[position(of: index)] = Entry(index: index, kind: kind, slot: slot)
    }

    private mutating func grow() {
        let old = entries
        entries = ContiguousArray(repeating: Entry(index: 0, kind: 0, slot: 0), count: old.count * 2)
        for entry in old where entry.index != 0 { entries[position(of: entry.index)] = entry }
    }
}
