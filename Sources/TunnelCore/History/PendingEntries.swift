/// Units that were sent and are to become entries of a dictionary when the peer says so: copies of their bytes. Its memory is given back by
/// `free`.
@safe
struct PendingEntries {
    private struct Item {
        let number: UInt8
        var offset: Int
        let length: Int
        let sentAt: Instant
    }

    /// The memory that one takes.
    static let memory = space + most * MemoryLayout<Item>.stride

    private static let space = DictionaryLog.mostOutstanding
    private static let most = LearnedRecord.most
    /// After so long nobody waits for the word of one, if there is no room.
    private static let patience = Interval.seconds(4)

    private let bytes: UnsafeMutableRawPointer
    private let items: UnsafeMutablePointer<Item>
    private(set) var count = 0

    init() {
        unsafe bytes = .allocate(byteCount: Self.space, alignment: 64)
        unsafe items = .allocate(capacity: Self.most)
    }

    func free() {
        unsafe bytes.deallocate()
        unsafe items.deallocate()
    }

    mutating func removeAll() { count = 0 }

    /// Keeps a copy of a unit; false if there is no room.
    mutating func append(_ unit: RawSpan, number: UInt8, at now: Instant) -> Bool {
        let length = unit.byteCount
        // Numbers come again.
        while count > 0, unsafe now - items[0].sentAt >= Self.patience || number &- items[0].number > 127 { remove(0) }
        guard count < Self.most, length <= Self.space else { return false }
        var end = unsafe count > 0 ? items[count - 1].offset + items[count - 1].length : 0
        if end + length > Self.space {
            end = pack()
            guard end + length <= Self.space else { return false }
        }
        unsafe unit.withUnsafeBytes { source in
            if let from = source.baseAddress { unsafe (bytes + end).copyMemory(from: from, byteCount: length) }
        }
        unsafe (items + count).initialize(to: Item(number: number, offset: end, length: length, sentAt: now))
        count += 1
        return true
    }

    /// Moves all to the start; where they end.
    private func pack() -> Int {
        var end = 0
        for index in 0..<count {
            let length = unsafe items[index].length
            unsafe (bytes + end).copyMemory(from: bytes + items[index].offset, byteCount: length)
            unsafe items[index].offset = end
            end += length
        }
        return end
    }

    /// The place of one; `nil`: it is not there, or not any more.
    func find(_ number: UInt8) -> Int? { (0..<count).first { unsafe items[$0].number == number } }

    /// Its bytes, good until another is added.
    @unsafe
    func content(of index: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: bytes + items[index].offset, count: items[index].length)
    }

    mutating func remove(_ index: Int) {
        for place in index..<count - 1 { unsafe items[place] = items[place + 1] }
        count -= 1
    }

    /// Forgets the one that was added last.
    mutating func removeLast() { count = max(count - 1, 0) }
}
