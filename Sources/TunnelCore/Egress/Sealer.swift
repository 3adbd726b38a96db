/// The outbound half of the transform chain, for every payload that leaves.
///
///     outbound:   compress ─▶ encrypt ─▶ frame          this file
///     inbound:    decompress ◂─ decrypt ◂─ unframe      `Opener`
///
/// A packet that is not compressed, a keepalive and a HELLO go through the same three steps as a unit: a step that has
/// nothing to do does nothing. The payload is written straight into the datagram in the outbox, and sealed there.
///
///     0            16                                              16 + n      32 + n
///     ┌────────────┬──────────────────────────────────┬───────────┬───────────┐
///     │ frame      │ packet, record or nothing        │ zeros     │ tag       │
///     └────────────┴──────────────────────────────────┴───────────┴───────────┘
///
/// Every function returns the bytes of the datagrams that it made, or 0 if the outbox has no room.
struct Sealer: ~Copyable {
    private let inPlace = InPlace()
    private let cargo: Cargo
    private let encoders = Encoders()
    /// The members of a batch, its record, and the header of one packet.
    private var members = Arena(capacity: Limits.unit + 1)
    private var record = Arena(capacity: Limits.unit + 1)
    private var scratch = Arena(capacity: PacketLayout.longestHeader)

    init(_ cargo: Cargo) { self.cargo = cargo }

    // MARK: Messages

    /// Seals one IP packet as it is.
    @inline(__always)
    mutating func send(
        _ packet: RawSpan, on lane: inout Lane, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        let size = Transport.paddedSize(packet.byteCount, mtu: envelope.limits.mtu)
        return outbox.append(
            size + Transport.overhead, to: envelope.destination, trafficClass: envelope.trafficClass
        ) { datagram in
            datagram.copy(packet, to: Transport.headerSize)
            datagram.zero(Transport.headerSize + packet.byteCount..<Transport.headerSize + size)
            encrypt(size, of: &datagram, on: &lane)
            return frame(size, of: &datagram, on: &lane)
        }
    }

    /// Seals one IP packet as it is, and a CONFIRM behind it.
    @inline(never)
    mutating func send(
        _ packet: RawSpan, _ confirm: ConfirmRecord, on lane: inout Lane, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        seal(packet.byteCount + confirm.size, on: &lane, in: envelope, into: &outbox) { payload in
            payload.copy(packet, to: 0)
            var rest = payload.part(packet.byteCount...)
            return packet.byteCount + confirm.write(to: &rest)
        }
    }

    /// Seals an Ethernet frame as a record of its own, in fragments if it must be.
    mutating func send(
        frame: RawSpan, on session: inout Session, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        let size = Record.headerSize + frame.byteCount
        guard size <= Limits.unit else { return 0 }
        Self.write(frame, to: &record)
        return send(record: size, on: &session, in: envelope, into: &outbox)
    }

    /// Seals a row of parity, in fragments if it must be.
    @unsafe
    mutating func send(
        parity: ParityRecord, _ row: UnsafeRawBufferPointer, on session: inout Session, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        guard let start = row.baseAddress else { return 0 }
        let size = ParityRecord.headerSize + row.count
        // The compiler takes it to borrow all of us, not this arena alone.
        var whole = unsafe _overrideLifetime(record[0..<size], copying: ())
        unsafe whole.copy(start, count: row.count, to: ParityRecord.headerSize)
        _ = parity.writeHeader(length: row.count, to: &whole)
        return send(record: size, on: &session, in: envelope, into: &outbox)
    }

    /// Seals the record of `size` bytes that was written last, in one datagram or in fragments.
    mutating func send(
        record size: Int, on session: inout Session, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        unsafe send((UnsafeRawPointer(record.pointer(at: 0)), size), on: &session, in: envelope, into: &outbox)
    }

