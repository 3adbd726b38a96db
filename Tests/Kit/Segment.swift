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
        var packet = network(of: body.count) + body
        let sum = isPartial ? pseudoSum(packet) : ~fold(UInt64(pseudoSum(packet)) + UInt64(naiveSum(body)))
        put(!isPartial && !isTCP && sum == 0 ? 0xffff : sum, into: &packet, at: transport + checksumOffset)
        return packet
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
        put(~naiveSum(header), into: &header, at: 10)
        return header
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
    let packet = Array(frame[10...])
    if kind == 0, flags == 0 { return [packet] }
    guard flags == 1, start + offset + 2 <= packet.count, wellFormedLength(packet) else { return nil }
    if kind == 0 {
        var whole = packet
        let sum = ~naiveSum(Array(packet[start...]))
        put(sum == 0 ? 0xffff : sum, into: &whole, at: start + offset)
        return [whole]
    }
    let isV6 = packet[0] >> 4 == 6
    let isTCP = kind != 5
    guard kind == (isTCP ? (isV6 ? 4 : 1) : 5), offset == (isTCP ? 16 : 6), segment > 0 else { return nil }
    let headers = start + (isTCP ? Int(packet[start + 12] >> 4) * 4 : 8)
    guard field(2) >= headers, headers + segment < packet.count else { return nil }
    // The kernel goes on from what stands in the field, so it must be right.
    guard pseudoSum(packet) == word(packet, start + offset) else { return nil }
    if !isTCP, word(packet, start + 4) != packet.count - start { return nil }
    return stride(from: headers, to: packet.count, by: segment).enumerated().map { index, place in
        let end = min(place + segment, packet.count)
        var piece = Array(packet[..<headers]) + packet[place..<end]
        if isV6 {
            put(UInt16(piece.count - 40), into: &piece, at: 4)
        } else {
            put(UInt16(piece.count), into: &piece, at: 2)
            put(UInt16(truncatingIfNeeded: Int(word(packet, 4)) + index), into: &piece, at: 4)
            put(0, into: &piece, at: 10)
            put(~naiveSum(Array(piece[..<start])), into: &piece, at: 10)
        }
        if isTCP {
            let sequence = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(packet[start + 4 + $1]) }
            piece.replaceSubrange(start + 4..<start + 8, with: big(sequence &+ UInt32(place - headers)))
            if end < packet.count { piece[start + 13] &= ~(Segment.fin | Segment.push) }
            if index > 0 { piece[start + 13] &= ~Segment.congestionReduced }
        } else {
            put(UInt16(piece.count - start), into: &piece, at: start + 4)
        }
        put(0, into: &piece, at: start + offset)
        let sum = ~fold(UInt64(pseudoSum(piece)) + UInt64(naiveSum(Array(piece[start...]))))
        put(!isTCP && sum == 0 ? 0xffff : sum, into: &piece, at: start + offset)
        return piece
    }
}

extension Inbox {
    /// A frame with its virtio header.
    func wholeFrame(_ index: Int) -> [UInt8] {
        virtio(of: self[index]) + bytes(of: self[index])
    }
}

/// Without the identifier of a packet that must not be fragmented, which means nothing (RFC 6864 §4).
func withoutMeaninglessIdentifier(_ packet: [UInt8]) -> [UInt8] {
    guard packet[0] >> 4 == 4, word(packet, 6) & 0x4000 != 0 else { return packet }
    var packet = packet
    // So that a right checksum of the header stays right, and a wrong one wrong.
    let sum = UInt32(word(packet, 10)) + UInt32(word(packet, 4))
    put(UInt16(truncatingIfNeeded: sum % 0xffff), into: &packet, at: 10)
    put(0, into: &packet, at: 4)
    return packet
}

/// Whether all checksums of a whole packet without extension headers are right.
func hasRightChecksums(_ packet: [UInt8]) -> Bool {
    let isV6 = packet[0] >> 4 == 6
    let start = isV6 ? 40 : Int(packet[0] & 15) * 4
    guard start >= 20, start + 8 <= packet.count, isV6 || naiveSum(Array(packet[..<start])) == 0xffff else {
        return false
    }
    return fold(UInt64(pseudoSum(packet)) + UInt64(naiveSum(Array(packet[start...])))) == 0xffff
}

private func wellFormedLength(_ packet: [UInt8]) -> Bool {
    packet[0] >> 4 == 6 ? Int(word(packet, 4)) == packet.count - 40 : Int(word(packet, 2)) == packet.count
}

/// The one's complement sum of big-endian words, as a number.
func naiveSum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt64 = 0
    for (index, byte) in bytes.enumerated() { sum += UInt64(byte) << (index % 2 == 0 ? 8 : 0) }
    return fold(sum)
}

/// That of the pseudo-header of a packet.
func pseudoSum(_ packet: [UInt8]) -> UInt16 {
    let isV6 = packet[0] >> 4 == 6
    let start = isV6 ? 40 : Int(packet[0] & 15) * 4
    let addresses = Array(isV6 ? packet[8..<40] : packet[12..<20])
    return fold(UInt64(naiveSum(addresses)) + UInt64(packet[isV6 ? 6 : 9]) + UInt64(packet.count - start))
}

private func fold(_ sum: UInt64) -> UInt16 {
    var sum = sum
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return UInt16(sum)
}

func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }

func put(_ word: UInt16, into bytes: inout [UInt8], at offset: Int) {
    bytes[offset] = UInt8(word >> 8)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: word)
}
