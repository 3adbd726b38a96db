import CZlib
import CZstd

/// The dictionaries that units of peers refer to, in memory with a bound. None is there that was not asked for.
@safe
struct InboundDictionaries: ~Copyable {
    /// A dictionary, and what its peer knows of it.
    struct Entry {
        fileprivate(set) var epoch: UInt8
        fileprivate(set) var log = DictionaryLog()
        /// Entries that the peer has shown that it knows of, and those that it was told of.
        fileprivate(set) var known = 0
        fileprivate var told = 0
        fileprivate var toldAt = Instant.distantPast
        /// When it is to be told of others.
        fileprivate var dueAt = Instant.distantFuture
        fileprivate var usedAt: Instant
        /// Numbers of the last entries.
        fileprivate var numbers = InlineArray<32, UInt8>(repeating: 0)
    }

    /// The dictionary of a unit.
    enum Place {
        /// It refers to nothing, and nothing is to be kept of it.
        case none
        case at(Int)
        /// It refers to what there is not.
        case gone
    }

    private struct Missing {
        let peer: PeerSlot
        let number: UInt8
        let epoch: UInt8
        var isTold = false
        var at: Instant
    }

    static let capacity = 512
    /// Longer than the sender's, which gives up first.
    static let idle = Interval.seconds(40)
    /// What it shows not to know yet is said again.
    private static let again = Interval.milliseconds(500)
    private static let mostMissing = 32
    private static let tellingInterval = Interval.milliseconds(50)

    /// Which each is, by peer and number: one word, so that it is found fast.
    private var names = ContiguousArray<UInt64>()
    private var entries = ContiguousArray<Entry?>()
    private var missing = ContiguousArray<Missing>()
    /// Decoders of both codings.
    private var decoder: UnsafeMutableRawPointer?
    private var inflater: UnsafeMutableRawPointer?
    /// The bytes that all may take, and take.
    var most = 8 << 20
    private(set) var used = 0
    private(set) var count = 0
    /// When a peer is to be told something, and when `expire` wants to be called.
    private(set) var tellsAt = Instant.distantFuture
    private(set) var expiresAt = Instant.distantFuture

    init() {}

    deinit {
        for place in entries.indices { entries[place]?.log.free() }
        unsafe czstd_dictionary_decompressor_free(decoder)
        unsafe czlib_inflater_free(inflater)
    }

    subscript(place: Int) -> Entry? { place < entries.count ? entries[place] : nil }

    private static func name(_ number: UInt8, _ peer: PeerSlot) -> UInt64 { UInt64(peer.offset) << 8 | UInt64(number) }

    /// The dictionary that a peer knows by this number.
    func find(_ number: UInt8, of peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        let name = Self.name(number, peer)
        return names.firstIndex(of: name)
    }

    // MARK: Units

    /// The dictionary of a unit, which is made if it is the first that something is to be kept of.
    mutating func place(of unit: RecallRecord, of peer: PeerSlot, at now: Instant) -> Place {
        guard let place = find(unit.dictionary, of: peer), let entry = entries[place] else {
            guard !unit.refers else {
                note(missing: unit.dictionary, unit.epoch, of: peer, at: now)
                return .gone
            }
            guard unit.isToLearn, let place = open(unit.dictionary, epoch: unit.epoch, of: peer, at: now) else {
                return .none
            }
            return .at(place)
        }
        guard entry.epoch == unit.epoch else {
            // What is left of an epoch before is never taken for this; an end that began anew has to be told which it is.
            let isLater = Int8(bitPattern: unit.epoch &- entry.epoch) > 0
            guard !unit.refers else {
                if isLater { note(missing: unit.dictionary, unit.epoch, of: peer, at: now) }
                return .gone
            }
            guard unit.isToLearn else { return .none }
            guard isLater else {
                if now - entry.toldAt >= Self.tellingInterval { tell(place, at: now) }
                return .none
            }
            restart(place, epoch: unit.epoch)
            return .at(place)
        }
        guard unit.refers else { return unit.isToLearn ? .at(place) : .none }
        guard let entries = entry.log.entries(unit.base), unsafe entry.log.content(of: entries) != nil else {
            note(missing: unit.dictionary, unit.epoch, of: peer, at: now)
            return .gone
        }
        if entries > entry.known { self.entries[place]?.known = entries }
        return .at(place)
    }

