import CZstd

/// The streams of units that we send: one for each of a few flows, whichever peers they go to, in memory with a bound.
///
///     asked ──(the peer has a decoder)──▶ open ──(it has none any more, or we could not go on)──▶ resting ──▶ asked …
///
/// A stream is known to its peer by its place here, and a life of it by an epoch: what is left of an earlier one is never taken for this.
@safe
struct OutboundStreams: ~Copyable {
    /// A stream, and the flow that it is for.
    struct Stream {
        enum Phase: Equatable {
            /// The peer was asked for a decoder, at that time.
            case asked(Instant)
            case open
            /// It is not tried before then.
            case resting(until: Instant)
        }

        let peer: PeerSlot
        let flow: UInt64
        let level: Int32
        /// As a power of two.
        let window: UInt8
        /// It is to take the place of the flow's stream once the peer has a decoder for it.
        fileprivate(set) var isSuccessor: Bool
        fileprivate(set) var epoch: UInt16
        fileprivate(set) var next: UInt16 = 0
        fileprivate(set) var phase: Phase
        fileprivate(set) var tries = 1
        /// How often it broke lately.
        fileprivate(set) var breaks = 0
        fileprivate(set) var usedAt: Instant
        fileprivate(set) var openedAt: Instant
        /// When a queue lost something of it last, of those that are a round trip apart, and that none of its packets was dropped for that yet.
        fileprivate var congestedAt = Instant.distantPast
        fileprivate(set) var owesDrop = false
        /// When there was no memory for the wide window, here or there.
        fileprivate var refusedAt = Instant.distantPast
        fileprivate var gain = StreamGain()
        fileprivate let memory: Int
    }

    static let capacity = 16
    /// The window, as a power of two; and that of the flow of which most passes, which is one at a time.
    static let window: UInt8 = 18
    static let wideWindow: UInt8 = 21
    /// What has gone through a stream that gets the wide one.
    private static let wide = 4 << 20
    /// A stream that nothing goes through for so long gives its memory back.
    static let idle = Interval.seconds(30)
    /// One that nothing goes through for so long has to, if another flow needs a place.
    private static let quiet = Interval.seconds(3)
    private static let shortestRest = Interval.milliseconds(250)
    private static let longestRest = Interval.seconds(8)
    private static let mostTries = 5

    private var streams = InlineArray<16, Stream?>(repeating: nil)
    private var encoders = unsafe InlineArray<16, UnsafeMutableRawPointer?>(repeating: nil)
    private var epoch: UInt16
    /// The bytes that all encoders may take, and take.
    var most = 32 << 20
    private(set) var used = 0
    private(set) var count = 0
    /// When `expire` wants to be called.
    private(set) var expiresAt = Instant.distantFuture

    /// `seed`: where epochs begin, so that those of another process are not taken for ours.
    init(seed: UInt64) { epoch = UInt16(truncatingIfNeeded: seed >> 24) }

    deinit {
        for place in streams.indices { unsafe czstd_stream_encoder_free(encoders[place]) }
    }

    subscript(place: Int) -> Stream? { streams[place] }

    /// The level for a link with a rate, in bits a second; `nil`: there it does not pay.
    static func level(at rate: UInt64) -> Int32? {
        switch rate {
        case ...5_000_000: 9
        case ...25_000_000: 7
        case ...100_000_000: 3
        default: nil
        }
    }

    /// The stream of a flow.
    func find(_ flow: UInt64, to peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        for place in streams.indices {
            guard let stream = streams[place], stream.flow == flow, stream.peer == peer, !stream.isSuccessor else {
                continue
            }
            return place
        }
        return nil
    }

    // MARK: Life

    /// Makes a stream for a flow; what the peer is to be asked, or `nil` if there is no room.
    mutating func begin(_ flow: UInt64, to peer: PeerSlot, level: Int32, at now: Instant) -> HistoryRecord? {
        let place = make(flow, to: peer, level: level, window: Self.window, isSuccessor: false, at: now)
        return place.flatMap { question($0) }
    }

    private mutating func make(
        _ flow: UInt64, to peer: PeerSlot, level: Int32, window: UInt8, isSuccessor: Bool, at now: Instant
    ) -> Int? {
        let memory = czstd_stream_encoder_size(level, Int32(window))
        guard memory <= most, let place = makeRoom(for: memory, at: now),
            let encoder = unsafe czstd_stream_encoder(level, Int32(window))
        else { return nil }
        unsafe encoders[place] = encoder
        used += memory
        count += 1
        epoch &+= 1
        streams[place] = Stream(
            peer: peer, flow: flow, level: level, window: window, isSuccessor: isSuccessor, epoch: epoch,
            phase: .asked(now), usedAt: now, openedAt: now, memory: memory)
        expiresAt = min(expiresAt, now + Self.idle)
        return place
    }

