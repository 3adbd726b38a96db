import CZlib
import CZstd

/// The dictionaries that our units refer to: what their peers have said they have decoded. In memory with a bound.
///
/// A dictionary is known to its peer by its place here, and a life of it by an epoch. Nothing waits: a unit refers to what is known to have
/// been decoded by then, or to nothing.
@safe
struct OutboundDictionaries: ~Copyable {
    /// A dictionary, and what it brings.
    struct Entry {
        let peer: PeerSlot
        fileprivate(set) var epoch: UInt8
        fileprivate(set) var log = DictionaryLog()
        fileprivate(set) var pending = PendingEntries()
        /// Of the next unit.
        fileprivate(set) var number: UInt8 = 0
        /// The last unit is among those that are pending.
        fileprivate var hasAdded = false
        /// It is not used before then.
        fileprivate(set) var restsUntil = Instant.distantPast
        fileprivate var brokenAt = Instant.distantPast
        fileprivate var breaks = 0
        fileprivate let openedAt: Instant
        fileprivate(set) var usedAt: Instant
        /// Units lately, the bytes on the wire that they would have taken without, and those that they took.
        fileprivate(set) var units = 0
        fileprivate(set) var without = 0
        fileprivate(set) var with = 0
        /// Bytes that it brought before that.
        fileprivate var gain = 0
        /// Units that took more than without, at the beginning.
        fileprivate var spent = 0
    }

    static let capacity = 256
    /// The memory that one takes.
    static let memory = DictionaryLog.memory + PendingEntries.memory
    /// One that nothing goes through for so long gives its memory back.
    static let idle = Interval.seconds(30)
    /// One that nothing goes through for so long, or that has been there for so long and brings least, has to, if another is to be made.
    private static let quiet = Interval.seconds(3)
    private static let shortestRest = Interval.milliseconds(250)
    private static let longestRest = Interval.seconds(8)
    /// What it has to leave at most of what goes without, after so many units, and how long it rests if it does not.
    private static let trial = 32
    private static let leastGain = 0.97
    private static let rest = Interval.seconds(120)
    /// What is spent at most, in units and in bytes of each, before it brings anything.
    private static let mostSpent = 8
    private static let mostMore = 48
    /// One that is full takes a unit of which more than half is new to it, and one of so many others.
    private static let sample = 8
    /// The highest level of compression.
    static let level: Int32 = 9
    /// That of deflate where there is less time.
    private static let fastDeflate: Int32 = 5
    /// What a LEARNED takes on the wire.
    private static func wireSize(ofAlone word: LearnedRecord) -> Int {
        Transport.wireSize((word.size + Limits.padding - 1) / Limits.padding * Limits.padding)
    }

    /// The name of what each is for, which tells the peer too.
    private var names = ContiguousArray<UInt64>()
    private var entries = ContiguousArray<Entry?>()
    private var epochs = ContiguousArray<UInt8>()
    private let seed: UInt8
    /// Encoders of both codings.
    private var encoder: UnsafeMutableRawPointer?
    private var deflater: UnsafeMutableRawPointer?
    /// The bytes that all may take, and take.
    var most = 8 << 20
    private(set) var used = 0
    private(set) var count = 0
    /// When `expire` wants to be called.
    private(set) var expiresAt = Instant.distantFuture

    /// `seed`: where epochs begin, so that those of another process are not taken for ours.
    init(seed: UInt64) { self.seed = UInt8(truncatingIfNeeded: seed >> 40) }

    deinit {
        for place in entries.indices {
            entries[place]?.log.free()
            entries[place]?.pending.free()
        }
        unsafe czstd_dictionary_compressor_free(encoder)
        unsafe czlib_deflater_free(deflater)
    }

    subscript(place: Int) -> Entry? { place < entries.count ? entries[place] : nil }

    /// The level for a link with a rate, in bits a second; `nil`: there it does not pay.
    static func level(at rate: UInt64) -> Int32? {
        switch rate {
        case ...5_000_000: 9
        case ...25_000_000: 3
        case ...100_000_000: 1
        default: nil
        }
    }

    /// The dictionary for what has this name.
    func find(_ name: UInt64) -> Int? {
        guard count > 0, let place = names.firstIndex(of: name), entries[place] != nil else { return nil }
        return place
    }

    /// Whether it is of use now.
    func isUsable(_ place: Int, at now: Instant) -> Bool {
        guard let until = entries[place]?.restsUntil else { return false }
        return now >= until
    }

    // MARK: Life