    /// Decodes a unit into the first bytes of `space`, which has one more than the unit; how many these are, or `nil` if it is not what it says
    /// it is.
    mutating func decode(
        _ unit: RecallRecord, _ coded: RawSpan, in place: Int?, into space: inout MutableRawSpan, at now: Instant
    ) -> Int? {
        if unsafe decoder == nil { unsafe decoder = czstd_dictionary_decompressor() }
        if unsafe inflater == nil { unsafe inflater = czlib_inflater() }
        guard let decoder = unsafe decoder, let inflater = unsafe inflater else { return nil }
        var content = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        if unit.refers {
            guard let place, let log = entries[place]?.log, let entries = log.entries(unit.base),
                let found = unsafe log.content(of: entries)
            else { return nil }
            unsafe content = unsafe found
        }
        let length = unsafe space.withUnsafeMutableBytes { out in
            unsafe coded.withUnsafeBytes { coded in
                let room = min(out.count, unit.decoded + 1)
                guard unit.isDeflated else {
                    return unsafe czstd_dictionary_decompress(
                        decoder, out.baseAddress, room, coded.baseAddress, coded.count, content.baseAddress,
                        content.count)
                }
                return unsafe czlib_inflate_behind(
                    inflater, out.baseAddress, room, coded.baseAddress, coded.count, content.baseAddress, content.count)
            }
        }
        guard length == unit.decoded || unit.isDeflated && (1..<unit.decoded).contains(length),
            UnitCheck.of(space.bytes.extracting(0..<length)) == unit.check
        else { return nil }
        if let place { entries[place]?.usedAt = now }
        return length
    }

    /// Takes what was decoded into the dictionary, if there is room for what the peer need not know of yet.
    mutating func learn(_ unit: RecallRecord, _ plain: RawSpan, in place: Int, at now: Instant) {
        guard let entry = entries[place] else { return }
        let log = entry.log
        let isNews =
            unit.isToLearn && plain.byteCount <= DictionaryLog.largestEntry
            && log.count - entry.known < LearnedRecord.most
            && log.end - log.end(of: entry.known) + plain.byteCount <= DictionaryLog.mostOutstanding
        if isNews {
            entries[place]?.log.append(plain)
            entries[place]?.numbers[log.count % LearnedRecord.most] = unit.number
        }
        let fresh = log.count + (isNews ? 1 : 0) - entry.told
        if fresh > 0 {
            tell(place, at: min(entry.dueAt, now + patience(fresh, of: entry)))
        } else if entry.known < log.count, now - entry.toldAt >= Self.again {
            tell(place, at: now)
        }
    }

    private func patience(_ fresh: Int, of entry: Entry) -> Interval {
        let bytes = entry.log.end - entry.log.end(of: entry.told)
        return TellingTimes.patience(fresh, bytes: bytes, of: entry.told + fresh)
    }

    /// A unit was not what it said it was: the dictionary goes, and the peer is told.
    mutating func fail(_ unit: RecallRecord, in place: Int?, of peer: PeerSlot, at now: Instant) {
        if let place { remove(place) }
        note(missing: unit.dictionary, unit.epoch, of: peer, at: now)
    }

    // MARK: What peers are told

    private mutating func tell(_ place: Int, at due: Instant) {
        entries[place]?.dueAt = due
        tellsAt = min(tellsAt, due)
    }

    /// Notes that a peer is to be told that there is no such dictionary, now and then.
    private mutating func note(missing number: UInt8, _ epoch: UInt8, of peer: PeerSlot, at now: Instant) {
        for index in missing.indices where missing[index].peer == peer && missing[index].number == number {
            guard missing[index].epoch == epoch else { continue }
            if missing[index].isTold, now - missing[index].at >= Self.tellingInterval {
                missing[index].isTold = false
                missing[index].at = now
                tellsAt = now
            }
            return
        }
        let news = Missing(peer: peer, number: number, epoch: epoch, at: now)
        if missing.count < Self.mostMissing {
            missing.append(news)
        } else {
            guard let told = missing.indices.first(where: { missing[$0].isTold }) else { return }
            missing[told] = news
        }
        tellsAt = now
    }

    /// What a peer is to be told now; `nil`: nothing.
    mutating func poll(of peer: PeerSlot, at now: Instant) -> LearnedRecord? {
        for index in missing.indices where !missing[index].isTold && missing[index].peer == peer {
            missing[index].isTold = true
            return LearnedRecord(.none, of: missing[index].number, epoch: missing[index].epoch)
        }
        for place in entries.indices {
            guard let entry = entries[place], entry.dueAt <= now, names[place] >> 8 == UInt64(peer.offset) else {
                continue
            }
            noteTold(place, at: now)
            return word(of: place)
        }
        return nil
    }