    /// A free place, with so much memory left; those that are quiet make way.
    private mutating func makeRoom(for memory: Int, at now: Instant) -> Int? {
        while true {
            let free = streams.indices.first { streams[$0] == nil }
            if let free, used + memory <= most { return free }
            var oldest: Int?
            for place in streams.indices {
                guard let stream = streams[place], now - stream.usedAt >= Self.quiet else { continue }
                if let other = oldest, let least = streams[other], least.usedAt <= stream.usedAt { continue }
                oldest = place
            }
            guard let oldest else { return nil }
            remove(oldest)
        }
    }

    /// What the peer is asked for a stream.
    func question(_ place: Int) -> HistoryRecord? {
        guard let stream = streams[place] else { return nil }
        return HistoryRecord(
            word: .open, stream: UInt8(truncatingIfNeeded: place), epoch: stream.epoch, window: stream.window)
    }

    /// The place of the stream that units of a flow may go in now, which may be another one than that which was found; and what the peer is
    /// to be asked, if anything is.
    mutating func prepare(
        _ place: Int, roundTrip: Interval?, at now: Instant
    ) -> (place: Int?, question: HistoryRecord?) {
        guard let stream = streams[place] else { return (nil, nil) }
        streams[place]?.usedAt = now
        switch stream.phase {
        case .open:
            guard stream.gain.isWorthIt else {
                rest(place, for: Self.idle * 4, at: now)
                return (nil, nil)
            }
            return stream.gain.plain < Self.wide || stream.window == Self.wideWindow
                ? (place, nil) : widen(place, roundTrip: roundTrip, at: now)
        case .asked(let at):
            let patience = max(Interval.milliseconds(250), (roundTrip ?? .milliseconds(100)) * 2)
            guard now - at >= patience else { return (nil, nil) }
            guard stream.tries < Self.mostTries else {
                rest(place, for: Self.idle, at: now)
                return (nil, nil)
            }
            streams[place]?.tries += 1
            streams[place]?.phase = .asked(now)
            return (nil, question(place))
        case .resting(let until):
            guard now >= until else { return (nil, nil) }
            epoch &+= 1
            unsafe czstd_stream_encoder_reset(encoders[place])
            streams[place]?.epoch = epoch
            streams[place]?.next = 0
            streams[place]?.tries = 1
            streams[place]?.gain = StreamGain()
            streams[place]?.phase = .asked(now)
            return (nil, question(place))
        }
    }

    /// Goes on with a stream through which much has gone, or with one with the wide window once the peer has a decoder for that: it is asked
    /// for one if the machine has no other.
    private mutating func widen(
        _ place: Int, roundTrip: Interval?, at now: Instant
    ) -> (place: Int?, question: HistoryRecord?) {
        guard let stream = streams[place] else { return (nil, nil) }
        for other in streams.indices {
            guard let wide = streams[other], wide.window == Self.wideWindow else { continue }
            guard wide.isSuccessor, wide.flow == stream.flow, wide.peer == stream.peer else {
                // Another flow has it, and gives it back once it is quiet.
                guard now - wide.usedAt >= Self.quiet else { return (place, nil) }
                remove(other)
                continue
            }
            switch wide.phase {
            case .asked: return (place, prepare(other, roundTrip: roundTrip, at: now).question)
            case .open:
                remove(place)
                streams[other]?.isSuccessor = false
                return (other, nil)
            case .resting:
                // The peer has no memory for it.
                remove(other)
                streams[place]?.refusedAt = now
                return (place, nil)
            }
        }
        guard now - stream.refusedAt >= Self.idle else { return (place, nil) }
        let successor = make(
            stream.flow, to: stream.peer, level: stream.level, window: Self.wideWindow, isSuccessor: true, at: now)
        guard let successor else {
            streams[place]?.refusedAt = now
            return (place, nil)
        }
        return (place, question(successor))
    }

