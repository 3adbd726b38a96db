import Addresses
import BasicContainers
public import Keys

// For somebody who watches packets on their way. Nothing here is called while nobody does, but for beginning.

extension Tunnel {
    /// Begins to write down what becomes of packets, of one peer or all; the number to take and to end it with. `nil` if somebody
    /// watches already.
    public mutating func beginTrace(
        _ wish: TraceWish, of peer: PublicKey?, into batch: TraceBatch, at now: Now
    ) -> UInt64? {
        var wish = wish
        wish.peer = peer.flatMap { peers.slot(of: $0) }
        return services.trace.begin(wish, into: batch, at: now.instant)
    }

    /// What was written since it was taken last; `fresh` is written into from now on. `nil` if it has ended. It ends by itself when
    /// nobody has come for five seconds.
    public mutating func takeTrace(_ number: UInt64, for fresh: TraceBatch, at now: Now) -> TraceBatch? {
        guard var batch = services.trace.take(number, for: fresh, at: now.instant) else { return nil }
        for record in batch.records {
            guard let slot = record.peer, batch.peers[slot] == nil, slot.offset < peers.slotCount else { continue }
            batch.peers[slot] = peers[slot].publicKey
        }
        return batch
    }

    public mutating func endTrace(_ number: UInt64) { services.trace.end(number) }

    /// Whether somebody watches what leaves on the wire, sealed or as it was before.
    public var tracesWire: Bool {
        @inline(__always) get { services.trace.isOn && services.trace.wish.content.isOfDatagrams }
    }

    /// Writes down what is in the outbox.
    public mutating func traceOutbox(at now: Now) {
        for index in 0..<services.egress.outbox.count { trace(services.egress.outbox[index], at: now) }
    }

    private mutating func trace(_ run: Outbox.Run, at now: Now) {
        var record = TraceRecord(.out, of: run.peer, at: now.wall)
        let isSealed = services.trace.wish.content == .wire
        if isSealed {
            let local = run.path.local.map { Endpoint($0.address, port: services.port) }
            record.flow = TraceFlow(from: local ?? Endpoint(.v4(0), port: services.port), to: run.path.remote)
        }
        var start = run.offset
        let end = run.offset + run.length
        while start < end {
            let next = min(start + max(run.segment, 1), end)
            let datagram = unsafe UnsafeRawBufferPointer(
                start: services.egress.outbox.base + start, count: next - start)
            if isSealed {
                _ = unsafe services.trace.note(record, RawSpan(_unsafeBytes: datagram))
            } else {
                unsafe tracePayload(of: RawSpan(_unsafeBytes: datagram), record)
            }
            start = next
        }
    }

