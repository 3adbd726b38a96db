/// The way out, from the peers to the wire, shared by all peers.
///
///     admission ▸ queue ▸ gathering ▸ compress ▸ encrypt ▸ frame ▸ outbox
///
/// `send`, of a packet or of any message, is the only way to the wire on a session.
@usableFromInline
struct Egress: ~Copyable {
    private let inPlace = InPlace()
    @usableFromInline var outbox = Outbox()
    var gathering = Gathering()
    /// What waits before it is gathered, where a link has a rate.
    var queue = PacketQueue()
    /// The rates of peers that are found.
    var found = FoundRates()
    /// What may be sent again.
    var sent = SentDatagrams()
    /// What lost ones can be had back from.
    var parity = ParityBlocks()
    /// Units that refer to those before them.
    var streams: OutboundStreams
    /// What units may refer to, of those that the peer has said it has decoded.
    var dictionaries: OutboundDictionaries
    var flows: FlowTable
    /// Whether there is time to compress.
    var governor = Governor()
    var sizes = PayloadSizes()
    let cargo: Cargo
    /// The size of the record that was compressed last.
    private(set) var coded = 0
    /// The RECALL that was sent last had a word with it.
    private(set) var hasToldWord = false
    private var sealer: Sealer

    /// `seed` is what an outsider must not know of the flow table.
    init(seed: UInt64, _ cargo: Cargo) {
        flows = FlowTable(seed: seed)
        streams = OutboundStreams(seed: seed)
        dictionaries = OutboundDictionaries(seed: seed)
        self.cargo = cargo
        sealer = Sealer(cargo)
    }

    /// How large records may be to a peer that has said this of itself, on such a path.
    @inline(__always)
    func limits(_ hello: HelloExchange, _ path: PathLimit) -> RecordLimits {
        let usual = cargo.largestPayload(sizes)
        var limits = RecordLimits(
            payload: path.isFound ? path.payload : min(usual, path.payload),
            fragments: hello.records.contains(.fragment))
        limits.mtu = min(usual, path.payload)
        return limits
    }

    /// Sends a packet as it is. The bytes of its datagram; 0 if the outbox has no room for it.
    @inline(__always)
    mutating func send(
        _ packet: RawSpan, with header: InternetPacket, on session: inout Session, to destination: Destination
    ) -> Int {
        governor.noteSent(packet.byteCount)
        let envelope = Envelope(
            destination, limits(session.hello, destination.limit), trafficClass: header.congestion.rawValue)
        return sealer.send(packet, on: &session.forData, in: envelope, into: &outbox)
    }

    /// Sends a message. The bytes of its datagrams; 0 if the outbox has no room for it, or if a batch can't leave in that form.
    mutating func send(_ message: OutboundMessage, on session: inout Session, to destination: Destination) -> Int {
        let limits = limits(session.hello, destination.limit)
        switch message {
        case .confirming(let packet, let header, let confirm):
            governor.noteSent(packet.byteCount)
            let envelope = Envelope(destination, limits, trafficClass: header.congestion.rawValue)
            return sealer.send(packet, confirm, on: &session.forData, in: envelope, into: &outbox)
        case .frame(let frame, let trafficClass):
            governor.noteSent(frame.byteCount)
            let envelope = Envelope(destination, limits, trafficClass: trafficClass)
            return sealer.send(frame: frame, on: &session, in: envelope, into: &outbox)
        case .segmented(let frame, let shape, let trafficClass):
            governor.noteSent(frame.byteCount)
            let envelope = Envelope(destination, limits, trafficClass: trafficClass)
            return sealer.send(segmented: frame, shape, on: &session, in: envelope, into: &outbox)
        case .batch(let index, let form):
            return send(batch: index, as: form, on: &session, to: destination)
        case .control(.hello(let hello)):
            // It says which lanes there are, so it goes on the one that is always there.
            return sealer.send(.hello(hello), on: &session.wireGuard, in: Envelope(destination, limits), into: &outbox)
        case .control(.ping(let ping)) where ping.size > 0:
            var whole = destination
            whole.limit = .probe(payload: ping.size)
            let envelope = Envelope(whole, self.limits(session.hello, whole.limit))
            return sealer.send(.ping(ping), on: &session.forData, in: envelope, into: &outbox)
        case .control(let record):
            return sealer.send(record, on: &session.forData, in: Envelope(destination, limits), into: &outbox)
        case .parity(let record, let length):
            return send(record, length: length, on: &session, to: destination)
        case .keys(let record):
            return sealer.send(record: record, on: &session, in: Envelope(destination, limits), into: &outbox)
        case .keepalive:
            return sealer.sendKeepalive(on: &session.forData, in: Envelope(destination, limits), into: &outbox)
        }
    }

