@testable import TunnelCore

// What the tests of Split and Merge measure by: packets built field by field, and the kernel's way of cutting a
// super-segment (tcp_gso_segment, udp_gso_segment, inet_gso_segment), written down as plainly as can be and without a
// line in common with TunnelCore.

/// A TCP or UDP packet, or a super-segment, field by field.
struct Segment {
    var isV6 = false
    var isTCP = true
    // The network's.
    var source: UInt8 = 1
    var destination: UInt8 = 2
    var trafficClass: UInt8 = 0
    var hopLimit: UInt8 = 64
    var identifier: UInt16 = 0x1234
    /// DF and MF, and the offset in units of eight bytes.
    var fragment: UInt16 = 0x4000
    var flowLabel: UInt8 = 0
    var ipOptions: [UInt8] = []
    // The transport's.
    var ports: (UInt16, UInt16) = (4000, 5000)
    var sequence: UInt32 = 0x0102_0304
    var acknowledgement: UInt32 = 0x7777_7777
    var flags: UInt8 = 0x10
    var window: UInt16 = 500
    var urgent: UInt16 = 0
    var tcpOptions: [UInt8] = []
    var payload: [UInt8] = []

    static let fin: UInt8 = 0x01
    static let push: UInt8 = 0x08
    static let acknowledge: UInt8 = 0x10
    static let congestionReduced: UInt8 = 0x80

    var isAtomic: Bool { isV6 || fragment & 0x4000 != 0 }
    var transport: Int { isV6 ? 40 : 20 + ipOptions.count }
    var headers: Int { transport + (isTCP ? 20 + tcpOptions.count : 8) }
    var checksumOffset: Int { isTCP ? 16 : 6 }

    /// The packet with its checksums, or with that of the pseudo-header alone where the transport's is.
    func bytes(isPartial: Bool) -> [UInt8] {
        var body = big(ports.0) + big(ports.1)
        if isTCP {
            body += big(sequence) + big(acknowledgement) + [UInt8(5 + tcpOptions.count / 4) << 4, flags]
            body += big(window) + [0, 0] + big(urgent) + tcpOptions
        } else {
            body += big(UInt16(truncatingIfNeeded: 8 + payload.count)) + [0, 0]
        }
        body += payload
        var packet = PacketView(network(of: body.count) + body)
        if isPartial { packet.checksum = packet.pseudoSum } else { packet.completeChecksum() }
        return packet.bytes
    }

    var bytes: [UInt8] { bytes(isPartial: false) }

    private func network(of length: Int) -> [UInt8] {
        if isV6 {
            return [0x60 | trafficClass >> 4, trafficClass << 4 | flowLabel, 0, 0]
                + big(UInt16(truncatingIfNeeded: length)) + [isTCP ? 6 : 17, hopLimit]
                + [0xfd] + [UInt8](repeating: 0, count: 14) + [source] + [0xfd] + [UInt8](repeating: 0, count: 14)
                + [destination]
        }
        var header = [0x40 | UInt8(5 + ipOptions.count / 4), trafficClass]
        header += big(UInt16(truncatingIfNeeded: transport + length)) + big(identifier) + big(fragment)
        header += [hopLimit, isTCP ? 6 : 17, 0, 0, 10, 0, 0, source, 10, 0, 0, destination] + ipOptions
        var packet = PacketView(header)
        packet.completeHeader()
        return packet.bytes
    }

    /// As the device hands it over: to be cut into pieces of `segment` bytes.
    func frame(segment: Int, headerLength: Int? = nil) -> [UInt8] {
        let kind: UInt8 = isTCP ? (isV6 ? 4 : 1) : 5
        return virtioHeader(
            flags: 1, kind, headerLength: headerLength ?? headers, segment: segment, start: transport,
            offset: checksumOffset) + bytes(isPartial: true)
    }
}

func virtioHeader(flags: UInt8, _ kind: UInt8, headerLength: Int, segment: Int, start: Int, offset: Int) -> [UInt8] {
    [flags, kind]
        + [headerLength, segment, start, offset].flatMap { little(UInt16(truncatingIfNeeded: $0)) }
}