    /// Takes the peer's word of one of its decoders; true if it broke a stream that was open.
    mutating func take(_ word: HistoryRecord, from peer: PeerSlot, at now: Instant) -> Bool {
        let place = Int(word.stream)
        guard place < Self.capacity, let stream = streams[place], stream.peer == peer, stream.epoch == word.epoch
        else { return false }
        switch (word.word, stream.phase) {
        case (.opened, .asked):
            streams[place]?.phase = .open
            streams[place]?.openedAt = now
        case (.closed, .open):
            breakOff(place, at: now)
            return true
        case (.closed, .asked): rest(place, for: Self.longestRest, at: now)
        default: break
        }
        return false
    }

    /// Ends the epoch of a stream that is open; it rests for a while, longer each time.
    mutating func breakOff(_ place: Int, at now: Instant) {
        guard let stream = streams[place], stream.phase == .open else { return }
        let breaks = now - stream.openedAt > Self.longestRest ? 0 : stream.breaks
        streams[place]?.breaks = min(breaks + 1, 8)
        rest(place, for: min(Self.shortestRest * (1 << Int64(breaks)), Self.longestRest), at: now)
    }

    private mutating func rest(_ place: Int, for time: Interval, at now: Instant) {
        streams[place]?.phase = .resting(until: now + time)
    }

    private mutating func remove(_ place: Int) {
        guard let stream = streams[place] else { return }
        unsafe czstd_stream_encoder_free(encoders[place])
        unsafe encoders[place] = nil
        used -= stream.memory
        count -= 1
        streams[place] = nil
    }

    /// Forgets the streams to a peer.
    mutating func removeAll(to peer: PeerSlot) {
        guard count > 0 else { return }
        for place in streams.indices where streams[place]?.peer == peer { remove(place) }
    }

    /// Forgets those that nothing went through for long.
    mutating func expire(at now: Instant) {
        expiresAt = .distantFuture
        for place in streams.indices {
            guard let stream = streams[place] else { continue }
            if now - stream.usedAt >= Self.idle {
                remove(place)
            } else {
                expiresAt = min(expiresAt, stream.usedAt + Self.idle)
            }
        }
    }

    // MARK: Congestion

    /// Notes that a queue on the way lost something of a stream, which is sent again: once a round trip a packet of the flow has to be dropped
    /// instead, before it is coded.
    mutating func noteCongestion(of place: Int, roundTrip: Interval?, at now: Instant) {
        guard let stream = streams[place], now - stream.congestedAt >= roundTrip ?? .milliseconds(100) else { return }
        streams[place]?.congestedAt = now
        streams[place]?.owesDrop = true
    }

    /// Whether a packet of the stream's flow has to be dropped now, once.
    mutating func takeDrop(of place: Int) -> Bool {
        guard streams[place]?.owesDrop == true else { return false }
        streams[place]?.owesDrop = false
        return true
    }

    // MARK: What it gains

    /// Whether the unit that was coded last is to be coded by itself, too.
    func isSample(_ place: Int) -> Bool { streams[place]?.gain.isSample ?? false }

    /// Notes the size of the record of a unit, and the one that it would have had without the stream.
    mutating func note(_ coded: Int, alone: Int, in place: Int) { streams[place]?.gain.note(coded, alone: alone) }

    // MARK: Units

    /// Codes the next unit of a stream that is open into `space`, behind the record's head, which is written too; the record's size. 0: that
    /// did not go, and the stream is over.
    mutating func encode(
        _ plain: RawSpan, _ layout: UnitRecord.Layout, in place: Int, into space: inout MutableRawSpan, at now: Instant
    ) -> Int {
        guard let stream = streams[place], stream.phase == .open, space.byteCount > StreamRecord.headerSize else {
            return 0
        }
        let header = StreamRecord(
            layout: layout, stream: UInt8(truncatingIfNeeded: place), epoch: stream.epoch, number: stream.next,
            decoded: plain.byteCount, check: UnitCheck.of(plain))
        let coded = unsafe space.withUnsafeMutableBytes { out in
            unsafe plain.withUnsafeBytes { plain in
                unsafe czstd_stream_encode(
                    encoders[place], out.baseAddress.map { unsafe $0 + StreamRecord.headerSize },
                    out.count - StreamRecord.headerSize, plain.baseAddress, plain.count)
            }
        }
        guard coded > 0 else {
            breakOff(place, at: now)
            return 0
        }
        streams[place]?.next &+= 1
        streams[place]?.gain.add(unit: plain.byteCount)
        return header.writeHeader(coded: coded, to: &space)
    }
}
