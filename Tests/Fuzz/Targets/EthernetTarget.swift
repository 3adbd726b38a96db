import Addresses

@testable import TestKit
@testable import TunnelCore

/// Ethernet frames, also such as stand for several: what alice's device hands over arrives at bob's as it was, flow by flow; of what a peer
/// with our trust seals, bob's device is given only what a kernel takes.
///
/// Options: 0–1 the compression of both, 2 bob's device takes super-frames, 3 a unit may hold several flows, 4 bob answers neighbours, 5 bob
/// is a hub.
///
/// Control: 0–1 what the content is, 2 all before is sent first, 3–4 how a frame is made right, 5 a VLAN tag.
struct EthernetTarget {
    private let pair: Pair
    private let merges: Bool
    private var sent: [[UInt8]] = []
    private var number: UInt16 = 50_000
    private var sequence: UInt32 = 1

    private static let policies: [CompressionPolicy] = [.off, .init(.auto), .init(.receive), .init(.codec(.deflate))]

    /// What the content of a step is.
    private enum Form: Int {
        /// Frames of a peer: a PACK in pieces, or a UNIT.
        case pack, unit
        /// What the device hands over, as it is; and a super-frame of its size.
        case read, made
    }

    init(_ input: inout FuzzInput) {
        let bits = input.options()
        var policy = Self.policies[Int(bits & 3)]
        policy.scope = bits & 8 != 0 ? .peer : .flow
        var options = Pair.Options(compression: policy, mode: .frames(isHub: false))
        options.packs = true
        var other = options
        if bits & 32 != 0 { other.mode = .frames(isHub: true) }
        pair = Pair(alice: options, bob: other)
        merges = bits & 4 != 0
        for end in [pair.alice, pair.bob] {
            pair.link.change(end) { tunnel, _ in tunnel.mtu = 1500 }
        }
        pair.bob.tunnel.inbox.mergesTCP = merges
        pair.bob.tunnel.inbox.mergesUDP = merges
        pair.bob.tunnel.answersNeighbours = bits & 16 != 0
        // Alice knows then where the host 2 is.
        pair.link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: pair.alice)
        pair.link.drain()
        pair.link.send(ethernet: [ethernet(host(2), .everybody, text(46))], from: pair.bob)
        pair.link.drain()
        pair.link.listens = false
    }

    consuming func run(_ input: inout FuzzInput) throws(Violation) {
        while let step = input.step() {
            if step.isSet(2) { try drain() }
            switch Form(rawValue: step.bits(0...1)) ?? .pack {
            case .pack:
                number &+= 1
                for piece in fragmentRecords(record(0x1b, 1, step.content), number: number, count: 4) {
                    try deliver(piece)
                }
            case .unit: try deliver(unitRecord(step.content, parameter: 0x21))
            case .read: read(step.content)
            case .made: take(made(step))
            }
        }
        try drain()
        try expectAlive()
    }

    // MARK: Of a peer

    private func deliver(_ payload: [UInt8]) throws(Violation) {
        guard payload.count <= Limits.datagram - Transport.overhead,
            let datagram = pair.alice.seal(payload, to: pair.bob)
        else { return }
        var buffer = datagram
        do {
            var span = buffer.mutableSpan
            var bytes = unsafe span.mutableBytes
            pair.bob.tunnel.handleDatagram(
                &bytes, from: Path(pair.alice.endpoint), trafficClass: 0, at: pair.link.now(at: pair.bob))
        }
        _ = try received()
        pair.link.settle(pair.bob)
    }

    /// The frames that the kernel makes of what bob's device is given.
    private func received() throws(Violation) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        for write in pair.bob.driver.takeWrites() {
            guard let cut = try? kernelCut(write.virtio + write.packet) else {
                throw Violation("the kernel would refuse the write \(write.virtio) \(write.packet.prefix(80))")
            }
            for frame in cut {
                try require(frame.count >= 14 && frame.count <= 1522, "a frame of \(frame.count) bytes")
                try require(frame[6] & 1 == 0, "a frame from a group")
            }
            frames += cut
        }
        try require(pair.bob.tunnel.drops[.overflow] == 0, "an inbox without room")
        return frames
    }

    // MARK: Of the device

    /// Hands over whatever it is.
    private func read(_ content: [UInt8]) {
        var buffer = content
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        pair.alice.tunnel.handleDeviceRead(&bytes, at: pair.link.now(at: pair.alice))
        pair.alice.driver.makeRoomToSend()
    }

    /// Hands over what a kernel could have, which must arrive.
    private mutating func take(_ frame: [UInt8]) {
        guard let frames = try? kernelCut(frame) else { return }
        sent += frames
        read(frame)
    }

    /// A frame of alice's host for bob's, of sizes that the content says.
    private mutating func made(_ step: FuzzInput.Step) -> [UInt8] {
        let content = step.content
        let size = content.count < 2 ? 1 : 1 + (Int(content[0]) | Int(content[1]) << 8) % 20_000
        let each = content.count < 3 ? 1000 : 1 + Int(content[2]) * 5
        var segment = Segment(isV6: step.isSet(3), isTCP: step.isSet(4))
        segment.sequence = sequence
        segment.identifier = UInt16(truncatingIfNeeded: sequence)
        segment.ports = (4000, content.count > 3 ? UInt16(content[3] & 3) : 1)
        segment.flags = content.count > 4 && content[4] & 7 == 0 ? 0x18 : 0x10
        segment.trafficClass = content.count > 4 ? content[4] >> 6 : 0
        let isSuper = size > each && size / each < 120
        let bytes = isSuper ? size : min(size, 1400)
        segment.payload = (0..<bytes).map { content.count > 8 ? content[$0 % content.count] : UInt8($0 & 0xff) }
        sequence &+= UInt32(bytes)
        let plain = [UInt8](repeating: 0, count: VirtioHeader.size) + segment.bytes
        let read = isSuper ? segment.frame(segment: each) : plain
        let whole = ethernet(host(1), host(2), ip: Array(read[10...]), tags: step.isSet(5) ? [0x8100] : [])
        let head = Array(read[..<10])
        return (isSuper ? shifted(head, by: whole.count - (read.count - 10)) : head) + whole
    }

    private mutating func drain() throws(Violation) {
        pair.alice.driver.sendGathered(at: pair.link.now(at: pair.alice))
        var received: [[UInt8]] = []
        for datagram in pair.alice.takeDatagrams() {
            var buffer = datagram.bytes
            do {
                var span = buffer.mutableSpan
                var bytes = unsafe span.mutableBytes
                pair.bob.tunnel.handleDatagram(
                    &bytes, from: Path(pair.alice.endpoint), trafficClass: datagram.trafficClass,
                    at: pair.link.now(at: pair.bob))
            }
            received += try self.received()
        }
        let (mine, theirs) = (Self.byFlow(sent, merges: merges), Self.byFlow(received, merges: merges))
        for (flow, frames) in mine where pair.alice.drops(.storm) == 0 {
            let arrived = (theirs[flow] ?? []).filter { frames.contains($0) }
            try require(arrived == frames, "\(frames.count) frames of a flow became \(theirs[flow]?.count ?? 0)")
        }
        sent = []
        pair.link.settle(pair.bob)
        pair.link.drain()
        _ = pair.bob.driver.takeWrites()
    }

    /// Frames by their addresses, VLANs and the flow of the packet in them.
    private static func byFlow(_ frames: [[UInt8]], merges: Bool) -> [[UInt8]: [[UInt8]]] {
        let same = frames.map { frame in
            let start = frame[12] == 0x81 ? 18 : 14
            return merges && frame.count > start + 20
                ? frame[..<start] + withoutMeaninglessIdentifier(Array(frame[start...])) : frame
        }
        return Dictionary(grouping: same) { frame in
            let start = frame[12] == 0x81 ? 18 : 14
            return Array(frame[..<start]) + (frame.count > start + 40 ? flow(of: Array(frame[start...])) : [])
        }
    }

    /// The session still carries frames.
    private func expectAlive() throws(Violation) {
        pair.link.run(for: .seconds(3))
        _ = pair.bob.driver.takeWrites()
        pair.forget()
        let frame = ethernet(host(1, 9), .everybody, text(100))
        pair.link.send(ethernet: [frame], from: pair.alice)
        pair.link.drain()
        try require(pair.bob.received.contains(frame), "alice's frame did not arrive")
    }
}

extension EthernetTarget {
    static var seeds: [(name: String, bytes: [UInt8])] {
        (0..<32 as Range<UInt8>).map { number in
            var seed = FuzzSeed(options: number | (number & 16) << 1)
            for index in 0..<6 as Range<UInt8> {
                seed.add([0x34, 0x12 &* index, 200, index, index] + text(40), control: 3 | (index & 7) << 3)
                var segment = Segment(isV6: index & 1 != 0, isTCP: index & 2 != 0)
                segment.payload = text(3000)
                let whole = ethernet(host(1), host(2), ip: segment.bytes, tags: index & 4 != 0 ? [0x8100] : [])
                let list = frameList([ethernet(host(1), host(2), text(46))]) + segmentedFrame(whole)
                seed.add(list, control: index & 1)
                seed.add(Array(list.dropLast(Int(index))), control: 4)
                let read = segment.frame(segment: 1000)
                seed.add(shifted(Array(read[..<10]), by: whole.count - (read.count - 10)) + whole, control: 2)
            }
            return ("frames-\(number)", seed.bytes)
        }
    }
}