/// The packets that the kernel makes of a frame; `nil` if it refuses it.
func kernelSplit(_ frame: [UInt8]) -> [[UInt8]]? {
    let (flags, kind) = (frame[0], frame[1])
    let field = { (offset: Int) in Int(frame[offset]) | Int(frame[offset + 1]) << 8 }
    let (segment, start, offset) = (field(4), field(6), field(8))
    let packet = PacketView(Array(frame[10...]))
    let count = packet.bytes.count
    if kind == 0, flags == 0 { return [packet.bytes] }
    guard flags == 1, start + offset + 2 <= count, packet.length == count else { return nil }
    if kind == 0 {
        var whole = packet.bytes
        let sum = ~naiveSum(Array(whole[start...]))
        put(sum == 0 ? 0xffff : sum, into: &whole, at: start + offset)
        return [whole]
    }
    let isTCP = kind != 5
    guard kind == (isTCP ? (packet.isV6 ? 4 : 1) : 5), packet.transport == (isTCP ? 6 : 17), start == packet.start,
        start + offset == packet.checksumPlace, segment > 0
    else { return nil }
    let headers = start + (isTCP ? packet.tcpWords * 4 : 8)
    guard field(2) >= headers, headers + segment < count else { return nil }
    // The kernel goes on from what stands in the field, so it must be right.
    guard packet.pseudoSum == packet.checksum else { return nil }
    if !isTCP, packet.datagramLength != count - start { return nil }
    return stride(from: headers, to: count, by: segment).enumerated().map { index, place in
        let end = min(place + segment, count)
        var piece = PacketView(Array(packet.bytes[..<headers] + packet.bytes[place..<end]))
        piece.length = piece.bytes.count
        if !piece.isV6 {
            piece.identifier &+= UInt16(truncatingIfNeeded: index)
            piece.completeHeader()
        }
        if isTCP {
            piece.sequence &+= UInt32(place - headers)
            if end < count { piece.flags &= ~(Segment.fin | Segment.push) }
            if index > 0 { piece.flags &= ~Segment.congestionReduced }
        } else {
            piece.datagramLength = piece.bytes.count - start
        }
        piece.completeChecksum()
        return piece.bytes
    }
}

/// The Ethernet frames that the kernel makes of a write to a TAP.
func kernelCut(_ write: [UInt8]) throws -> [[UInt8]] {
    guard write[1] != 0 else { return [Array(write[10...])] }
    let frame = Array(write[10...])
    let start = frame[12] == 0x81 || frame[12] == 0x88 ? (frame[16] == 0x81 ? 22 : 18) : 14
    guard let packets = kernelSplit(shifted(Array(write[..<10]), by: -start) + frame[start...]) else { throw Refused() }
    return packets.map { frame[..<start] + $0 }
}

/// The kernel takes no such write.
private struct Refused: Error {}

/// A virtio header whose places are others by so many bytes.
func shifted(_ virtio: [UInt8], by bytes: Int) -> [UInt8] {
    var shifted = virtio
    for place in [2, 6] {
        let value = Int(virtio[place]) | Int(virtio[place + 1]) << 8
        shifted.replaceSubrange(place..<place + 2, with: little(UInt16(value + bytes)))
    }
    return shifted
}

extension Inbox {
    /// A frame with its virtio header.
    func wholeFrame(_ index: Int) -> [UInt8] {
        virtio(of: self[index]) + bytes(of: self[index])
    }
}

/// Without the identifier of a packet that must not be fragmented, which means nothing (RFC 6864 §4).
func withoutMeaninglessIdentifier(_ bytes: [UInt8]) -> [UInt8] {
    var packet = PacketView(bytes)
    guard packet.version == 4, packet.fragment & 0x4000 != 0 else { return bytes }
    // So that a right checksum of the header stays right, and a wrong one wrong.
    let sum = UInt32(packet.headerChecksum) + UInt32(packet.identifier)
    packet.headerChecksum = UInt16(truncatingIfNeeded: sum % 0xffff)
    packet.identifier = 0
    return packet.bytes
}

/// Whether all checksums of a whole packet without extension headers are right.
func hasRightChecksums(_ bytes: [UInt8]) -> Bool {
    let packet = PacketView(bytes)
    guard packet.start >= 20, packet.start + 8 <= bytes.count, packet.isV6 || packet.headerSum == 0xffff else {
        return false
    }
    return packet.bodySum == 0xffff
}
