import CZstd

/// The decoders of the streams of units that peers send us, in memory with a bound. None is there that was not asked for.
@safe
struct InboundStreams: ~Copyable {
    /// A decoder, and what is to come next.
    struct Stream {
        let peer: PeerSlot
        let number: UInt8
        let epoch: UInt16
        let window: UInt8
        fileprivate(set) var next: UInt16 = 0
        fileprivate(set) var usedAt: Instant
        fileprivate let memory: Int
    }

    /// The place of a unit in its stream.
    enum Place {
        /// There is no decoder for it.
        case unknown
        /// It is the next one of the stream in this place.
        case next(Int)
        /// There are others to come before it.
        case ahead(Int)
        /// It has come, or can't be of this epoch.
        case behind
    }

    static let capacity = 64
    /// Streams of one peer.
    static let mostOfPeer = 16
    /// How far ahead a unit may be.
    static let reach: UInt16 = 4096
    /// Longer than the sender's, which gives up first.
    static let idle = Interval.seconds(40)

    private var streams = ContiguousArray<Stream?>()
    private var decoders = unsafe ContiguousArray<UnsafeMutableRawPointer?>()
    /// The bytes that all decoders may take, and take.
    var most = 32 << 20
    private(set) var used = 0
    private(set) var count = 0
    /// When `expired` wants to be asked.
    private(set) var expiresAt = Instant.distantFuture

    init() {}

    deinit {
        for place in streams.indices { unsafe czstd_stream_decoder_free(decoders[place]) }
    }

    subscript(place: Int) -> Stream? { place < streams.count ? streams[place] : nil }

    /// The stream that a peer knows by this number.
    func find(_ number: UInt8, of peer: PeerSlot) -> Int? {
        guard count > 0 else { return nil }
        for place in streams.indices {
            if let stream = streams[place], stream.number == number, stream.peer == peer { return place }
        }
        return nil
    }

    /// Where a unit belongs.
    func place(of unit: StreamRecord, of peer: PeerSlot) -> Place {
        guard let place = find(unit.stream, of: peer), let stream = streams[place], stream.epoch == unit.epoch else {
            return .unknown
        }
        let distance = unit.number &- stream.next
        if distance == 0 { return .next(place) }
        return distance < Self.reach ? .ahead(place) : .behind
    }

    // MARK: Life

    /// Makes the decoder that a peer asks for, in place of the one of an earlier epoch; false if there is no room for it. No peer has more
    /// than is left for the others.
    mutating func open(_ question: HistoryRecord, of peer: PeerSlot, at now: Instant) -> Bool {
        if let place = find(question.stream, of: peer), let stream = streams[place] {
            if stream.epoch == question.epoch { return true }
            remove(place)
        }
        let memory = czstd_stream_decoder_size(Int32(question.window))
        var own = 0
        var ownMemory = 0
        for place in streams.indices {
            guard let stream = streams[place], stream.peer == peer else { continue }
            own += 1
            ownMemory += stream.memory
        }
        guard own < Self.mostOfPeer, used + memory <= most, ownMemory + memory <= most - used,
            let place = freePlace(), let decoder = unsafe czstd_stream_decoder(Int32(question.window))
        else { return false }
        unsafe decoders[place] = decoder
        used += memory
        count += 1
        streams[place] = Stream(
            peer: peer, number: question.stream, epoch: question.epoch, window: question.window, usedAt: now,
            memory: memory)
        expiresAt = min(expiresAt, now + Self.idle)
        return true
    }

    private mutating func freePlace() -> Int? {
        if let free = streams.indices.first(where: { streams[$0] == nil }) { return free }
        guard streams.count < Self.capacity else { return nil }
        streams.append(nil)
        unsafe decoders.append(nil)
        return streams.count - 1
    }

    /// Gives back the memory of a stream.
    mutating func remove(_ place: Int) {
        guard let stream = self[place] else { return }
        unsafe czstd_stream_decoder_free(decoders[place])
        unsafe decoders[place] = nil
        used -= stream.memory
        count -= 1
        streams[place] = nil
    }

    /// A stream that nothing came through for long; the owner removes it and asks again.
    mutating func expired(at now: Instant) -> Int? {
        expiresAt = .distantFuture
        for place in streams.indices {
            guard let stream = streams[place] else { continue }
            if now - stream.usedAt >= Self.idle { return place }
            expiresAt = min(expiresAt, stream.usedAt + Self.idle)
        }
        return nil
    }

    // MARK: Units

    /// Decodes the next unit of a stream into the first bytes of `space`, which has one more than the unit; false if it is not what it says
    /// it is, and the stream is over.
    mutating func decode(
        _ unit: StreamRecord, _ coded: RawSpan, in place: Int, into space: inout MutableRawSpan, at now: Instant
    ) -> Bool {
        let isWhole = unsafe space.withUnsafeMutableBytes { out in
            unsafe coded.withUnsafeBytes { coded in
                unsafe out.count > unit.decoded
                    && czstd_stream_decode(
                        decoders[place], out.baseAddress, unit.decoded, coded.baseAddress, coded.count) != 0
            }
        }
        guard isWhole, UnitCheck.of(space.bytes.extracting(0..<unit.decoded)) == unit.check else { return false }
        streams[place]?.next &+= 1
        streams[place]?.usedAt = now
        return true
    }
}