    /// Makes a dictionary, if there is room for it.
    mutating func begin(_ name: UInt64, to peer: PeerSlot, at now: Instant) -> Int? {
        if unsafe encoder == nil { unsafe encoder = czstd_dictionary_compressor(Self.level) }
        if unsafe deflater == nil { unsafe deflater = czlib_deflater() }
        guard unsafe encoder != nil, unsafe deflater != nil, let place = makeRoom(at: now) else { return nil }
        epochs[place] &+= 1
        names[place] = name
        entries[place] = Entry(peer: peer, epoch: epochs[place], openedAt: now, usedAt: now)
        used += Self.memory
        count += 1
        expiresAt = min(expiresAt, now + Self.idle)
        return place
    }

    /// A free place, with so much memory left; those that are quiet make way, then the one that brings least.
    private mutating func makeRoom(at now: Instant) -> Int? {
        guard Self.memory <= most else { return nil }
        if used + Self.memory <= most {
            if let free = entries.firstIndex(where: { $0 == nil }) { return free }
            if entries.count < Self.capacity {
                entries.append(nil)
                names.append(0)
                epochs.append(seed)
                return entries.count - 1
            }
        }
        var quietest: (place: Int, usedAt: Instant)?
        var poorest: (place: Int, gain: Int)?
        for place in entries.indices {
            guard let usedAt = entries[place]?.usedAt, let openedAt = entries[place]?.openedAt else { continue }
            if now - usedAt >= Self.quiet {
                if quietest.map({ usedAt < $0.usedAt }) ?? true { quietest = (place, usedAt) }
            } else if now - openedAt >= Self.quiet {
                let gain = entries[place]?.gain ?? 0
                if poorest.map({ gain < $0.gain }) ?? true { poorest = (place, gain) }
            }
        }
        guard let place = quietest?.place ?? poorest?.place else { return nil }
        remove(place)
        return used + Self.memory <= most ? place : nil
    }

    private mutating func remove(_ place: Int) {
        guard let entry = entries[place] else { return }
        entry.log.free()
        entry.pending.free()
        entries[place] = nil
        used -= Self.memory
        count -= 1
    }

    /// Forgets the dictionaries for a peer.
    mutating func removeAll(to peer: PeerSlot) {
        guard count > 0 else { return }
        for place in entries.indices where entries[place]?.peer == peer { remove(place) }
    }

    /// Forgets those that nothing went through for long.
    mutating func expire(at now: Instant) {
        expiresAt = .distantFuture
        for place in entries.indices {
            guard let usedAt = entries[place]?.usedAt else { continue }
            if now - usedAt >= Self.idle {
                remove(place)
            } else {
                expiresAt = min(expiresAt, usedAt + Self.idle)
            }
        }
    }

    /// Begins anew, after a while that is longer each time.
    private mutating func breakOff(_ place: Int, at now: Instant) {
        guard let entry = entries[place] else { return }
        let breaks = now - entry.brokenAt > Self.longestRest ? 0 : entry.breaks
        entries[place]?.breaks = min(breaks + 1, 8)
        entries[place]?.brokenAt = now
        entries[place]?.restsUntil = now + min(Self.shortestRest * (1 << Int64(breaks)), Self.longestRest)
        epochs[place] &+= 1
        restart(place)
    }

    private mutating func restart(_ place: Int) {
        entries[place]?.epoch = epochs[place]
        entries[place]?.log.removeAll()
        entries[place]?.pending.removeAll()
        entries[place]?.spent = 0
    }

    // MARK: What peers say

    /// Takes the peer's word of what it has, which came in a datagram of its own or with others; true if we could not go on with it.
    mutating func take(_ word: LearnedRecord, isAlone: Bool, from peer: PeerSlot, at now: Instant) -> Bool {
        let place = Int(word.dictionary)
        guard place < entries.count, let entry = entries[place], entry.peer == peer else { return false }
        // While it fills, what is said of it is for what comes later.
        if isAlone, entry.log.end >= DictionaryLog.reach { entries[place]?.with += Self.wireSize(ofAlone: word) }
        guard entry.epoch == word.epoch else {
            // What it has is of another process of ours, and ours seems no later to it.
            if word.word == .entries, entry.log.count == 0, entry.epoch &- word.epoch > 127 {
                epochs[place] = word.epoch &+ 1
                restart(place)
            }
            return false
        }
        let fresh = Int(word.count &- UInt8(truncatingIfNeeded: entry.log.count))
        // A word that others have overtaken.
        guard word.word == .none || (1..<128).contains(fresh) else { return false }
        guard word.word == .entries, fresh <= word.listed, learn(word, last: fresh, in: place) else {
            breakOff(place, at: now)
            return true
        }
        return false
    }

