@testable import TunnelCore

/// Packets from site 1 to site 2 of every kind, one after another in a few flows, right and wrong, the same for the same seed.
struct PacketSource {
    var noise: Noise
    private var flows: [Segment] = []
    /// What the ECN bits of all are: one record has one class.
    private let congestion: UInt8

    init(seed: UInt64) {
        noise = Noise(seed: seed)
        congestion = UInt8(seed % 3)
    }

    /// Members of one record, up to some 30 KB.
    mutating func members(count: Int) -> [Member] {
        var members: [Member] = []
        var packets = 0
        var bytes = 0
        for _ in 0..<count {
            let member = next()
            let stands = member.packets?.count ?? 1000
            guard packets + stands <= 128, bytes + member.packet.count < 30_000 else { break }
            packets += stands
            bytes += member.packet.count
            members.append(member)
        }
        return members.isEmpty ? [Member(packet: udp(1, 2, payload: 1))] : members
    }

    private mutating func next() -> Member {
        switch noise.next() % 10 {
        case 0: return Member(packet: odd())
        case 1: return Member(packet: damaged(segment().bytes))
        case 2:
            var segment = segment()
            segment.payload = noise.bytes(2 + Int(noise.next() % 4000))
            let size = 1 + Int(noise.next() % UInt64(segment.payload.count - 1))
            let member = Member(packet: segment.bytes, segment: size)
            return (member.packets?.count ?? 1000) <= 100 ? member : Member(packet: segment.bytes)
        default: return Member(packet: segment().bytes)
        }
    }

    /// The next packet of one of the flows.
    private mutating func segment() -> Segment {
        if flows.count < 3 { flows.append(flow()) }
        let index = Int(noise.next() % 3) % flows.count
        var segment = flows[index]
        segment.identifier &+= 1
        segment.sequence &+= UInt32(segment.payload.count)
        if noise.next() % 3 == 0 { segment.acknowledgement &+= UInt32(noise.next() % 100_000) }
        if noise.next() % 5 == 0 { segment.window &+= 1 }
        if noise.next() % 9 == 0 { segment.flags = UInt8(truncatingIfNeeded: noise.next()) }
        if noise.next() % 9 == 0 { segment.identifier &+= 3 }
        if noise.next() % 9 == 0 { segment.sequence &-= 77 }
        if noise.next() % 20 == 0 { segment.hopLimit &-= 1 }
        if noise.next() % 30 == 0 { segment.fragment = 0x2000 }
        segment.payload = noise.next() % 4 == 0 ? [] : noise.bytes(Int(noise.next() % 300))
        flows[index] = segment
        if noise.next() % 40 == 0 { flows.remove(at: index) }
        return segment
    }

    private mutating func flow() -> Segment {
        var segment = Segment(isV6: noise.next() % 3 == 0, isTCP: noise.next() % 2 == 0)
        segment.trafficClass = UInt8(truncatingIfNeeded: noise.next()) & 0xfc | congestion
        segment.identifier = UInt16(truncatingIfNeeded: noise.next())
        segment.sequence = UInt32(truncatingIfNeeded: noise.next())
        segment.ports = (UInt16(truncatingIfNeeded: noise.next()), UInt16(truncatingIfNeeded: noise.next()))
        segment.fragment = noise.next() % 2 == 0 ? 0x4000 : 0
        if segment.isTCP { segment.tcpOptions = noise.bytes(4 * Int(noise.next() % 11)) }
        if !segment.isV6 { segment.ipOptions = noise.next() % 4 == 0 ? noise.bytes(4 * Int(noise.next() % 11)) : [] }
        return segment
    }

    /// Wrong checksums, none at all, wrong lengths, a header that is too short.
    private mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var packet = PacketView(bytes)
        guard let header = MemberHeader(bytes) else { return bytes }
        switch noise.next() % 6 {
        case 0: if header.checksum != nil { packet.checksum = 0 }
        case 1: if header.checksum != nil { packet.checksum ^= 0x1100 }
        case 2: if !header.isV6 { packet.headerChecksum ^= 0x40 }
        case 3:
            guard header.checksum != nil else { break }
            // The length of UDP, or of TCP's header.
            packet.bytes[header.start + (header.transport == 17 ? 5 : 12)] = 0x13
        case 4:
            packet.bytes = Array(bytes[..<min(bytes.count, header.start + Int(noise.next() % 24))])
            packet.length = packet.bytes.count
        default: packet.bytes[header.isV6 ? 1 : 8] ^= 0x0c << (header.isV6 ? 4 : 0)
        }
        return packet.bytes
    }

    /// ICMP, another protocol, fragments, IPv6 with extension headers.
    private mutating func odd() -> [UInt8] {
        let body = noise.bytes(Int(noise.next() % 200))
        let transport: UInt8 = [1, 47, 59, 132][Int(noise.next() % 4)]
        var segment = Segment(isV6: noise.next() % 2 == 0, trafficClass: congestion, payload: body)
        segment.identifier = UInt16(truncatingIfNeeded: noise.next())
        var packet = PacketView(segment.bytes)
        if segment.isV6 {
            packet.transport = [58, 44, 0, 43, 59][Int(noise.next() % 5)]
        } else if noise.next() % 3 == 0 {
            packet.fragment = [0x2000, 0x2010, 0x0010][Int(noise.next() % 3)]
        } else {
            packet.transport = transport
        }
        return packet.bytes
    }
}
