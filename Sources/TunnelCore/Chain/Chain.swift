import BasicContainers

/// The transform chain: what happens to every payload between the device and the wire.
///
///     outbound:   compress ─▶ encrypt ─▶ frame
///     inbound:    decompress ◂─ decrypt ◂─ unframe
///
/// There is one path. A packet that is not compressed, a keepalive and a HELLO go through the same three stages as a
/// unit: a stage that has nothing to do does nothing. Outbound, the payload is written straight into the datagram and
/// sealed there; inbound, the datagram is opened where it was received.
///
///     0            16                                              16 + n      32 + n
///     ┌────────────┬──────────────────────────────────┬───────────┬───────────┐
///     │ frame      │ packet, record or nothing        │ zeros     │ tag       │
///     └────────────┴──────────────────────────────────┴───────────┴───────────┘
struct Chain: ~Copyable {
    private var deflate = Deflate()
    private var flows = FlowTable()
    /// Whether there is time to compress.
    var governor = Governor()

    init() {}

    // MARK: Outbound

    /// Sends one IP packet: as a compressed unit if the peer's policy and the peer, which decodes `codecs`, allow it and it
    /// gets smaller, else as it is. What went out, or `nil` if the outbox has no room.
    @inline(__always)
    mutating func outbound(
        _ packet: RawSpan, _ header: InternetPacket, for slot: Int32, of peers: borrowing UniqueArray<Peer>,
        _ codecs: CodecSet, mtu: Int, on lane: inout Lane, to destination: Destination, into outbox: inout Outbox
    ) -> Outbound? {
        let plain = Self.paddedSize(packet.byteCount, mtu: mtu)
        let attempt = peers[Int(slot)].compression.attempt(
            packet, header, peer: codecs, &flows, hasTime: governor.allowsCoding)
        governor.noteSent(packet.byteCount)
        var sent = Outbound(datagram: 0, attempt: attempt)
        sent.datagram = outbox.append(
            plain + Transport.overhead, to: destination, trafficClass: header.congestion.rawValue
        ) { datagram in
            let payload = compress(packet, attempt, plain: plain, into: &datagram, &sent)
            encrypt(payload, &datagram, &lane)
            return frame(payload, &datagram, &lane)
        }
        return sent.datagram > 0 ? sent : nil
    }

    /// Sends a HELLO. The size of the datagram, or 0 if the outbox has no room.
    mutating func outbound(
        _ hello: Hello, on lane: inout Lane, to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        let size = Self.roundUp(Hello.maximumSize) + Transport.overhead
        return outbox.append(size, to: destination, trafficClass: 0) { datagram in
            let payload = record(hello, into: &datagram)
            encrypt(payload, &datagram, &lane)
            return frame(payload, &datagram, &lane)
        }
    }

    /// Sends a keepalive. The size of the datagram, or 0 if the outbox has no room.
    mutating func outboundKeepalive(
        on lane: inout Lane, to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        outbox.append(Transport.minimumSize, to: destination, trafficClass: 0) { datagram in
            encrypt(0, &datagram, &lane)
            return frame(0, &datagram, &lane)
        }
    }

    // MARK: Inbound

    /// Opens a transport message in place and says what was in it. `announced` is what we told the peer that we decode;
    /// `nil` if we told it nothing, not even that we know records.
    @inline(__always)
    mutating func inbound(
        _ datagram: inout MutableRawSpan, on lane: inout Lane, announced: CodecSet?, into inbox: inout Inbox
    ) -> Inbound {
        let counter = unframe(datagram.bytes)
        guard decrypt(&datagram, counter, &lane) else { return .dropped(.authentication) }
        guard lane.window.accept(counter) else { return .dropped(.replay) }
        return decompress(datagram.bytes, announced, into: &inbox)
    }

    // MARK: Compress, decompress

    /// Writes the payload into the datagram, compressed or as it is, and the padding behind it; the size of both.
    @inline(__always)
    private mutating func compress(
        _ packet: RawSpan, _ attempt: CompressionAttempt, plain: Int, into datagram: inout MutableRawSpan,
        _ sent: inout Outbound
    ) -> Int {
        if case .code(let codec, let flow) = attempt {
            // It is worth it if it saves one step of the padding at least.
            let start = Transport.headerSize + UnitRecord.headerSize
            let end = Transport.headerSize + plain - Limits.padding
            let coded = end > start ? code(packet, with: codec, into: &datagram, start..<end) : 0
            flows.note(coded > 0, on: flow)
            if coded > 0 {
                sent.codec = codec
                var payload = datagram.part(Transport.headerSize...)
                let length = UnitRecord.writeHeader(codec, decoded: packet.byteCount, coded: coded, to: &payload)
                let padded = Self.roundUp(length)
                payload.zero(length..<padded)
                return padded
            }
        }
        datagram.copy(packet, to: Transport.headerSize)
        datagram.zero(Transport.headerSize + packet.byteCount..<Transport.headerSize + plain)
        return plain
    }

