import Addresses

@testable import TestKit
@testable import TunnelCore

/// Frames of alice's device. Those that the kernel could have handed over arrive as the packets that it would have made of
/// them; of others only whole packets of hers do.
///
/// Options: 0 compression, 1 AES-256-GCM, 2 bob's device takes super-segments, 3 a unit may hold several flows.
///
/// Control: 0 all before is sent first, 1 the packet inside is made right: lengths, addresses, and the sum that the kernel
/// has begun.
struct FrameTarget {
    private let fuzz: FuzzLink
    private let merges: Bool
    private var sent: [[UInt8]] = []
    /// Flows in which there was something that no kernel says.
    private var odd: Set<[UInt8]> = []
    private var datagrams: [MemoryDriver.Datagram] = []

    init(_ input: inout FuzzInput) {
        let options = input.options()
        merges = options & 4 != 0
        let policy = CompressionPolicy(options & 1 != 0 ? .auto : .off, scope: options & 8 != 0 ? .peer : .flow)
        fuzz = FuzzLink(policy, policy, options & 2 != 0 ? .auto : .chacha20poly1305, merges: merges)
    }

    consuming func run(_ input: inout FuzzInput) throws(Violation) {
        while let step = input.step() {
            if step.isSet(0) { try drain() }
            take(step.isSet(1) ? Self.corrected(step.content) : step.content)
        }
        try drain()
        try fuzz.expectAlive()
    }

    private mutating func take(_ frame: [UInt8]) {
        if let packets = Self.model(frame) {
            sent += packets.filter(Self.isBetweenUs)
        } else if frame.count >= VirtioHeader.size + 20, FuzzLink.hasHeader(Array(frame.dropFirst(VirtioHeader.size))) {
            odd.insert(flow(of: Array(frame.dropFirst(VirtioHeader.size))))
        }
        var frame = frame
        do {
            var span = frame.mutableSpan
            var bytes = unsafe span.mutableBytes
            fuzz.alice.tunnel.handleDeviceRead(&bytes, at: fuzz.link.now(at: fuzz.alice))
        }
        datagrams += fuzz.alice.takeDatagrams()
        _ = fuzz.alice.driver.takeWrites()
    }

    private mutating func drain() throws(Violation) {
        fuzz.alice.driver.sendGathered(at: fuzz.link.now(at: fuzz.alice))
        datagrams += fuzz.alice.takeDatagrams()
        for datagram in datagrams {
            try fuzz.deliver(datagram.bytes, from: fuzz.alice.endpoint, trafficClass: datagram.trafficClass)
        }
        let received = try fuzz.takePackets()
        // Of pieces so small that there is no room for all headers, not all go out.
        let isWhole = fuzz.alice.tunnel.drops[.overflow] == 0
        let odd = odd
        if isWhole {
            try requireSame(
                received.filter { !odd.contains(flow(of: $0)) }, sent.filter { !odd.contains(flow(of: $0)) },
                merges: merges)
        }
        sent = []
        datagrams = []
        fuzz.link.drain()
    }

    // MARK: What the kernel says

    /// The packets that a frame stands for; `nil` if no kernel hands it over.
    static func model(_ frame: [UInt8]) -> [[UInt8]]? {
        let packet = Array(frame.dropFirst(VirtioHeader.size))
        guard frame.count >= VirtioHeader.size + 20, let header = transport(packet), FuzzLink.source(of: packet) != nil
        else {
            return nil
        }
        if frame[0] & 1 == 0, frame[1] == 0 { return [packet] }
        let start = Int(frame[6]) | Int(frame[7]) << 8
        let offset = Int(frame[8]) | Int(frame[9]) << 8
        guard frame[0] == 1, start == header.start, offset == (header.number == 6 ? 16 : 6),
            [6, 17].contains(header.number), start + (header.number == 6 ? 20 : 8) <= packet.count,
            header.number == 17 || packet[start + 12] >> 4 >= 5
        else { return nil }
        if frame[1] != 0, flagsAreOdd(packet, header) { return nil }
        return kernelSplit(frame)
    }

    /// SYN, RST and URG are on no super-segment.
    private static func flagsAreOdd(_ packet: [UInt8], _ header: (start: Int, number: UInt8)) -> Bool {
        header.number == 6 && PacketView(packet).flags & 0x26 != 0
    }

    /// Where the transport header is, and of which protocol; `nil` for a fragment.
    private static func transport(_ packet: [UInt8]) -> (start: Int, number: UInt8)? {
        guard FuzzLink.hasHeader(packet) else { return nil }
        let view = PacketView(packet)
        return view.isFragment ? nil : (view.start, view.transport)
    }

    private static func isBetweenUs(_ packet: [UInt8]) -> Bool {
        let view = PacketView(packet)
        return view.addresses == PacketView(Segment(isV6: view.isV6).bytes).addresses
    }

    /// The frame with what the kernel never gets wrong.
    private static func corrected(_ frame: [UInt8]) -> [UInt8] {
        guard frame.count >= VirtioHeader.size + 60 else { return frame }
        var packet = PacketView(Array(frame.dropFirst(VirtioHeader.size)))
        let (count, words) = (packet.bytes.count, packet.headerWords)
        packet.version = packet.bytes[0] & 0x20 != 0 ? 6 : 4
        if !packet.isV6 { packet.headerWords = 5 + words & 1 }
        packet.length = count
        packet.addresses = PacketView(Segment(isV6: packet.isV6).bytes).addresses
        let isTCP = packet.transport & 1 == 0
        packet.transport = isTCP ? 6 : 17
        if !isTCP, count >= packet.start + 8 { packet.datagramLength = count - packet.start }
        guard frame[0] & 1 != 0 else { return [0, 0] + frame[2..<VirtioHeader.size] + packet.bytes }
        if count >= packet.checksumPlace + 2 { packet.checksum = packet.pseudoSum }
        let kind: UInt8 = frame[1] == 0 ? 0 : isTCP ? (packet.isV6 ? 4 : 1) : 5
        let places = [packet.start, packet.checksumPlace - packet.start].flatMap { little(UInt16($0)) }
        return [1, kind] + [255, 0] + frame[4..<6] + places + packet.bytes
    }
}

extension FuzzLink {
    /// Whether there is an IP header.
    static func hasHeader(_ packet: [UInt8]) -> Bool {
        let view = PacketView(packet)
        return packet.count >= 20 && (view.version == 4 || view.isV6) && (20...packet.count).contains(view.start)
    }
}
