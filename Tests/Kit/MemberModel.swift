@testable import TunnelCore

// Members and records as docs/protocol.md §3 has them, read and written as plainly as can be and without a line in common
// with TunnelCore, but for its codecs.

/// A packet in a record; with `segment`, one that stands for several.
struct Member: Equatable {
    var packet: [UInt8]
    var segment = 0

    /// The packets that it stands for, as the kernel cuts them.
    var packets: [[UInt8]]? {
        guard segment > 0 else { return [packet] }
        guard let header = MemberHeader(packet), let checksum = header.checksum else { return nil }
        var whole = PacketView(packet)
        whole.checksum = whole.pseudoSum
        let kind: UInt8 = header.transport == 17 ? 5 : header.isV6 ? 4 : 1
        return kernelSplit(
            virtioHeader(
                flags: 1, kind, headerLength: header.length, segment: segment, start: header.start,
                offset: checksum - header.start) + whole.bytes)
    }
}

/// What of a packet is header.
struct MemberHeader: Equatable {
    let isV6: Bool
    let transport: UInt8
    /// Where the transport starts, and where the payload does.
    let start: Int
    let length: Int
    /// Where the checksum of TCP or UDP is.
    let checksum: Int?

    init?(_ bytes: [UInt8]) {
        let packet = PacketView(bytes)
        guard packet.version == 4 || packet.isV6, packet.start >= 20, bytes.count >= packet.start else { return nil }
        isV6 = packet.isV6
        start = packet.start
        transport = packet.transport
        let rest = bytes.count - start
        if transport == 17, rest >= 8, !packet.isFragment {
            length = start + 8
            checksum = packet.checksumPlace
        } else if transport == 6, rest >= 20, !packet.isFragment, (5...rest / 4).contains(packet.tcpWords) {
            length = start + packet.tcpWords * 4
            checksum = packet.checksumPlace
        } else {
            length = start
            checksum = nil
        }
    }

    /// The header that a packet with this payload behind `last` is expected to have: steps 1 and 2 of the page.
    func next(after last: Member, payload: Int) -> [UInt8] {
        var header = PacketView(Array(last.packet[..<length]))
        let before = last.packet.count - length
        header.length = length + payload
        if !isV6 {
            let packets = last.segment > 0 ? (before + last.segment - 1) / last.segment : 1
            header.identifier &+= UInt16(truncatingIfNeeded: packets)
        }
        if checksum != nil {
            if transport == 6 { header.sequence &+= UInt32(before) } else { header.datagramLength = 8 + payload }
        }
        return header.bytes
    }

    /// Step 4: the checksums that the mask does not set.
    func complete(_ packet: inout PacketView, except mask: UInt64) {
        if !isV6, mask & 1 << 5 == 0 { packet.completeHeader() }
        guard let checksum, mask & 1 << UInt64(checksum / 2) == 0 else { return }
        packet.completeChecksum()
    }
}

/// The members of a record's body or decoded bytes; `nil` if it is malformed.
func readMembers(_ bytes: [UInt8]) -> [Member]? {
    var rest = bytes[...]
    var members: [Member] = []
    var packets = 0
    while let form = rest.popFirst() {
        guard form < 4 else { return nil }
        var segment = 0
        if form & 2 != 0 {
            guard rest.count >= 2 else { return nil }
            segment = Int(rest.removeFirst()) | Int(rest.removeFirst()) << 8
        }
        let packet = form & 1 == 0 ? readWhole(&rest) : members.last.flatMap { readLike(&rest, after: $0, segment) }
        guard let packet, let header = MemberHeader(packet) else { return nil }
        if form & 2 != 0 {
            guard header.checksum != nil, segment > 0, packet.count - header.length > segment else { return nil }
            packets += (packet.count - header.length + segment - 1) / segment
        } else {
            packets += 1
        }
        guard packets <= 128 else { return nil }
        members.append(Member(packet: packet, segment: segment))
    }
    return members.isEmpty ? nil : members
}

private func readWhole(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
    let bytes = Array(rest)
    guard bytes.count >= 20, let header = MemberHeader(bytes) else { return nil }
    let length = PacketView(bytes).length
    guard length >= header.start, length <= bytes.count else { return nil }
    rest = rest.dropFirst(length)
    return Array(bytes[..<length])
}

private func readLike(_ rest: inout ArraySlice<UInt8>, after last: Member, _ segment: Int) -> [UInt8]? {
    guard let header = MemberHeader(last.packet), let payload = readNumber(&rest, 3), let mask = readNumber(&rest, 9),
        mask >> UInt64(header.length / 2) == 0, rest.count >= 2 * mask.nonzeroBitCount + Int(payload)
    else { return nil }
    var packet = header.next(after: last, payload: Int(payload))
    for index in 0..<header.length / 2 where mask & 1 << UInt64(index) != 0 {
        packet[2 * index] = rest.removeFirst()
        packet[2 * index + 1] = rest.removeFirst()
    }
    packet += rest.prefix(Int(payload))
    rest = rest.dropFirst(Int(payload))
    guard let now = MemberHeader(packet), now == header else { return nil }
    var view = PacketView(packet)
    if segment == 0 { header.complete(&view, except: mask) }
    return view.length == view.bytes.count ? view.bytes : nil
}

