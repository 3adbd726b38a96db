import Addresses

@testable import TestKit
@testable import TunnelCore

/// Packets that alice gathers and sends as units and bundles: bob's device gets them as they were, each flow in order, and
/// nothing takes more on the wire than in plain WireGuard.
///
/// Options: 0–1 alice's compression, 2 AES-256-GCM, 3 bob's device takes super-segments, 4 a unit may hold several flows, 5 both take packs.
///
/// Control: 0–2 what the content becomes, 3 all before is sent first, 4–5 which flow, 6–7 what the payload is.
struct MembersTarget {
    private let fuzz: FuzzLink
    private let merges: Bool
    private let packs: Bool
    /// As the device hands them over, and what they stand for.
    private var sent: [[UInt8]] = []
    private var datagrams: [MemoryDriver.Datagram] = []
    private var flows: [Segment]

    private static let policies: [CompressionPolicy] = [
        .init(.auto), .init(.codec(.deflate)), .init(.codec(.zstd)), .init(.auto, skip: TrafficRules([])),
    ]

    init(_ input: inout FuzzInput) {
        let options = input.options()
        merges = options & 8 != 0
        packs = options & 32 != 0
        var policy = Self.policies[Int(options & 3)]
        policy.scope = options & 16 != 0 ? .peer : .flow
        fuzz = FuzzLink(
            policy, .init(.auto), options & 4 != 0 ? .auto : .chacha20poly1305, merges: merges, packs: packs)
        flows = (0..<16).map(Self.flow)
    }

    private static func flow(_ number: Int) -> Segment {
        var segment = Segment(isV6: number & 1 != 0, isTCP: number & 2 != 0, ports: (UInt16(1000 + number), 5000))
        segment.fragment = number & 4 != 0 ? 0x4000 : 0
        segment.tcpOptions = number & 8 != 0 ? [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] : []
        return segment
    }

    consuming func run(_ input: inout FuzzInput) throws(Violation) {
        while let step = input.step() {
            if step.isSet(3) { try drain() }
            take(frame(step))
        }
        try drain()
        try fuzz.expectAlive()
    }

    // MARK: Packets

    /// What a step hands over: a frame that the kernel could have.
    private mutating func frame(_ step: FuzzInput.Step) -> [UInt8] {
        let plain = [UInt8](repeating: 0, count: VirtioHeader.size)
        let kind = step.bits(0...2)
        if kind == 0 { return plain + Self.packet(step.content, isV6: step.isSet(4)) }
        let number = step.bits(4...5) << 2 | kind & 3
        let content = step.content
        let size = content.count < 2 ? 0 : (Int(content[0]) | Int(content[1]) << 8) % (kind < 4 ? 1400 : 12_000)
        var segment = flows[number]
        segment.payload = Self.payload(step, size)
        if !segment.isTCP { segment.tcpOptions = [] }
        flows[number].sequence &+= UInt32(size)
        let each = 1 + (content.count < 3 ? 1000 : Int(content[2]) * 8)
        let packets = size / each + 1
        flows[number].identifier &+= kind < 4 ? 1 : UInt16(packets)
        if kind >= 4, size > each, packets < 200 { return segment.frame(segment: each) }
        var packet = segment.bytes
        // Odd headers: places and what is changed there.
        for index in stride(from: 3, to: min(content.count - 1, 19), by: 2) where step.bits(6...7) < 2 {
            let place = Int(content[index])
            if place < segment.headers { packet[place] ^= content[index + 1] }
        }
        return plain + packet
    }

    /// A packet of alice's for bob with these bytes, where the header's don't say so.
    private static func packet(_ content: [UInt8], isV6: Bool) -> [UInt8] {
        guard content.count >= (isV6 ? 40 : 20) else { return content }
        var packet = PacketView(content)
        packet.version = isV6 ? 6 : 4
        if !isV6 { packet.headerWords = UInt8(min(max(5, Int(packet.headerWords)), content.count / 4)) }
        packet.length = content.count
        packet.addresses = PacketView(Segment(isV6: isV6).bytes).addresses
        return packet.bytes
    }

    private static func payload(_ step: FuzzInput.Step, _ size: Int) -> [UInt8] {
        switch step.bits(6...7) {
        case 0, 2: return text(size)
        case 1:
            var noise = Noise(seed: UInt64(size))
            return noise.bytes(size)
        default: return (0..<size).map { step.content[$0 % step.content.count] }
        }
    }

    /// Hands a frame to alice, if it is one of her packets for bob.
    private mutating func take(_ frame: [UInt8]) {
        guard frame.count >= VirtioHeader.size + 20, let packets = kernelSplit(frame),
            packets.allSatisfy({ FuzzLink.source(of: $0).map { [site(1).v4, site(1).v6].contains($0) } == true }),
            packets.allSatisfy({ Self.isForBob($0) })
        else { return }
        var frame = frame
        sent += packets
        do {
            var span = frame.mutableSpan
            var bytes = unsafe span.mutableBytes
            fuzz.alice.tunnel.handleDeviceRead(&bytes, at: fuzz.link.now(at: fuzz.alice))
        }
        datagrams += fuzz.alice.takeDatagrams()
    }

    private static func isForBob(_ packet: [UInt8]) -> Bool {
        let view = PacketView(packet)
        return view.destination == PacketView(Segment(isV6: view.isV6).bytes).destination
    }

    // MARK: To bob

    private mutating func drain() throws(Violation) {
        fuzz.alice.driver.sendGathered(at: fuzz.link.now(at: fuzz.alice))
        datagrams += fuzz.alice.takeDatagrams()
        let plain = sent.reduce(0) {
            $0 + Transport.wireSize(Transport.paddedSize($1.count, mtu: fuzz.alice.tunnel.mtu))
        }
        let wire = datagrams.reduce(0) { $0 + $1.bytes.count + 28 }
        // What is too large for one datagram goes in more.
        try require(packs || wire <= plain, "\(plain) bytes in plain WireGuard became \(wire)")
        for datagram in datagrams {
            try fuzz.deliver(datagram.bytes, from: fuzz.alice.endpoint, trafficClass: datagram.trafficClass)
        }
        try requireSame(fuzz.takePackets(), sent, merges: merges)
        sent = []
        datagrams = []
        // What bob has to say of it.
        fuzz.link.drain()
    }
}