    /// Writes down what a datagram of ours holds: a copy of it is opened with the key that sealed it.
    private mutating func tracePayload(of datagram: RawSpan, _ leaving: TraceRecord) {
        guard let slot = leaving.peer, datagram.byteCount >= Transport.overhead,
            datagram.little32(at: 0) == Transport.type
        else { return }
        let index = ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver))
        guard let lane = peers[slot].lane(sendingTo: index, services) else { return }
        var copy = unsafe datagram.withUnsafeBytes { unsafe [UInt8]($0) }
        defer {
            var whole = copy.mutableSpan
            wipe(&whole)
        }
        var record = leaving
        record.wire = Int32(clamping: datagram.byteCount)
        record.datagrams = 1
        record.cipher = lane.suite
        guard Sealer.open(&copy, on: &services.sessions[lane.session][lane.suite]) else { return }
        let payload = Transport.headerSize..<copy.count - Transport.tagSize
        unsafe note(payload: copy.span.bytes.extracting(payload), record)
    }

    /// Writes a payload down; of one that holds a new preshared key no more than that it was one.
    private mutating func note(payload: RawSpan, _ record: TraceRecord) {
        let isSecret = payload.byteCount > 0 && payload.byte(at: 0) == Record.Kind.rotate.rawValue
        let shown = isSecret ? min(payload.byteCount, Record.headerSize) : payload.byteCount
        _ = services.trace.note(record, payload.extracting(0..<shown), of: payload.byteCount)
    }

    // MARK: On the way

    /// How many drops there were before something came, to find those that it brings about.
    private struct Sighting {
        let peer: PeerSlot?
        let drops: UInt64
        let dropsOfPeer: UInt64
        /// Where it was written down already.
        var place: Int?
    }

    private func sighting(of peer: PeerSlot?) -> Sighting {
        Sighting(peer: peer, drops: services.drops.total, dropsOfPeer: peer.map { peers[$0].drops.total } ?? 0)
    }

    /// The drops since then.
    private func drops(since sighting: Sighting) -> (reason: DropReason, count: UInt64)? {
        let own = services.drops.total &- sighting.drops
        if own > 0 { return (services.drops.last, own) }
        guard let peer = sighting.peer else { return nil }
        let others = peers[peer].drops.total &- sighting.dropsOfPeer
        return others > 0 ? (peers[peer].drops.last, others) : nil
    }

    /// As `handleDeviceRead`, while somebody watches.
    @inline(never)
    mutating func traceDeviceRead(_ read: inout MutableRawSpan, at now: Now) {
        services.now = now
        services.trace.expire(at: now.instant)
        guard read.byteCount > VirtioHeader.size else { return handleRead(&read, at: now) }
        let peer = peer(of: read.bytes.extracting(VirtioHeader.size...), at: now)
        var before = sighting(of: peer)
        if services.trace.wish.content == .plain {
            let record = deviceRecord(of: read.bytes, to: peer)
            before.place = services.trace.note(record, read.bytes.extracting(VirtioHeader.size...))
        }
        handleRead(&read, at: now)
        guard let (reason, count) = drops(since: before) else { return }
        note(deviceRecord(of: read.bytes, to: peer), dropped: reason, count, before)
    }

    /// The peer that a packet or frame of the device goes to; `nil` if there is none, or it goes to several.
    private func peer(of content: RawSpan, at now: Now) -> PeerSlot? {
        guard mode != .packets else { return InternetPacket(content).flatMap { allowedIPs.lookup($0.destination) } }
        guard let header = EthernetFrame(content) else { return nil }
        switch addresses.place(for: header, at: now.instant) {
        case .peer(let slot): return slot
        case .here: return nil
        case nil: return peers.only
        }
    }

    private func deviceRecord(of read: RawSpan, to peer: PeerSlot?) -> TraceRecord {
        let packet = read.extracting(VirtioHeader.size...)
        var record = TraceRecord(.out, of: peer, at: services.now.wall)
        record.flow = mode == .packets ? TraceFlow(start: packet) : TraceFlow(frame: packet)
        record.plain = Int32(clamping: packet.byteCount)
        record.packets = 1
        record.form = mode == .packets ? .packet : .frame
        return record
    }

    private mutating func note(
        _ record: TraceRecord, dropped reason: DropReason, _ count: UInt64, _ before: Sighting
    ) {
        if let place = before.place { return services.trace.noteDrop(reason, in: place) }
        guard services.trace.wish.content == .steps else { return }
        var record = record
        record.drop = reason
        record.dropped = Int32(clamping: count)
        services.trace.note(record)
    }

    /// As `handleDatagram`, while somebody watches.
    @inline(never)
    mutating func traceDatagram(_ datagram: inout MutableRawSpan, from path: Path, trafficClass: UInt8, at now: Now) {
        services.trace.expire(at: now.instant)
        let content = services.trace.wish.content
        var record = TraceRecord(.into, of: nil, at: now.wall)
        record.wire = Int32(clamping: datagram.byteCount)
        record.datagrams = 1
        switch Message(datagram.bytes) {
        case .transport(let receiver):
            if case .lane(let lane) = services.indices[receiver] {
                record.peer = services.sessions[lane.session].peer
                record.cipher = lane.suite
            }
        case .initiation, .response, .cookieReply: record.form = .handshake
        case nil: break
        }
        var before = sighting(of: record.peer)
        if content == .wire {
            var outer = record
            let local = path.local.map { Endpoint($0.address, port: services.port) }
            outer.flow = TraceFlow(from: path.remote, to: local ?? Endpoint(.v4(0), port: services.port))
            before.place = services.trace.note(outer, datagram.bytes)
        }
        let isTransport = record.form != .handshake && record.peer != nil
        handleMessage(&datagram, from: path, trafficClass: trafficClass)
        let dropped = drops(since: before)
        // Packets are told of where they go to the device.
        if content == .steps, isTransport, dropped == nil, !Self.isForThePeer(datagram.bytes) { return }
        let isOpened = isTransport && dropped?.reason.isBeforeOpening != true
        if isOpened { traceOpened(datagram.bytes, record, dropped?.reason) }
        if let (reason, count) = dropped {
            note(record, dropped: reason, count, before)
        } else if record.form == .handshake, content == .steps {
            services.trace.note(record)
        }
    }

    /// Whether a datagram that was opened holds no packets.
    private static func isForThePeer(_ datagram: RawSpan) -> Bool {
        guard datagram.byteCount > Transport.overhead else { return true }
        let first = datagram.byte(at: Transport.headerSize)
        return first >> 4 != 4 && first >> 4 != 6
    }

    /// Tells of what was in a datagram.
    private mutating func traceOpened(_ datagram: RawSpan, _ opened: TraceRecord, _ reason: DropReason?) {
        guard datagram.byteCount >= Transport.overhead else { return }
        let payload = datagram.extracting(Transport.headerSize..<datagram.byteCount - Transport.tagSize)
        var record = opened
        record.drop = reason
        switch services.trace.wish.content {
        case .payloads: note(payload: payload, record)
        case .plain:
            // What was let through is told of where it goes to the device.
            guard reason != nil, let header = InternetPacket(payload) else { return }
            record.flow = TraceFlow(payload, header)
            _ = services.trace.note(record, payload.extracting(0..<header.length))
        case .steps:
            guard reason == nil else { return }
            if payload.byteCount == 0 {
                record.form = .keepalive
                return services.trace.note(record)
            }
            guard let kind = Record.Kind(rawValue: payload.byte(at: 0)), kind.isControl || kind == .fragment else {
                return
            }
            record.form = .control
            record.kind = kind.rawValue
            services.trace.note(record)
        case .wire: break
        }
    }

    /// Tells of a packet that came as it is, and is let through.
    @inline(never)
    mutating func traceDelivered(_ packet: RawSpan, wire: Int, from slot: PeerSlot) {
        var record = delivered(from: slot)
        record.flow = TraceFlow(packet)
        record.form = .packet
        record.packets = 1
        record.plain = Int32(clamping: packet.byteCount)
        record.wire = Int32(clamping: wire)
        switch services.trace.wish.content {
        case .plain: _ = services.trace.note(record, packet)
        case .steps: services.trace.note(record)
        case .wire, .payloads: break
        }
    }

    /// Tells of packets or frames that came in a record; `count` of them were let through.
    @inline(never)
    mutating func traceDelivered(_ packets: DecodedPackets, count: Int, plain: Int, from slot: PeerSlot) {
        let content = services.trace.wish.content
        guard !packets.packets.isEmpty, content == .steps || content == .plain else { return }
        var record = delivered(from: slot)
        record.form = packets.codec != nil ? .unit : packets.isBundle ? .bundle : .frame
        record.codec = packets.codec
        record.packets = Int32(clamping: count)
        record.plain = Int32(clamping: plain)
        record.wire = Int32(clamping: packets.wire)
        for index in packets.packets {
            let place = services.ingress.inbox.decodedPacket(index).place
            // The inbox keeps it where it is until it is cleared.
            let bytes = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: place), copying: ())
            record.flow = mode == .packets ? TraceFlow(bytes) : TraceFlow(frame: bytes)
            guard content == .plain else {
                if count > 0 { services.trace.note(record) }
                return
            }
            let isForeign = mode == .packets && record.flow.source.map { allowedIPs.lookup($0) != slot } ?? true
            record.drop = isForeign ? .allowedIPs : nil
            _ = services.trace.note(record, bytes)
        }
    }

    private func delivered(from slot: PeerSlot) -> TraceRecord {
        var record = TraceRecord(.into, of: slot, at: services.now.wall)
        record.datagrams = 1
        if let session = peers[slot].keypairs.current {
            record.cipher = services.sessions[session].aes.isOpen ? .aes256gcm : .chacha20poly1305
        }
        return record
    }

    /// Tells of drops without a packet at hand.
    @inline(never)
    mutating func traceDrops(_ reason: DropReason, _ count: Int, of slot: PeerSlot) {
        guard services.trace.wish.content == .steps, count > 0 else { return }
        var record = TraceRecord(.out, of: slot, at: services.now.wall)
        record.drop = reason
        record.dropped = Int32(clamping: count)
        services.trace.note(record)
    }
}

extension DropReason {
    /// The datagram was not opened.
    fileprivate var isBeforeOpening: Bool {
        switch self {
        case .authentication, .replay, .expired, .unknownIndex, .malformed: true
        default: false
        }
    }
}
