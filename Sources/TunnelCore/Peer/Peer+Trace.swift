import BasicContainers

// What is told to somebody who watches. Only called while somebody does.

extension Peer {
    /// Tells of a packet that left as it is.
    @inline(never)
    func traceSent(
        _ packet: RawSpan, with header: InternetPacket, wire: Int, on session: SessionSlot, _ services: inout Services
    ) {
        let skip = services.trace.skip
        services.trace.skip = nil
        guard services.trace.wish.content == .steps else { return }
        var record = record(wire: wire, datagrams: 1, on: session, services)
        record.form = .packet
        record.flow = TraceFlow(packet, header)
        record.plain = Int32(clamping: packet.byteCount)
        record.skip = skip
        services.trace.note(record)
    }

    /// The lane that a datagram to such a receiver index was sealed on.
    func lane(sendingTo index: ReceiverIndex, _ services: borrowing Services) -> LaneSlot? {
        for session in [keypairs.current, keypairs.previous, keypairs.next] {
            guard let session else { continue }
            if services.sessions[session].wireGuard.remoteIndex == index {
                return LaneSlot(session: session, suite: .chacha20poly1305)
            }
            if services.sessions[session].aes.remoteIndex == index {
                return LaneSlot(session: session, suite: .aes256gcm)
            }
        }
        return nil
    }

    private func record(
        wire: Int, datagrams: Int, on session: SessionSlot, _ services: borrowing Services
    ) -> TraceRecord {
        var record = TraceRecord(.out, of: id.slot, at: services.now.wall)
        record.wire = Int32(clamping: wire)
        record.datagrams = Int32(clamping: datagrams)
        record.cipher = services.sessions[session].aes.isOpen ? .aes256gcm : .chacha20poly1305
        record.packets = 1
        return record
    }

    /// Tells of a message that left.
    @inline(never)
    func traceSent(
        _ message: borrowing OutboundMessage, wire: Int, datagrams: Int, on session: SessionSlot,
        _ services: inout Services
    ) {
        let skip = services.trace.skip
        services.trace.skip = nil
        guard services.trace.wish.content == .steps else { return }
        var record = record(wire: wire, datagrams: datagrams, on: session, services)
        switch message {
        case .confirming(let packet, let header, _):
            record.form = .packet
            record.flow = TraceFlow(packet, header)
            record.plain = Int32(clamping: packet.byteCount)
            record.skip = skip
        case .frame(let frame, _):
            record.form = .frame
            record.flow = TraceFlow(frame: frame)
            record.plain = Int32(clamping: frame.byteCount)
            record.skip = skip
        case .segmented(let frame, let shape, _):
            record.form = .pack
            record.flow = TraceFlow(frame: frame)
            record.packets = Int32(clamping: shape.packets(of: frame.byteCount))
            record.plain = Int32(clamping: shape.plainBytes(of: frame.byteCount))
            record.skip = skip
        case .batch(let index, let form): return trace(index, form, record, skip, &services)
        case .control(let control):
            record.form = .control
            record.packets = 0
            if case .hello = control { record.cipher = .chacha20poly1305 }
            record.kind = control.kind.rawValue
        case .parity:
            record.form = .control
            record.packets = 0
            record.kind = Record.Kind.parity.rawValue
        case .keys:
            record.form = .control
            record.packets = 0
            record.kind = Record.Kind.keys.rawValue
        case .keepalive:
            record.form = .keepalive
            record.packets = 0
        }
        services.trace.note(record)
    }

    private func trace(
        _ index: Int, _ form: BatchForm, _ sent: TraceRecord, _ skip: CompressionSkip?, _ services: inout Services
    ) {
        guard let batch = services.egress.gathering[index] else { return }
        var record = sent
        record.packets = Int32(clamping: batch.packets)
        record.plain = Int32(clamping: batch.plain)
        switch form {
        case .unit(let codec, _):
            record.form = .unit
            record.codec = codec
            record.coded = Int32(clamping: services.egress.coded)
        case .stream, .recall:
            record.form = .unit
            record.codec = .zstd
            record.coded = Int32(clamping: services.egress.coded)
        case .bundle:
            record.form = .bundle
            record.skip = skip ?? .small
        case .pack:
            record.form = .pack
            record.skip = skip
        }
        let first = services.egress.gathering.bytes(0, of: index)
        record.flow = services.cargo == .frames ? TraceFlow(frame: first) : TraceFlow(first)
        services.trace.note(record)
    }

    /// Tells of a packet that waited and was dropped.
    @inline(never)
    func traceDropped(_ packet: RawSpan, _ reason: DropReason, _ services: inout Services) {
        var record = TraceRecord(.out, of: id.slot, at: services.now.wall)
        record.drop = reason
        record.dropped = 1
        record.packets = 1
        record.plain = Int32(clamping: packet.byteCount)
        record.flow = TraceFlow(packet)
        if services.trace.wish.content == .plain {
            _ = services.trace.note(record, packet)
        } else if services.trace.wish.content == .steps {
            services.trace.note(record)
        }
    }
}