private func readNumber(_ rest: inout ArraySlice<UInt8>, _ longest: Int) -> UInt64? {
    var number: UInt64 = 0
    for index in 0..<longest {
        guard let byte = rest.popFirst() else { return nil }
        number |= UInt64(byte & 0x7f) << (7 * UInt64(index))
        if byte < 0x80 { return number }
    }
    return nil
}

/// Writes members, those that may be like the one before as such; `more` are bits of masks that need not be set.
func writeMembers(_ members: [Member], more: UInt64 = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    for (index, member) in members.enumerated() {
        let form: UInt8 = member.segment > 0 ? 2 : 0
        let segment = member.segment > 0 ? little(UInt16(member.segment)) : []
        guard index > 0, let header = MemberHeader(member.packet), MemberHeader(members[index - 1].packet) == header
        else {
            bytes += [form] + segment + member.packet
            continue
        }
        let payload = member.packet.count - header.length
        var expected = header.next(after: members[index - 1], payload: payload)
        // The checksums of what is really there.
        var right = PacketView(member.packet)
        if member.segment == 0 { header.complete(&right, except: 0) }
        for offset in [header.isV6 ? nil : 10, header.checksum] {
            if let offset, member.segment == 0 { put(word(right.bytes, offset), into: &expected, at: offset) }
        }
        var mask = more & (1 << UInt64(header.length / 2) - 1)
        for index in 0..<header.length / 2 where word(expected, 2 * index) != word(member.packet, 2 * index) {
            mask |= 1 << UInt64(index)
        }
        bytes += [form | 1] + segment + number(UInt64(payload)) + number(mask)
        for index in 0..<header.length / 2 where mask & 1 << UInt64(index) != 0 {
            bytes += member.packet[2 * index..<2 * index + 2]
        }
        bytes += member.packet[header.length...]
    }
    return bytes
}

/// A number in groups of seven bits.
func number(_ value: UInt64) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f) | 0x80] + number(value >> 7)
}

/// Somebody who reads what one end sends to another on one session, and puts fragments together.
struct RecordModel: ~Copyable {
    /// The packets of a payload, or of a unit in fragments.
    struct Content {
        /// The codec's number; 0: it was no unit.
        var codec: UInt8 = 0
        /// The bytes of the members, or of the packet.
        var decoded = 0
        var members: [Member]
        var packets: [[UInt8]] { members.flatMap { $0.packets ?? [] } }
    }

    private var fragments: [UInt16: [Int: [UInt8]]] = [:]
    private let decoders = Decoders()

    /// What has come with a payload; `nil` if that was no data, or if more must come.
    mutating func read(_ payload: [UInt8]) -> Content? {
        guard let record = RecordView(payload) else {
            guard MemberHeader(payload) != nil else { return nil }
            return Content(members: [Member(packet: Array(payload[..<PacketView(payload).length]))])
        }
        switch record.kind {
        case .unit: return unit(record)
        case .bundle: return readMembers(record.body).map { Content(decoded: record.body.count, members: $0) }
        case .fragment:
            let fragment = record.fragment
            fragments[fragment.number, default: [:]][fragment.index] = fragment.piece
            guard let pieces = fragments[fragment.number], pieces.count == fragment.count else { return nil }
            fragments[fragment.number] = nil
            let whole = (0..<pieces.count).flatMap { pieces[$0] ?? [] }
            guard whole.count == fragment.size, whole.count > 6, let record = RecordView(whole), record.kind == .unit
            else { return nil }
            return unit(record)
        default: return nil
        }
    }

    private func unit(_ record: RecordView) -> Content? {
        guard let decoded = decode(record) else { return nil }
        let members = record.layout == 0 ? [Member(packet: decoded)] : readMembers(decoded)
        return members.map { Content(codec: record.codec, decoded: decoded.count, members: $0) }
    }

    /// The decoded bytes of a UNIT.
    private func decode(_ record: RecordView) -> [UInt8]? {
        var plain = [UInt8](repeating: 0, count: record.decodedSize)
        var span = plain.mutableSpan
        var space = unsafe span.mutableBytes
        let coded = record.coded
        let bytes = unsafe coded.span.bytes
        let length = decoders.decode(bytes, with: record.codec == 1 ? .deflate : .zstd, into: &space)
        return length == record.decodedSize ? plain : nil
    }
}

/// The flow of a packet: its addresses and transport, and the ports if they can be seen.
func flowKey(_ packet: [UInt8]) -> [UInt8] {
    guard let header = MemberHeader(packet) else { return [] }
    let view = PacketView(packet)
    let hasPorts = !view.isFragment && [6, 17].contains(header.transport) && packet.count >= header.start + 4
    return [header.transport] + view.addresses + (hasPorts ? packet[header.start..<header.start + 4] : [])
}
