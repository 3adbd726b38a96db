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
    private var codecs = Codecs()
    /// A unit's members, its record, and the header of one packet.
    private var members = Arena(capacity: Limits.unit + 1)
    private var unit = Arena(capacity: Limits.unit + 1)
    private var scratch = Arena(capacity: PacketLayout.longestHeader)
    private var fragments = Reassembly()
    /// Units of which too few fragments came.
    var abandonedUnits: UInt64 { fragments.abandoned }
    /// The packets of the record that was decoded last.
    private(set) var found = RigidArray<Members.Found>(capacity: Limits.recordPackets)
    var flows: FlowTable
    /// Whether there is time to compress.
    var governor = Governor()

    /// Ethernet frames are inside, not packets.
    private let carriesFrames: Bool

    /// `seed` is what an outsider must not know of the flow table.
    init(seed: UInt64, carriesFrames: Bool) {
        flows = FlowTable(seed: seed)
        self.carriesFrames = carriesFrames
    }

    // MARK: Outbound

    /// Sends one IP packet as it is. The size of the datagram, or 0 if the outbox has no room.
    @inline(__always)
    mutating func outbound(
        _ packet: RawSpan, _ header: InternetPacket, mtu: Int, on lane: inout Lane, to destination: Destination,
        into outbox: inout Outbox
    ) -> Int {
        let size = Self.paddedSize(packet.byteCount, mtu: mtu)
        governor.noteSent(packet.byteCount)
        return outbox.append(
            size + Transport.overhead, to: destination, trafficClass: header.congestion.rawValue
        ) { datagram in
            datagram.copy(packet, to: Transport.headerSize)
            datagram.zero(Transport.headerSize + packet.byteCount..<Transport.headerSize + size)
            encrypt(size, &datagram, &lane)
            return frame(size, &datagram, &lane)
        }
    }

    /// Sends a batch as a compressed unit, in fragments if it must be. The size of all datagrams; 0 if it is not smaller
    /// than the packets alone, or if the outbox has no room.
    mutating func outbound(
        unit index: Int, of gathering: borrowing Gathering, with codec: Codec, _ effort: Effort, _ limits: RecordLimits,
        number: inout UInt16, on lane: inout Lane, to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        let size = compress(index, of: gathering, with: codec, effort)
        guard size > 0, limits.wireSize(of: size) < batch.wire else { return 0 }
        governor.noteSent(batch.plain)
        return outbound(
            unit: size, batch.trafficClass, limits, number: &number, on: &lane, to: destination, into: &outbox)
    }

    /// Sends an Ethernet frame as it is, in fragments if it must be. The size of all datagrams, or 0.
    mutating func outbound(
        frame: RawSpan, _ trafficClass: UInt8, _ limits: RecordLimits, number: inout UInt16, on lane: inout Lane,
        to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        let size = Record.headerSize + frame.byteCount
        guard size <= Limits.unit else { return 0 }
        governor.noteSent(frame.byteCount)
        Self.write(frame, to: &unit)
        return outbound(unit: size, trafficClass, limits, number: &number, on: &lane, to: destination, into: &outbox)
    }

    private static func write(_ frame: RawSpan, to unit: inout Arena) {
        var record = unit[0..<Record.headerSize + frame.byteCount]
        record.copy(frame, to: Record.headerSize)
        Record.writeHeader(.ethernet, parameter: 0, length: frame.byteCount, to: &record)
    }

    /// Sends the record of `size` bytes in `unit`, in one datagram or in fragments. The size of all datagrams, or 0.
    private mutating func outbound(
        unit size: Int, _ trafficClass: UInt8, _ limits: RecordLimits, number: inout UInt16, on lane: inout Lane,
        to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        let pieces = limits.pieces(of: size)
        guard outbox.takes(limits.wireSize(of: size)) else { return 0 }
        guard pieces != 1 else {
            return outbound(size, limits, trafficClass, on: &lane, to: destination, into: &outbox) { payload in
                payload.copy(unit.bytes(0..<size), to: 0)
                return size
            }
        }
        // One behind the other, on one lane: the receiver knows the pieces of a unit by their counters.
        var sent = 0
        for index in 0..<pieces {
            let fragment = FragmentRecord(number: number, size: size, index: index, count: pieces)
            let length = FragmentRecord.headerSize + fragment.step
            sent += outbound(length, limits, trafficClass, on: &lane, to: destination, into: &outbox) { payload in
                payload.copy(unit.bytes(fragment.range), to: FragmentRecord.headerSize)
                return fragment.writeHeader(to: &payload)
            }
        }
        number &+= 1
        return sent
    }

    /// Sends a batch as a bundle. The size of the datagram; 0 if the outbox has no room, or if it is too large for one.
    mutating func outbound(
        bundle index: Int, of gathering: borrowing Gathering, _ limits: RecordLimits, on lane: inout Lane,
        to destination: Destination, into outbox: inout Outbox
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        let length = writeMembers(index, of: gathering)
        let size = Record.headerSize + length
        guard size <= limits.payload else { return 0 }
        governor.noteSent(batch.plain)
        return outbound(size, limits, batch.trafficClass, on: &lane, to: destination, into: &outbox) { payload in
            payload.copy(members.bytes(0..<length), to: Record.headerSize)
            Record.writeHeader(.bundle, parameter: carriesFrames ? 1 : 0, length: length, to: &payload)
            return size
        }
    }

    /// Sends a record of at most `size` bytes that `write` writes and says the size of. The size of the datagram, or 0 if the
    /// outbox has no room.
    func outbound(
        _ size: Int, _ limits: RecordLimits, _ trafficClass: UInt8, on lane: inout Lane, to destination: Destination,
        into outbox: inout Outbox, _ write: (inout MutableRawSpan) -> Int
    ) -> Int {
        outbox.append(limits.padded(size) + Transport.overhead, to: destination, trafficClass: trafficClass) {
            datagram in
            var payload = datagram.part(Transport.headerSize...)
            let length = write(&payload)
            let padded = limits.padded(length)
            payload.zero(length..<padded)
            encrypt(padded, &datagram, &lane)
            return frame(padded, &datagram, &lane)
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

    /// Opens a transport message in place and says what was in it. `announced` is what we told the peer that we take;
    /// `nil` if we told it nothing, not even that we know records.
    @inline(__always)
    mutating func inbound(
        _ datagram: inout MutableRawSpan, on lane: inout Lane, from peer: Int32, announced: Announcement?,
        isMarked: Bool,
        into inbox: inout Inbox, at now: Instant
    ) -> Inbound {
        let counter = unframe(datagram.bytes)
        guard decrypt(&datagram, counter, &lane) else { return .dropped(.authentication) }
        guard lane.window.accept(counter) else { return .dropped(.replay) }
        lane.arrivals.note(datagram.byteCount)
        let payload = datagram.bytes.extracting(Transport.headerSize..<datagram.byteCount - Transport.tagSize)
        guard payload.byteCount > 0 else { return .keepalive }
        let version = payload.byte(at: 0) >> 4
        if version == 4 || version == 6 { return .packet }
        return decompress(
            payload, counter, on: lane.localIndex, from: peer, announced, isMarked: isMarked, into: &inbox, at: now)
    }

    // MARK: Compress, decompress

    /// Writes a batch as a UNIT record to `unit`; its size, or 0 if it can't be smaller than the packets alone.
    private mutating func compress(
        _ index: Int, of gathering: borrowing Gathering, with codec: Codec, _ effort: Effort
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        let most = min(batch.wire - Self.wireSize(0) - Limits.padding, Limits.unit)
        guard most > UnitRecord.headerSize else { return 0 }
        let space = UnitRecord.headerSize..<most
        let layout: UnitRecord.Layout
        let plain: Int
        let coded: Int
        if batch.packets == 1, !carriesFrames {
            layout = .packet
            let packet = gathering.bytes(0, of: index)
            plain = packet.byteCount
            coded = codecs.encode(packet, with: codec, effort, into: &unit, space)
        } else {
            layout = carriesFrames ? .frames : .members
            plain = writeMembers(index, of: gathering)
            coded = codecs.encode(members, 0..<plain, with: codec, effort, into: &unit, space)
        }
        guard coded > 0 else { return 0 }
        var record = unit[0..<most]
        return UnitRecord.writeHeader(codec, layout, decoded: plain, coded: coded, to: &record)
    }

    private mutating func writeMembers(_ index: Int, of gathering: borrowing Gathering) -> Int {
        carriesFrames
            ? Self.writeFrames(index, of: gathering, to: &members)
            : Self.writeMembers(index, of: gathering, to: &members, &scratch)
    }

    /// Writes a batch's frames one behind the other; how many bytes that took.
    private static func writeFrames(_ index: Int, of gathering: borrowing Gathering, to members: inout Arena) -> Int {
        guard let batch = gathering[index] else { return 0 }
        var end = 0
        for number in 0..<batch.count {
            var out = members[0..<members.capacity]
            end += Frames.write(gathering.bytes(number, of: index), to: &out, at: end)
        }
        return end
    }

    /// Writes a batch's packets as members; how many bytes that took.
    private static func writeMembers(
        _ index: Int, of gathering: borrowing Gathering, to members: inout Arena, _ scratch: inout Arena
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        var end = 0
        for number in 0..<batch.count {
            end += writeMember(number, of: index, gathering, to: &members, at: end, &scratch)
        }
        return end
    }

    private static func writeMember(
        _ number: Int, of index: Int, _ gathering: borrowing Gathering, to members: inout Arena, at end: Int,
        _ scratch: inout Arena
    ) -> Int {
        var out = members[0..<members.capacity]
        var header = scratch[0..<scratch.capacity]
        let packet = gathering.bytes(number, of: index)
        let shape = gathering.shape(number, of: index)
        guard number > 0 else { return Members.write(packet, shape, after: nil, to: &out, at: end, &header) }
        let previous = Members.Previous(
            packet: gathering.bytes(number - 1, of: index), shape: gathering.shape(number - 1, of: index))
        return Members.write(packet, shape, after: previous, to: &out, at: end, &header)
    }

    private static func readMembers(
        _ members: borrowing Arena, _ range: Range<Int>, into inbox: inout Inbox,
        _ found: inout RigidArray<Members.Found>
    ) -> Bool {
        Members.read(members.bytes(range), into: &inbox, &found)
    }

    private static func readFrames(
        _ frames: borrowing Arena, _ range: Range<Int>, into inbox: inout Inbox,
        _ found: inout RigidArray<Members.Found>
    ) -> Bool {
        Frames.read(frames.bytes(range), into: &inbox, &found)
    }

    /// Says what a record is. The packets of a unit or a bundle are in the inbox's memory then, listed in `found`.
    private mutating func decompress(
        _ payload: RawSpan, _ counter: UInt64, on lane: SessionIndex, from peer: Int32, _ announced: Announcement?,
        isMarked: Bool, into inbox: inout Inbox, at now: Instant
    ) -> Inbound {
        guard let record = Record(payload) else { return .dropped(.record) }
        // It asks whether we take records, and silence is the answer.
        guard let announced else { return record.kind == .hello ? .askedInVain : .dropped(.unannounced) }
        let body = payload.extracting(record.body)
        switch record.kind {
        case .hello:
            guard let hello = Hello(version: record.parameter, body: body) else { return .dropped(.record) }
            return .hello(hello)
        case .unit:
            let wire = payload.byteCount + Transport.overhead
            return decode(body, record.parameter, announced, isMarked: isMarked, wire: wire, into: &inbox)
        case _ where !announced.records.contains(record.kind):
            return .dropped(.record)
        case .bundle:
            found.removeAll()
            guard record.parameter == (carriesFrames ? 1 : 0) else { return .dropped(.record) }
            let isWhole =
                carriesFrames
                ? Frames.read(body, into: &inbox, &found) : Members.read(body, into: &inbox, &found)
            return .packets(
                Packets(
                    codec: nil, isMarked: isMarked, isCutOff: !isWhole, wire: payload.byteCount + Transport.overhead))
        case .fragment:
            guard record.parameter == 0, let fragment = FragmentRecord(body),
                let source = Reassembly.Source(fragment, peer: peer, lane: lane, counter: counter)
            else { return .dropped(.record) }
            let outcome = fragments.append(
                fragment, body.extracting(6...), from: source, isMarked: isMarked,
                wire: payload.byteCount + Transport.overhead, at: now)
            switch outcome {
            case .incomplete: return .fragment
            case .refused: return .dropped(.record)
            case .noRoom: return .dropped(.incomplete)
            case .whole(let whole): return decode(fragments: whole, announced, into: &inbox)
            }
        case .ethernet:
            return decode(
                frame: body, record.parameter, isMarked: isMarked, wire: payload.byteCount + Transport.overhead,
                into: &inbox)
        case .report:
            guard let report = ReportRecord(parameter: record.parameter, body: body) else { return .dropped(.record) }
            return .report(report)
        case .ping:
            guard let ping = PingRecord(parameter: record.parameter, body: body) else { return .dropped(.record) }
            return .ping(ping)
        }
    }

    /// Decodes a unit that came in fragments.
    private mutating func decode(
        fragments whole: Reassembly.Whole, _ announced: Announcement, into inbox: inout Inbox
    ) -> Inbound {
        // It stays where it is until the next fragment is added.
        let bytes = unsafe _overrideLifetime(fragments.bytes(whole.record), copying: ())
        guard let record = Record(bytes) else { return .dropped(.record) }
        if record.kind == .ethernet, announced.records.contains(.ethernet) {
            return decode(
                frame: bytes.extracting(record.body), record.parameter, isMarked: whole.isMarked, wire: whole.wire,
                into: &inbox)
        }
        guard record.kind == .unit else { return .dropped(.record) }
        return decode(
            bytes.extracting(record.body), record.parameter, announced, isMarked: whole.isMarked, wire: whole.wire,
            into: &inbox)
    }

    /// Takes the frame of an ETHERNET record.
    private mutating func decode(
        frame body: RawSpan, _ parameter: UInt8, isMarked: Bool, wire: Int, into inbox: inout Inbox
    ) -> Inbound {
        found.removeAll()
        guard parameter == 0, Frames.readOne(body, into: &inbox, &found) else { return .dropped(.record) }
        return .packets(Packets(codec: nil, isMarked: isMarked, isCutOff: false, wire: wire))
    }

    /// Decodes the body of a UNIT.
    private mutating func decode(
        _ body: RawSpan, _ parameter: UInt8, _ announced: Announcement, isMarked: Bool, wire: Int,
        into inbox: inout Inbox
    ) -> Inbound {
        found.removeAll()
        guard let record = UnitRecord(parameter: parameter, body: body), announced.codecs.contains(record.codec),
            (record.layout == .frames) == carriesFrames,
            record.layout == .packet || announced.records.contains(.bundle)
        else { return .dropped(.record) }
        let coded = body.extracting(UnitRecord.sizeField...)
        var packets = Packets(codec: record.codec, isMarked: isMarked, isCutOff: false, wire: wire)
        switch record.layout {
        case .packet:
            let place = inbox.decode(record.decoded) { space in
                let length = codecs.decode(coded, with: record.codec, into: &space)
                return length == record.decoded ? length : nil
            }
            guard let place else { return .dropped(.record) }
            guard let packet = Members.Found(place, of: inbox) else { return .dropped(.content) }
            found.append(packet)
        case .members, .frames:
            let space = 0..<record.decoded
            guard codecs.decode(coded, with: record.codec, into: &members, space) == record.decoded else {
                return .dropped(.record)
            }
            let isWhole =
                carriesFrames
                ? Self.readFrames(members, space, into: &inbox, &found)
                : Self.readMembers(members, space, into: &inbox, &found)
            packets.isCutOff = !isWhole
        }
        return .packets(packets)
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

    // MARK: Sizes

    /// What a packet becomes: the next multiple of 16, but not more than the MTU makes necessary.
    @inline(__always)
    static func paddedSize(_ length: Int, mtu: Int) -> Int {
        max(length, min((length + Limits.padding - 1) & ~(Limits.padding - 1), mtu))
    }

    /// What a payload takes on the wire: with the tunnel's header and tag, and the headers of UDP and IPv4.
    @inline(__always)
    static func wireSize(_ payload: Int) -> Int { payload + Transport.overhead + 28 }
}

/// All codecs: a new one is a file like theirs and a line in each function here.
private struct Codecs: ~Copyable {
    private let deflate = Deflate()
    private let zstd = Zstd()

    func encode(
        _ plain: RawSpan, with codec: Codec, _ effort: Effort, into arena: inout Arena, _ range: Range<Int>
    ) -> Int {
        var space = arena[range]
        return switch codec {
        case .deflate: deflate.encode(plain, level: effort.level, into: &space)
        case .zstd: zstd.encode(plain, level: effort.level, into: &space)
        }
    }

    func encode(
        _ plain: borrowing Arena, _ part: Range<Int>, with codec: Codec, _ effort: Effort, into arena: inout Arena,
        _ range: Range<Int>
    ) -> Int {
        encode(plain.bytes(part), with: codec, effort, into: &arena, range)
    }

    func decode(_ coded: RawSpan, with codec: Codec, into arena: inout Arena, _ range: Range<Int>) -> Int? {
        var space = arena[range]
        return decode(coded, with: codec, into: &space)
    }

    func decode(_ coded: RawSpan, with codec: Codec, into space: inout MutableRawSpan) -> Int? {
        switch codec {
        case .deflate: deflate.decode(coded, into: &space)
        case .zstd: zstd.decode(coded, into: &space)
        }
    }
}

/// How large records may be.
struct RecordLimits {
    /// The largest payload: that of the largest plain packet.
    let payload: Int
    /// The peer puts fragments together.
    let fragments: Bool

    init(mtu: Int, fragments: Bool) {
        payload = max(min(mtu, Limits.datagram - Transport.overhead), Hello.maximumSize + Limits.padding)
        self.fragments = fragments
    }

    /// What a record of `size` bytes is padded to.
    @inline(__always)
    func padded(_ size: Int) -> Int { Chain.paddedSize(size, mtu: payload) }

    /// The bytes of a record of which each fragment carries one part.
    var piece: Int { payload - FragmentRecord.headerSize }

    /// In how many datagrams a record of `size` bytes goes; 0: in none.
    func pieces(of size: Int) -> Int {
        if size <= payload { return 1 }
        let pieces = (size + piece - 1) / piece
        return fragments && pieces <= FragmentRecord.mostPieces ? pieces : 0
    }

    /// What a record of `size` bytes takes on the wire; endless if it can't go.
    func wireSize(of size: Int) -> Int {
        let pieces = pieces(of: size)
        if pieces == 1 { return Chain.wireSize(padded(size)) }
        let piece = FragmentRecord(number: 0, size: size, index: 0, count: max(pieces, 1)).step
        return pieces == 0 ? .max : pieces * Chain.wireSize(padded(FragmentRecord.headerSize + piece))
    }
}

/// What was in a transport message.
enum Inbound {
    case dropped(DropReason)
    case keepalive
    /// An IP packet, it says; it starts behind the header of the datagram.
    case packet
    case hello(Hello)
    /// A unit or a bundle, decoded: the chain's `found`.
    case packets(Packets)
    /// A piece of a unit that is not complete.
    case fragment
    case report(ReportRecord)
    case ping(PingRecord)
    /// A HELLO to an end that takes nothing but WireGuard: to that it is data that is none.
    case askedInVain

    /// Whether a message that is the peer's asks for an answer: all but a keepalive, and what is like one to every timer.
    @inline(__always) var isData: Bool {
        switch self {
        case .keepalive, .hello, .report, .ping: false
        case .packet, .packets, .fragment, .dropped, .askedInVain: true
        }
    }
}

/// What came out of a unit or a bundle.
struct Packets {
    /// `nil` for a bundle.
    let codec: Codec?
    /// A datagram of it met congestion.
    let isMarked: Bool
    /// Not all of it could be read.
    var isCutOff: Bool
    /// The datagrams' bytes.
    let wire: Int
}