    /// Seals an Ethernet frame that stands for several as a PACK of its own, from where it stands, in fragments if it must be.
    mutating func send(
        segmented frame: RawSpan, _ shape: MemberShape, on session: inout Session, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        guard Record.headerSize + shape.overhead + frame.byteCount <= Limits.unit else { return 0 }
        var head = unsafe _overrideLifetime(scratch[0..<scratch.capacity], copying: ())
        let length = Frames.writeHead(of: frame.byteCount, shape, to: &head, at: Record.headerSize)
        Record.writeHeader(.pack, parameter: cargo.bundleParameter, length: length + frame.byteCount, to: &head)
        return unsafe frame.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return 0 }
            return unsafe send(
                (UnsafeRawPointer(scratch.pointer(at: 0)), Record.headerSize + length), (start, bytes.count),
                on: &session, in: envelope, into: &outbox)
        }
    }

    /// Seals a record that stands somewhere else, in one datagram or in fragments.
    @unsafe
    func send(
        _ record: (start: UnsafeRawPointer, size: Int), on session: inout Session, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        unsafe send((record.start, 0), record, on: &session, in: envelope, into: &outbox)
    }

    /// Seals a record whose beginning stands elsewhere than the rest.
    @unsafe
    private func send(
        _ head: (start: UnsafeRawPointer, size: Int), _ rest: (start: UnsafeRawPointer, size: Int),
        on session: inout Session, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        let (headStart, headSize) = unsafe head
        let (start, restSize) = unsafe rest
        let size = headSize + restSize
        let pieces = envelope.limits.pieces(of: size)
        guard outbox.takes(envelope.limits.wireSize(of: size)) else { return 0 }
        guard pieces != 1 else {
            return seal(size, on: &session.forData, in: envelope, into: &outbox) { payload in
                unsafe payload.copy(headStart, count: headSize, to: 0)
                unsafe payload.copy(start, count: restSize, to: headSize)
                return size
            }
        }
        // One behind the other, on one lane: the receiver knows the pieces of a unit by their counters.
        var sent = 0
        for index in 0..<pieces {
            let fragment = FragmentRecord(number: session.nextUnit, size: size, index: index, count: pieces)
            let length = FragmentRecord.headerSize + fragment.step
            let range = fragment.range
            let ofHead = min(max(headSize - range.lowerBound, 0), range.count)
            let ofRest = max(range.lowerBound - headSize, 0)
            sent += seal(length, on: &session.forData, in: envelope, into: &outbox) { payload in
                if ofHead > 0 {
                    unsafe payload.copy(headStart + range.lowerBound, count: ofHead, to: FragmentRecord.headerSize)
                }
                unsafe payload.copy(
                    start + ofRest, count: range.count - ofHead, to: FragmentRecord.headerSize + ofHead)
                return fragment.writeHeader(to: &payload)
            }
        }
        session.nextUnit &+= 1
        return sent
    }

    /// Seals a batch as a bundle; 0 as well if that is too large for one datagram.
    mutating func send(
        bundle index: Int, of gathering: borrowing Gathering, on lane: inout Lane, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        let length = writeMembers(index, of: gathering)
        let size = Record.headerSize + length
        guard length > 0, size <= envelope.limits.payload else { return 0 }
        return seal(size, on: &lane, in: envelope, into: &outbox) { payload in
            payload.copy(members.bytes(0..<length), to: Record.headerSize)
            Record.writeHeader(.bundle, parameter: cargo.bundleParameter, length: length, to: &payload)
            return size
        }
    }

    /// Seals a batch as a pack, in fragments if it must be.
    mutating func send(
        pack index: Int, of gathering: borrowing Gathering, on session: inout Session, in envelope: Envelope,
        into outbox: inout Outbox
    ) -> Int {
        let length = cargo.write(batch: index, of: gathering, to: &record, at: Record.headerSize, &scratch)
        let size = Record.headerSize + length
        guard length > 0, size <= Limits.unit else { return 0 }
        var whole = unsafe _overrideLifetime(record[0..<size], copying: ())
        Record.writeHeader(.pack, parameter: cargo.bundleParameter, length: length, to: &whole)
        return send(record: size, on: &session, in: envelope, into: &outbox)
    }

    /// Seals a record that stands somewhere else, in one datagram or in fragments.
    mutating func send(
        record: RawSpan, on session: inout Session, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        var whole = unsafe _overrideLifetime(self.record[0..<record.byteCount], copying: ())
        whole.copy(record, to: 0)
        return send(record: record.byteCount, on: &session, in: envelope, into: &outbox)
    }

    /// Seals a record that is no data.
    func send(
        _ record: ControlRecord, on lane: inout Lane, in envelope: Envelope, into outbox: inout Outbox
    ) -> Int {
        seal(record.maximumSize, on: &lane, in: envelope, into: &outbox) { record.write(to: &$0) }
    }

    /// Seals nothing.
    func sendKeepalive(on lane: inout Lane, in envelope: Envelope, into outbox: inout Outbox) -> Int {
        seal(0, on: &lane, in: envelope, into: &outbox) { _ in 0 }
    }

    /// Pads, seals and frames a payload of at most `size` bytes, which `write` writes and says the size of.
    private func seal(
        _ size: Int, on lane: inout Lane, in envelope: Envelope, into outbox: inout Outbox,
        _ write: (inout MutableRawSpan) -> Int
    ) -> Int {
        outbox.append(
            envelope.limits.padded(size) + Transport.overhead, to: envelope.destination,
            trafficClass: envelope.trafficClass
        ) { datagram in
            var payload = datagram.part(Transport.headerSize...)
            let length = write(&payload)
            let padded = envelope.limits.padded(length)
            payload.zero(length..<padded)
            encrypt(padded, of: &datagram, on: &lane)
            return frame(padded, of: &datagram, on: &lane)
        }
    }

    // MARK: Compress

    /// Codes a batch and writes it as a UNIT, for `send(record:)`; the record's size, or 0 if it can't be smaller than the
    /// packets alone.
    mutating func compress(
        _ index: Int, of gathering: borrowing Gathering, with codec: Codec, _ effort: Effort
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        let most = min(batch.wire - Transport.wireSize(0) - Limits.padding, Limits.unit)
        guard most > UnitRecord.headerSize else { return 0 }
        let layout = cargo.layout(ofUnitOf: batch.packets)
        let plain: Int
        let coded: Int
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(record[UnitRecord.headerSize..<most], copying: ())
        if layout == .packet {
            plain = gathering.bytes(0, of: index).byteCount
            coded = encoders.encode(gathering.bytes(0, of: index), with: codec, level: effort.level, into: &space)
        } else {
            plain = writeMembers(index, of: gathering)
            coded = encoders.encode(members.bytes(0..<plain), with: codec, level: effort.level, into: &space)
        }
        guard coded > 0 else { return 0 }
        var whole = record[0..<most]
        return UnitRecord.writeHeader(codec, layout, decoded: plain, coded: coded, to: &whole)
    }

    /// Codes a batch as the next unit of a stream and writes it, for `send(record:)`; the record's size, or 0 if that did not go.
    mutating func compress(
        _ index: Int, of gathering: borrowing Gathering, in stream: Int, of streams: inout OutboundStreams,
        at now: Instant
    ) -> Int {
        let plain = writeMembers(index, of: gathering)
        guard plain > 0, plain <= Limits.unit else { return 0 }
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(record[0..<Limits.unit], copying: ())
        return streams.encode(
            members.bytes(0..<plain), cargo == .frames ? .frames : .members, in: stream, into: &space, at: now)
    }

    /// Codes a batch as a unit that may refer to a dictionary and writes it, for `send(record:)`; the record's size, or 0 if that did not go.
    mutating func compress(
        _ index: Int, of gathering: borrowing Gathering, as recall: Recall, in dictionaries: inout OutboundDictionaries
    ) -> Int {
        let plain = writeMembers(index, of: gathering)
        guard plain > 0, plain <= Limits.unit else { return 0 }
        if recall.isBrief, cargo == .packets {
            var whole = unsafe _overrideLifetime(members[0..<plain], copying: ())
            Members.shortenFirst(&whole)
        }
        // The compiler takes it to borrow all of us, not this arena alone.
        var space = unsafe _overrideLifetime(record[0..<Limits.unit], copying: ())
        return dictionaries.encode(
            members.bytes(0..<plain), cargo == .frames ? .frames : .members, as: recall, into: &space)
    }

    /// Adds a word to the RECALL of `size` bytes that was written last; its size then.
    mutating func append(_ word: LearnedRecord, toRecallOf size: Int) -> Int {
        var whole = unsafe _overrideLifetime(record[0..<size + word.tailSize], copying: ())
        return RecallRecord.append(word, to: &whole, at: size)
    }

    private static func write(_ frame: RawSpan, to arena: inout Arena) {
        var record = arena[0..<Record.headerSize + frame.byteCount]
        record.copy(frame, to: Record.headerSize)
        Record.writeHeader(.ethernet, parameter: 0, length: frame.byteCount, to: &record)
    }

    /// Writes what is in a batch one behind the other; how many bytes that took.
    private mutating func writeMembers(_ index: Int, of gathering: borrowing Gathering) -> Int {
        cargo.write(batch: index, of: gathering, to: &members, &scratch)
    }

    // MARK: Encrypt

    /// Seals `payload` bytes of the datagram where they are; the tag follows them.
    @inline(__always)
    private func encrypt(_ payload: Int, of datagram: inout MutableRawSpan, on lane: inout Lane) {
        var sealed = datagram.part(Transport.headerSize..<Transport.headerSize + payload + Transport.tagSize)
        lane.sending.seal(&sealed, counter: lane.sendCounter)
    }

    /// Opens a datagram that was sealed on a lane, where it stands, for somebody who watches; false if it was not.
    static func open(_ datagram: inout [UInt8], on lane: inout Lane) -> Bool {
        var bytes = datagram.mutableSpan
        var whole = unsafe bytes.mutableBytes
        let counter = whole.bytes.little64(at: Transport.counter)
        var sealed = whole.part(Transport.headerSize...)
        return lane.sending.open(&sealed, counter: counter)
    }

    // MARK: Frame

    /// Writes the header and moves on to the next counter; the size of the whole datagram.
    @inline(__always)
    private func frame(_ payload: Int, of datagram: inout MutableRawSpan, on lane: inout Lane) -> Int {
        datagram.store(little: Transport.type, at: 0)
        datagram.store(little: lane.remoteIndex?.rawValue ?? 0, at: Transport.receiver)
        datagram.store(little: lane.sendCounter, at: Transport.counter)
        lane.sendCounter += 1
        return payload + Transport.overhead
    }
}

/// The envelope of a payload: where it goes, in what traffic class, and how large it may be.
struct Envelope {
    let destination: Destination
    let limits: RecordLimits
    let trafficClass: UInt8

    @inline(__always)
    init(_ destination: Destination, _ limits: RecordLimits, trafficClass: UInt8 = 0) {
        self.destination = destination
        self.limits = limits
        self.trafficClass = trafficClass
    }
}