    /// Codes a batch that was sent last, as a unit of a stream, by itself, and notes what that would have been.
    mutating func compare(batch index: Int, as form: BatchForm, in stream: Int) {
        guard case .unit(let codec, let effort) = form, let batch = gathering[index] else { return }
        let size = sealer.compress(index, of: gathering, with: codec, effort)
        streams.note(coded, alone: size > 0 ? size : batch.wire, in: stream)
    }

    @inline(never)
    private mutating func send(
        batch index: Int, as form: BatchForm, on session: inout Session, to destination: Destination
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        let envelope = Envelope(destination, limits(session.hello, destination.limit), trafficClass: batch.trafficClass)
        let sent: Int
        switch form {
        case .unit(let codec, let effort):
            let size = sealer.compress(index, of: gathering, with: codec, effort)
            guard size > 0, envelope.limits.wireSize(of: size) < batch.wire else { return 0 }
            coded = size
            sent = sealer.send(record: size, on: &session, in: envelope, into: &outbox)
        case .stream(let stream, let now):
            let size = sealer.compress(index, of: gathering, in: stream, of: &streams, at: now)
            guard size > 0 else { return 0 }
            coded = size
            sent = sealer.send(record: size, on: &session, in: envelope, into: &outbox)
            if sent == 0 { streams.breakOff(stream, at: now) }
        case .recall(let recall):
            var size = sealer.compress(index, of: gathering, as: recall, in: &dictionaries)
            guard size > 0 else { return 0 }
            let wire = envelope.limits.wireSize(of: size)
            guard size <= envelope.limits.payload,
                dictionaries.accept(recall.dictionary, wire: wire, without: recall.without, at: recall.at)
            else {
                dictionaries.takeBack(recall.dictionary)
                return 0
            }
            hasToldWord = false
            if let word = recall.word, size + word.tailSize <= envelope.limits.payload,
                recall.isWordDue || envelope.limits.wireSize(of: size + word.tailSize) == wire
            {
                size = sealer.append(word, toRecallOf: size)
                hasToldWord = true
            }
            coded = size
            sent = sealer.send(record: size, on: &session, in: envelope, into: &outbox)
            if sent == 0 { dictionaries.takeBack(recall.dictionary) }
        case .pack:
            if cargo == .packets, batch.count == 1 {
                let record = unsafe gathering.writePackOfOne(index, parameter: cargo.bundleParameter)
                sent = unsafe sealer.send(record, on: &session, in: envelope, into: &outbox)
            } else {
                sent = sealer.send(pack: index, of: gathering, on: &session, in: envelope, into: &outbox)
            }
        case .bundle:
            sent = sealer.send(bundle: index, of: gathering, on: &session.forData, in: envelope, into: &outbox)
        }
        if sent > 0 { governor.noteSent(batch.plain) }
        return sent
    }

    @inline(never)
    private mutating func send(
        _ record: ParityRecord, length: Int, on session: inout Session, to destination: Destination
    ) -> Int {
        guard let peer = destination.peer, let row = unsafe parity.row(record.row, of: peer) else { return 0 }
        let envelope = Envelope(destination, limits(session.hello, destination.limit))
        return unsafe sealer.send(
            parity: record, UnsafeRawBufferPointer(start: row, count: length), on: &session, in: envelope,
            into: &outbox)
    }

    /// Sends a datagram again as it was sealed, outside as if a router had marked it or as it was; its bytes.
    mutating func resend(_ kept: SentDatagrams.Kept, isMarked: Bool, to destination: Destination) -> Int {
        unsafe outbox.append(
            sealed: sent.start(of: kept), length: kept.length, to: destination,
            trafficClass: isMarked ? CongestionBits.experienced.rawValue : kept.trafficClass)
    }

    /// Sends a datagram that waited, sealed, for the link; its bytes.
    mutating func depart(_ datagram: PacketQueue.Waiting, to destination: Destination, at now: Instant) -> Int {
        let start = unsafe queue.start(of: datagram)
        if let peer = destination.peer, sent.keeps(peer) {
            let lane = unsafe start.loadUnaligned(fromByteOffset: Transport.receiver, as: UInt32.self)
            let counter = unsafe start.loadUnaligned(fromByteOffset: Transport.counter, as: UInt64.self)
            sent.noteDeparture(
                of: UInt64(littleEndian: counter), on: ReceiverIndex(rawValue: UInt32(littleEndian: lane)), to: peer,
                at: now)
        }
        return unsafe outbox.append(
            sealed: start, length: datagram.length, to: destination,
            trafficClass: UInt8(truncatingIfNeeded: datagram.origin))
    }

    /// Sends a handshake message, which belongs to no session; false if the outbox has no room.
    mutating func send<let size: Int>(_ message: InlineArray<size, UInt8>, to destination: Destination) -> Bool {
        outbox.append(size, to: destination, trafficClass: Limits.handshakeTrafficClass) { datagram in
            for index in 0..<size { datagram.store(message[index], at: index) }
            return size
        } > 0
    }
}