    /// Codes `packet` into `range` of the datagram; how many bytes that took, 0 if it does not fit.
    private mutating func code(
        _ packet: RawSpan, with codec: Codec, into datagram: inout MutableRawSpan, _ range: Range<Int>
    ) -> Int {
        var space = datagram.part(range)
        switch codec {
        case .deflate: return deflate.encode(packet, into: &space)
        }
    }

    /// Writes a HELLO into the datagram as its payload, and the padding behind it; the size of both.
    private func record(_ hello: Hello, into datagram: inout MutableRawSpan) -> Int {
        var payload = datagram.part(Transport.headerSize...)
        let length = hello.write(to: &payload)
        let padded = Self.roundUp(length)
        payload.zero(length..<padded)
        return padded
    }

    /// Says what the payload of an opened datagram is; decodes it into the inbox if it is a unit.
    @inline(__always)
    private mutating func decompress(
        _ datagram: RawSpan, _ announced: CodecSet?, into inbox: inout Inbox
    ) -> Inbound {
        let payload = datagram.extracting(Transport.headerSize..<datagram.byteCount - Transport.tagSize)
        guard payload.byteCount > 0 else { return .keepalive }
        let version = payload.byte(at: 0) >> 4
        if version == 4 || version == 6 { return .packet }
        return decompress(record: payload, announced, into: &inbox)
    }

    private mutating func decompress(
        record payload: RawSpan, _ announced: CodecSet?, into inbox: inout Inbox
    ) -> Inbound {
        guard let announced, let record = Record(payload) else { return .dropped(.record) }
        let body = payload.extracting(record.body)
        switch record.kind {
        case .hello:
            guard let hello = Hello(version: record.parameter, body: body) else { return .dropped(.record) }
            return .hello(hello)
        case .unit:
            guard let unit = UnitRecord(parameter: record.parameter, body: body), announced.contains(unit.codec) else {
                return .dropped(.record)
            }
            let coded = body.extracting(UnitRecord.sizeField...)
            let decoded = inbox.decode(unit.decoded) { space in
                let length =
                    switch unit.codec {
                    case .deflate: deflate.decode(coded, into: &space)
                    }
                return length == unit.decoded ? length : nil
            }
            guard let decoded else { return .dropped(.record) }
            return .unit(unit.codec, decoded)
        }
    }

    // MARK: Encrypt, decrypt

    /// Seals `payload` bytes of the datagram where they are; the tag follows them.
    @inline(__always)
    private func encrypt(_ payload: Int, _ datagram: inout MutableRawSpan, _ lane: inout Lane) {
        var sealed = datagram.part(Transport.headerSize..<Transport.headerSize + payload + Transport.tagSize)
        lane.sending.seal(&sealed, counter: lane.sendCounter)
    }

    /// Opens the datagram where it is; false if it is not authentic.
    @inline(__always)
    private func decrypt(_ datagram: inout MutableRawSpan, _ counter: UInt64, _ lane: inout Lane) -> Bool {
        var sealed = datagram.part(Transport.headerSize...)
        return lane.receiving.open(&sealed, counter: counter)
    }

    // MARK: Frame, unframe

    /// Writes the header and moves on to the next counter; the size of the whole datagram.
    @inline(__always)
    private func frame(_ payload: Int, _ datagram: inout MutableRawSpan, _ lane: inout Lane) -> Int {
        datagram.store(little: Transport.type, at: 0)
        datagram.store(little: lane.remoteIndex, at: Transport.receiver)
        datagram.store(little: lane.sendCounter, at: Transport.counter)
        lane.sendCounter += 1
        return payload + Transport.overhead
    }

    /// The counter of a transport message.
    @inline(__always)
    private func unframe(_ datagram: RawSpan) -> UInt64 { datagram.little64(at: Transport.counter) }

    // MARK: Padding

    /// What `length` bytes become: the next multiple of 16, but not more than the MTU makes necessary.
    @inline(__always)
    private static func paddedSize(_ length: Int, mtu: Int) -> Int {
        max(length, min(roundUp(length), mtu))
    }

    @inline(__always)
    private static func roundUp(_ length: Int) -> Int { (length + Limits.padding - 1) & ~(Limits.padding - 1) }
}

/// What became of a packet on its way out.
struct Outbound {
    /// The size of its datagram.
    var datagram: Int
    /// What the policy said.
    let attempt: CompressionAttempt
    /// The codec, if it got smaller.
    var codec: Codec?

    init(datagram: Int, attempt: CompressionAttempt) {
        self.datagram = datagram
        self.attempt = attempt
    }
}

/// What was in a transport message.
enum Inbound {
    case dropped(DropReason)
    case keepalive
    /// An IP packet, it says; it starts behind the header of the datagram.
    case packet
    case hello(Hello)
    /// A unit, decoded into this place of the inbox.
    case unit(Codec, Range<Int>)
}