    /// Adds the last entries of those that the peer names; false if one is not known any more, or never was.
    private mutating func learn(_ word: LearnedRecord, last count: Int, in place: Int) -> Bool {
        for index in word.listed - count..<word.listed {
            guard let pending = entries[place]?.pending, let item = pending.find(word[index]) else { return false }
            // They stay where they are until another is added.
            let content = unsafe _overrideLifetime(RawSpan(_unsafeBytes: pending.content(of: item)), copying: ())
            entries[place]?.log.append(content)
            entries[place]?.pending.remove(item)
        }
        return true
    }

    // MARK: Units

    /// Codes a unit into `space`, behind the record's head, which is written too; the record's size, 0 if that did not go. It is to be sent,
    /// or `takeBack` to be called.
    mutating func encode(
        _ plain: RawSpan, _ layout: UnitRecord.Layout, as recall: Recall, into space: inout MutableRawSpan
    ) -> Int {
        let (place, now) = (recall.dictionary, recall.at)
        guard let encoder = unsafe encoder, let deflater = unsafe deflater, let entry = entries[place],
            space.byteCount > RecallRecord.headerSize
        else { return 0 }
        let head = Record.headerSize + RecallRecord.fieldsSize(isDeflated: recall.isBrief)
        var content = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        let refers = entry.log.count > 0
        if refers {
            guard let found = unsafe entry.log.content(of: entry.log.count) else { return 0 }
            unsafe content = unsafe found
        }
        let level = min(recall.level, Self.level)
        let coded = unsafe space.withUnsafeMutableBytes { out in
            unsafe plain.withUnsafeBytes { plain in
                let start = unsafe out.baseAddress.map { unsafe $0 + head }
                let room = out.count - head
                guard recall.isBrief else {
                    return unsafe czstd_dictionary_compress(
                        encoder, level, start, room, plain.baseAddress, plain.count, content.baseAddress, content.count)
                }
                return unsafe czlib_deflate_behind(
                    deflater, level > 3 ? level : Self.fastDeflate, start, room, plain.baseAddress, plain.count,
                    content.baseAddress, content.count)
            }
        }
        guard coded > 0 else { return 0 }
        let isNews =
            entry.log.end < DictionaryLog.reach || coded * 2 > plain.byteCount || entry.units % Self.sample == 0
        let isToLearn =
            isNews && plain.byteCount <= DictionaryLog.largestEntry
            && entries[place]?.pending.append(plain, number: entry.number, at: now) == true
        entries[place]?.hasAdded = isToLearn
        if isToLearn { entries[place]?.number &+= 1 }
        entries[place]?.usedAt = now
        let header = RecallRecord(
            layout: layout, isToLearn: isToLearn, refers: refers, isDeflated: recall.isBrief,
            dictionary: UInt8(truncatingIfNeeded: place),
            epoch: entry.epoch, base: UInt8(truncatingIfNeeded: entry.log.count), number: entry.number,
            decoded: plain.byteCount, check: UnitCheck.of(plain))
        return header.writeHeader(coded: coded, to: &space)
    }

    /// Whether the unit that was coded last is to be sent in so many bytes on the wire, where it would take `without` otherwise. At first a
    /// little is spent, for what comes later.
    mutating func accept(_ place: Int, wire: Int, without: Int, at now: Instant) -> Bool {
        guard let entry = entries[place] else { return false }
        let isSpent =
            wire >= without && entry.hasAdded && entry.spent < Self.mostSpent && wire <= without + Self.mostMore
        let isAccepted = wire < without || isSpent
        if isSpent { entries[place]?.spent += 1 }
        entries[place]?.units += 1
        entries[place]?.without += without
        entries[place]?.with += isAccepted ? wire : without
        if entry.units + 1 >= Self.trial {
            let (with, without) = (entry.with + (isAccepted ? wire : without), entry.without + without)
            let isWorthIt = Double(with) < Double(without) * Self.leastGain
            entries[place]?.units = 0
            entries[place]?.gain = without - with
            entries[place]?.without = 0
            entries[place]?.with = 0
            if !isWorthIt { entries[place]?.restsUntil = now + Self.rest }
        }
        return isAccepted
    }

    /// Forgets the unit that was coded last, which does not leave.
    mutating func takeBack(_ place: Int) {
        guard entries[place]?.hasAdded == true else { return }
        entries[place]?.hasAdded = false
        entries[place]?.pending.removeLast()
    }
}
