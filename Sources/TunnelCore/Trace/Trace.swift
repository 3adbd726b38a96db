/// What becomes of packets, for somebody who watches: written on their way by the thread that owns the tunnel, into memory that is
/// there before, and taken from there by the same thread for others.
///
/// While nobody watches, `isOn` is all that is looked at.
struct Trace: ~Copyable {
    /// Who watches must come for what there is at least this often.
    static let patience = Interval.seconds(5)

    private(set) var isOn = false
    private(set) var number: UInt64 = 0
    var wish = TraceWish()
    /// Why the packet at hand is not compressed.
    var skip: CompressionSkip?
    private var batch = TraceBatch(records: 0)
    /// One of so many is chosen, and so many are still passed over.
    private var every = 1
    private var pass = 0
    private var takenAt = Instant.distantPast

    /// Begins; the number to take and to end it with. `nil` if somebody watches already.
    mutating func begin(_ wish: TraceWish, into batch: TraceBatch, at now: Instant) -> UInt64? {
        expire(at: now)
        guard !isOn else { return nil }
        self.wish = wish
        self.wish.isAny = wish.takesAny
        self.batch = batch
        number += 1
        isOn = true
        (every, pass, skip) = (1, 0, nil)
        takenAt = now
        return number
    }

    /// Ends it if it is the one with this number; what was not taken is forgotten.
    mutating func end(_ number: UInt64) {
        guard isOn, self.number == number else { return }
        stop()
    }

    private mutating func stop() {
        isOn = false
        batch = TraceBatch(records: 0)
    }

    /// What was written since it was taken last, for another batch that is empty; `nil` if it has ended.
    mutating func take(_ number: UInt64, for fresh: TraceBatch, at now: Instant) -> TraceBatch? {
        guard isOn, self.number == number else { return nil }
        var taken = fresh
        swap(&taken, &batch)
        taken.every = UInt64(every)
        if wish.samples {
            every = max(Int(clamping: taken.seen) / max(batch.mostRecords / 2, 1), 1)
            pass = 0
        }
        takenAt = now
        return taken
    }

    /// Ends it when nobody has come for long.
    mutating func expire(at now: Instant) {
        if isOn, now - takenAt > Self.patience { stop() }
    }

    /// Passes over one of many that all are wanted, before anything is made of it; false if it is to be looked at.
    @inline(__always)
    mutating func passesOver() -> Bool {
        guard pass > 0, wish.isAny else { return false }
        pass -= 1
        batch.seen &+= 1
        skip = nil
        return true
    }

    /// Writes a record down, if it is wanted and its turn.
    mutating func note(_ record: TraceRecord) {
        guard choose(record) else { return }
        batch.records.append(record)
    }

    /// Writes a record and the packet's bytes down, or the first of `original`; its place.
    mutating func note(_ record: TraceRecord, _ bytes: RawSpan, of original: Int? = nil) -> Int? {
        guard choose(record) else { return nil }
        let count = min(bytes.byteCount, wish.bytes)
        guard batch.bytes.count + count <= batch.mostBytes else {
            batch.left &+= 1
            return nil
        }
        var record = record
        record.offset = Int32(batch.bytes.count)
        record.captured = Int32(count)
        record.original = Int32(original ?? bytes.byteCount)
        unsafe bytes.extracting(0..<count).withUnsafeBytes { unsafe batch.bytes.append(contentsOf: $0) }
        batch.records.append(record)
        return batch.records.count - 1
    }

    /// What was written down in a place went no further.
    mutating func noteDrop(_ reason: DropReason, in place: Int) {
        guard place < batch.records.count else { return }
        batch.records[place].drop = reason
    }

    private mutating func choose(_ record: TraceRecord) -> Bool {
        guard wish.admits(record) else { return false }
        batch.seen &+= 1
        // Drops are few, and what is looked for: there is always some room for them.
        guard record.drop == nil else { return makeRoom(batch.mostRecords) }
        guard pass == 0 else {
            pass -= 1
            return false
        }
        pass = every - 1
        return makeRoom(wish.samples ? batch.mostRecords * 3 / 4 : batch.mostRecords)
    }

    private mutating func makeRoom(_ most: Int) -> Bool {
        guard batch.records.count >= most else { return true }
        batch.left &+= 1
        return false
    }
}