    /// What a peer may be told with something that is sent to it anyway, of the dictionary that waits longest for it, and whether that is
    /// worth bytes; `nil`: nothing.
    func news(of peer: PeerSlot, at now: Instant) -> (place: Int, word: LearnedRecord, isDue: Bool)? {
        guard tellsAt < .distantFuture else { return nil }
        var first: Int?
        for place in entries.indices {
            guard let due = entries[place]?.dueAt, due < .distantFuture, names[place] >> 8 == UInt64(peer.offset) else {
                continue
            }
            if let other = first, let least = entries[other]?.dueAt, least <= due { continue }
            first = place
        }
        guard let first, let entry = entries[first], let word = word(of: first) else { return nil }
        let fresh = entry.log.count - entry.told
        return (first, word, TellingTimes.areWorthBytes(fresh, of: entry.log.count) || entry.dueAt <= now)
    }

    /// Notes that the peer was told of all that is in a dictionary.
    mutating func noteTold(_ place: Int, at now: Instant) {
        guard let count = entries[place]?.log.count else { return }
        entries[place]?.told = count
        entries[place]?.toldAt = now
        entries[place]?.dueAt = .distantFuture
    }

    private func word(of place: Int) -> LearnedRecord? {
        guard let entry = entries[place] else { return nil }
        let count = entry.log.count
        var record = LearnedRecord(
            .entries, of: UInt8(truncatingIfNeeded: names[place]), epoch: entry.epoch,
            count: UInt8(truncatingIfNeeded: count))
        for index in entry.known..<count { record.append(entry.numbers[index % LearnedRecord.most]) }
        return record
    }

    /// The peer that is to be told something next; `nil`: none is, now.
    mutating func nextToTell(at now: Instant) -> PeerSlot? {
        if let news = missing.first(where: { !$0.isTold }) { return news.peer }
        tellsAt = .distantFuture
        for place in entries.indices {
            guard let entry = entries[place] else { continue }
            if entry.dueAt <= now {
                tellsAt = now
                return PeerSlot(Int(names[place] >> 8))
            }
            tellsAt = min(tellsAt, entry.dueAt)
        }
        return nil
    }

    /// A peer can't be told anything now.
    mutating func forgetNews(of peer: PeerSlot) {
        missing.removeAll { $0.peer == peer }
        for place in entries.indices where names[place] >> 8 == UInt64(peer.offset) {
            entries[place]?.dueAt = .distantFuture
        }
    }

    // MARK: Life

    /// Makes a dictionary; `nil` if there is no room for it. No peer has more than is left for the others.
    private mutating func open(_ number: UInt8, epoch: UInt8, of peer: PeerSlot, at now: Instant) -> Int? {
        var own = 0
        for place in entries.indices where entries[place] != nil && names[place] >> 8 == UInt64(peer.offset) {
            own += DictionaryLog.memory
        }
        guard used + DictionaryLog.memory <= most, own + DictionaryLog.memory <= most - used else { return nil }
        let place: Int
        if let free = entries.firstIndex(where: { $0 == nil }) {
            place = free
        } else {
            guard entries.count < Self.capacity else { return nil }
            place = entries.count
            entries.append(nil)
            names.append(0)
        }
        names[place] = Self.name(number, peer)
        entries[place] = Entry(epoch: epoch, usedAt: now)
        used += DictionaryLog.memory
        count += 1
        expiresAt = min(expiresAt, now + Self.idle)
        return place
    }

    private mutating func restart(_ place: Int, epoch: UInt8) {
        entries[place]?.log.removeAll()
        entries[place]?.epoch = epoch
        entries[place]?.known = 0
        entries[place]?.told = 0
        entries[place]?.dueAt = .distantFuture
    }

    private mutating func remove(_ place: Int) {
        guard let entry = entries[place] else { return }
        entry.log.free()
        entries[place] = nil
        names[place] = .max
        used -= DictionaryLog.memory
        count -= 1
    }

    /// Forgets what is of a peer.
    mutating func removeAll(of peer: PeerSlot) {
        missing.removeAll { $0.peer == peer }
        for place in entries.indices where names[place] >> 8 == UInt64(peer.offset) { remove(place) }
    }

    /// Gives back the memory of those that nothing came for any more.
    mutating func expire(at now: Instant) {
        expiresAt = .distantFuture
        for place in entries.indices {
            guard let entry = entries[place] else { continue }
            if now - entry.usedAt >= Self.idle {
                remove(place)
            } else {
                expiresAt = min(expiresAt, entry.usedAt + Self.idle)
            }
        }
    }
}
