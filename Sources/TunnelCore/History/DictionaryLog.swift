/// The bytes of a dictionary, which both ends have: entries one behind the other, of which those are kept that a unit may refer to. Its memory
/// is given back by `free`.
@safe
struct DictionaryLog {
    /// The bytes that a unit may refer to: the last before where it begins.
    static let reach = 16 << 10
    static let largestEntry = 4 << 10
    /// Bytes of entries that one end may have before the other knows.
    static let mostOutstanding = 8 << 10
    /// The memory that one takes.
    static let memory = space + ends * 8

    private static let space = 32 << 10
    /// Bytes that are left when there is no more room: what is referred to, what is not known yet, and a little for units that come late.
    private static let kept = 27 << 10
    /// Entries of which the ends are known.
    private static let ends = 128

    private let bytes: UnsafeMutableRawPointer
    /// Entries so far.
    private(set) var count = 0
    /// Where what is kept starts and ends, of all bytes so far.
    private var start = 0
    private(set) var end = 0

    init() { unsafe bytes = .allocate(byteCount: Self.memory, alignment: 64) }

    func free() { unsafe bytes.deallocate() }

    /// Forgets all entries.
    mutating func removeAll() {
        count = 0
        start = 0
        end = 0
    }

    /// Adds an entry of `largestEntry` bytes at most.
    mutating func append(_ entry: RawSpan) {
        let length = entry.byteCount
        guard length <= Self.largestEntry else { return }
        if end - start + length > Self.space {
            let surplus = end - start - Self.kept
            unsafe bytes.copyMemory(from: bytes + surplus, byteCount: Self.kept)
            start += surplus
        }
        unsafe entry.withUnsafeBytes { source in
            if let from = source.baseAddress {
                unsafe (bytes + (end - start)).copyMemory(from: from, byteCount: length)
            }
        }
        end += length
        count += 1
        unsafe (bytes + Self.space).storeBytes(of: end, toByteOffset: count % Self.ends * 8, as: Int.self)
    }

    /// How many entries are meant by their number modulo 256, at least one; `nil`: so many that there are not yet, or too few.
    func entries(_ base: UInt8) -> Int? {
        let behind = Int(UInt8(truncatingIfNeeded: count) &- base)
        return behind < min(count, Self.ends) ? count - behind : nil
    }

    /// Where the first `entries` of them end, of all bytes so far; 0 for none.
    func end(of entries: Int) -> Int {
        guard entries > 0 else { return 0 }
        return unsafe (bytes + Self.space).load(fromByteOffset: entries % Self.ends * 8, as: Int.self)
    }

    /// The bytes that a unit which has the first `entries` may refer to; `nil` if they are gone. They are good until the next entry.
    @unsafe
    func content(of entries: Int) -> UnsafeRawBufferPointer? {
        let end = end(of: entries)
        let first = max(end - Self.reach, 0)
        guard first >= start, end <= self.end else { return nil }
        return unsafe UnsafeRawBufferPointer(start: bytes + (first - start), count: end - first)
    }
}
