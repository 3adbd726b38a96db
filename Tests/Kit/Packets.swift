import Addresses

@testable import TunnelCore

/// A UDP packet over IPv4 from one site's address to another's, with so many bytes of noise inside.
func udp(_ from: UInt8, _ to: UInt8, payload count: Int, port: UInt16 = 4000) -> [UInt8] {
    var noise = Noise(seed: UInt64(count))
    return packet(site(from).v4, site(to).v4, transport: 17, ports: (port, port), noise.bytes(count))
}

/// The same with a content.
func udp(_ from: UInt8, _ to: UInt8, _ content: [UInt8], port: UInt16 = 4000) -> [UInt8] {
    packet(site(from).v4, site(to).v4, transport: 17, ports: (port, port), content)
}

/// A packet of UDP or TCP: an IP header with its checksum, a transport header of which only the ports are filled in,
/// and the content.
func packet(
    _ from: IPAddress, _ to: IPAddress, transport: UInt8, ports: (UInt16, UInt16), _ content: [UInt8],
    congestion: UInt8 = 0
) -> [UInt8] {
    let transportHeader = big(ports.0) + big(ports.1) + [UInt8](repeating: 0, count: transport == 6 ? 16 : 4)
    let body = transportHeader + content
    switch (from, to) {
    case (.v4(let source), .v4(let destination)):
        var header: [UInt8] = [0x45, congestion] + big(UInt16(20 + body.count)) + [0, 0, 0, 0, 64, transport, 0, 0]
        header += big(source) + big(destination)
        var packet = PacketView(header + body)
        packet.completeHeader()
        return packet.bytes
    case (.v6(let source), .v6(let destination)):
        return [0x60, congestion << 4, 0, 0] + big(UInt16(body.count)) + [transport, 64] + big(source)
            + big(destination) + body
    default: return []
    }
}

/// A raw IPv4 packet of exactly `length` bytes, at least 20.
func v4(_ from: UInt8, _ to: UInt8, length: Int) -> [UInt8] {
    var noise = Noise(seed: UInt64(length))
    return bare(site(from).v4, site(to).v4, noise.bytes(length - 20))
}

private func bare(_ from: IPAddress, _ to: IPAddress, _ body: [UInt8]) -> [UInt8] {
    guard case .v4(let source) = from, case .v4(let destination) = to else { return [] }
    let header: [UInt8] = [0x45, 0] + big(UInt16(20 + body.count)) + [0, 0, 0, 0, 64, 59, 0, 0]
    return header + big(source) + big(destination) + body
}

/// Text that compresses well, and differs from line to line.
func text(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var line = 0
    while bytes.count < count {
        bytes += Array("Nov 23 06:10:\(line) gateway sshd[812]: Accepted publickey for root from 10.0.0.1\n".utf8)
        line += 1
    }
    return Array(bytes.prefix(count))
}

func big<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    stride(from: Number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
}

func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] { big(number).reversed() }

/// Bytes without pattern, the same for the same seed (SplitMix64).
struct Noise: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let bits = next()
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt64(shift)))) }
        }
        return Array(bytes.prefix(count))
    }
}
