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
        header.number == 6 && packet[header.start + 13] & 0x26 != 0
    }

    /// Where the transport header is, and of which protocol; `nil` for a fragment.
    private static func transport(_ packet: [UInt8]) -> (start: Int, number: UInt8)? {
        guard FuzzLink.hasHeader(packet) else { return nil }
        if packet[0] >> 4 == 6 { return packet[6] == 44 ? nil : (40, packet[6]) }
        return word(packet, 6) & 0x3fff != 0 ? nil : (Int(packet[0] & 15) * 4, packet[9])
    }

    private static func isBetweenUs(_ packet: [UInt8]) -> Bool {
        let isV6 = packet[0] >> 4 == 6
        let ours = Segment(isV6: isV6).bytes
        return isV6 ? packet[8..<40] == ours[8..<40] : packet[12..<20] == ours[12..<20]
    }

    /// The frame with what the kernel never gets wrong.
    private static func corrected(_ frame: [UInt8]) -> [UInt8] {
        guard frame.count >= VirtioHeader.size + 60 else { return frame }
        var packet = Array(frame.dropFirst(VirtioHeader.size))
        let isV6 = packet[0] & 0x20 != 0
        let ours = Segment(isV6: isV6).bytes
        packet[0] = isV6 ? 0x60 | packet[0] & 15 : 0x45 + packet[0] & 1
        let start = isV6 ? 40 : Int(packet[0] & 15) * 4
        if isV6 {
            packet.replaceSubrange(4..<6, with: big(UInt16(truncatingIfNeeded: packet.count - 40)))
            packet.replaceSubrange(8..<40, with: ours[8..<40])
        } else {
            packet.replaceSubrange(2..<4, with: big(UInt16(truncatingIfNeeded: packet.count)))
            packet.replaceSubrange(12..<20, with: ours[12..<20])
        }
        let isTCP = packet[isV6 ? 6 : 9] & 1 == 0
        packet[isV6 ? 6 : 9] = isTCP ? 6 : 17
        if !isTCP, packet.count >= start + 8 {
            packet.replaceSubrange(start + 4..<start + 6, with: big(UInt16(truncatingIfNeeded: packet.count - start)))
        }
        guard frame[0] & 1 != 0 else { return [0, 0] + frame[2..<VirtioHeader.size] + packet }
        let offset = isTCP ? 16 : 6
        if packet.count >= start + offset + 2 { put(pseudoSum(packet), into: &packet, at: start + offset) }
        let kind: UInt8 = frame[1] == 0 ? 0 : isTCP ? (isV6 ? 4 : 1) : 5
        return [1, kind] + [255, 0] + frame[4..<6] + little(UInt16(start)) + little(UInt16(offset)) + packet
    }
}

extension FuzzLink {
    /// Whether there is an IP header.
    static func hasHeader(_ packet: [UInt8]) -> Bool {
        guard packet.count >= 20 else { return false }
        let header = packet[0] >> 4 == 4 ? Int(packet[0] & 15) * 4 : packet[0] >> 4 == 6 ? 40 : 0
        return header >= 20 && header <= packet.count
    }
}
