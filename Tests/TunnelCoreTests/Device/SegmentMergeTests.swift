import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// Runs of one flow become one frame, which the kernel can cut into the very packets that came: byte for byte.
@Suite struct SegmentMergeTests {
    @Test(arguments: [false, true], [false, true])
    func packetsInOrderBecomeOneFrame(isV6: Bool, isTCP: Bool) throws {
        for size in [1, 2, 3, 100, 536, 1000] {
            for last in [1, size - 1, size] where last > 0 {
                let packets = run(Segment(isV6: isV6, isTCP: isTCP), sizes: [size, size, size, last])
                let frames = try check(packets)
                #expect(frames.count == 1)
            }
        }
    }

    @Test(arguments: [false, true], [false, true])
    func aSinglePacketIsLeftAsItIs(isV6: Bool, isTCP: Bool) throws {
        let packet = run(Segment(isV6: isV6, isTCP: isTCP), sizes: [700])
        #expect(merge(packet) == [[UInt8](repeating: 0, count: 10) + packet[0]])
    }

    @Test(arguments: [false, true])
    func aFrameHoldsNoMoreThanSixtyFourPackets(isTCP: Bool) throws {
        let frames = try check(run(Segment(isTCP: isTCP), sizes: [Int](repeating: 10, count: 200)))
        #expect(frames.compactMap(kernelSplit).map(\.count) == [64, 64, 64, 8])
    }

    @Test(arguments: [false, true], [false, true])
    func aFrameIsNoLongerThanAnIPPacketCanBe(isV6: Bool, isTCP: Bool) throws {
        for size in [1024, 1368, 1448, 5000, 8948, 32_000, 32_747, 32_748, 32_768] {
            let frames = try check(run(Segment(isV6: isV6, isTCP: isTCP), sizes: [Int](repeating: size, count: 70)))
            #expect(frames.allSatisfy { $0.count <= 10 + 65_535 })
            #expect(frames.count < 70 || size > 32_700)
        }
    }

    @Test func aSmallerPacketAndAPushEndTheFrame() throws {
        let small = try check(run(Segment(), sizes: [100, 99, 100, 100]))
        #expect(small.compactMap(kernelSplit).map(\.count) == [2, 2])
        let trains = try check(run(Segment(isTCP: false), sizes: [1200, 1200, 1200, 37, 1200, 1200, 9]))
        #expect(trains.compactMap(kernelSplit).map(\.count) == [4, 3])
        var packets = run(Segment(), sizes: [100, 100, 100])
        packets[1] = changed(packets[1]) { $0.flags |= Segment.push }
        #expect(try check(packets).compactMap(kernelSplit).map(\.count) == [2, 1])
    }

    @Test func aLargerPacketIsNotAppended() throws {
        #expect(try check(run(Segment(), sizes: [100, 101])).count == 2)
        #expect(try check(run(Segment(isTCP: false), sizes: [100, 101])).count == 2)
    }

    @Test func gapsAndRepetitionsAndReorderedPacketsAreNotMerged() throws {
        let packets = run(Segment(), sizes: [100, 100, 100, 100])
        #expect(try check([packets[0], packets[2]]).count == 2)
        #expect(try check([packets[0], packets[0]]).count == 2)
        #expect(try check([packets[1], packets[0]]).count == 2)
        #expect(try check([packets[0], packets[2], packets[1], packets[3]]).count == 4)
    }

    @Test func whatDiffersInAnyFieldIsNotMerged() throws {
        let changes: [(String, (inout Segment) -> Void)] = [
            ("source", { $0.source = 9 }), ("destination", { $0.destination = 9 }), ("ports", { $0.ports.0 = 1 }),
            ("other port", { $0.ports.1 = 1 }), ("traffic class", { $0.trafficClass = 4 }),
            ("congestion", { $0.trafficClass = 3 }), ("hop limit", { $0.hopLimit = 63 }),
            ("flow label", { $0.flowLabel = 1 }), ("don't fragment", { $0.fragment = 0 }),
            ("reserved bit", { $0.fragment = 0xc000 }),
            ("acknowledgement", { $0.acknowledgement += 1 }), ("window", { $0.window += 1 }),
            ("urgent", { $0.urgent = 1 }), ("option", { $0.tcpOptions[5] ^= 1 }),
            ("last option", { $0.tcpOptions[11] ^= 1 }),
            ("more options", { $0.tcpOptions += [1, 1, 1, 1] }), ("fewer options", { $0.tcpOptions.removeLast(4) }),
        ]
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                var flow = Segment(isV6: isV6, isTCP: isTCP)
                if isTCP { flow.tcpOptions = SegmentSplitTests.timestamps }
                let packets = run(flow, sizes: [64, 64, 64])
                for (field, change) in changes {
                    var second = parsed(packets[1])
                    let before = second.bytes
                    if !isTCP, field.hasSuffix("options") || field.hasSuffix("option") { continue }
                    change(&second)
                    guard second.bytes != before else { continue }
                    #expect(try check([packets[0], second.bytes, packets[2]]).count > 2, "\(field)")
                }
            }
        }
    }

    @Test func flagsOtherThanAcknowledgeAndPushAreNeverMerged() throws {
        for flags: UInt8 in 0...255 where flags & ~Segment.push != Segment.acknowledge {
            let packets = run(Segment(flags: flags), sizes: [100, 100, 100])
            #expect(try check(packets).count == 3)
        }
    }

    @Test func aPacketWithAWrongChecksumArrivesAsItIs() throws {
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                let packets = run(Segment(isV6: isV6, isTCP: isTCP), sizes: [100, 100, 100])
                for wrong in packets.indices {
                    let first = packets[0]
                    // Of the header's checksum, the transport's, and a byte of the payload.
                    let checksum = (isV6 ? 40 : 20) + (isTCP ? 16 : 6)
                    for place in (isV6 ? [] : [10, 11]) + [checksum, checksum + 1, first.count - 1] {
                        var sent = packets
                        sent[wrong][place] ^= 0x41
                        let frames = merge(sent)
                        #expect(frames.contains([UInt8](repeating: 0, count: 10) + sent[wrong]), "byte \(place)")
                        #expect(frames.compactMap(kernelSplit).flatMap { $0 } == sent)
                    }
                }
            }
        }
    }

    @Test func aDatagramWithoutChecksumIsNotMerged() throws {
        var packets = run(Segment(isTCP: false), sizes: [100, 100])
        for index in packets.indices { packets[index].replaceSubrange(26..<28, with: [0, 0]) }
        #expect(merge(packets) == packets.map { [UInt8](repeating: 0, count: 10) + $0 })
    }

    @Test func fragmentsAndPacketsWithOptionsOfIPAreNotMerged() throws {
        for fragment: UInt16 in [0x2000, 0x2001, 0x0001, 0x1fff, 0x6000] {
            let packets = run(Segment(fragment: fragment), sizes: [104, 104])
            #expect(merge(packets) == packets.map { [UInt8](repeating: 0, count: 10) + $0 })
        }
        let packets = run(Segment(ipOptions: [1, 1, 1, 0]), sizes: [104, 104])
        #expect(merge(packets) == packets.map { [UInt8](repeating: 0, count: 10) + $0 })
    }

    @Test func packetsThatMayStillBeFragmentedKeepTheirIdentifiers() throws {
        for isTCP in [false, true] {
            let packets = run(Segment(isTCP: isTCP, identifier: 0xfffe, fragment: 0), sizes: [100, 100, 100, 100])
            #expect(try check(packets).count == 1)
            #expect(try check([packets[0], changed(packets[1]) { $0.identifier = 7 }]).count == 2)
            #expect(try check([packets[0], changed(packets[1]) { $0.identifier = 0xfffe }]).count == 2)
        }
    }

    @Test func aDataOffsetThatLiesNeitherTrapsNorMerges() throws {
        for isV6 in [false, true] {
            for words: UInt8 in 0...15 {
                var segment = Segment(isV6: isV6, payload: [UInt8](repeating: 3, count: 24))
                let packets = (0..<3).map { _ in
                    var packet = PacketView(segment.bytes)
                    // As a sequence of what would be the payload.
                    segment.sequence &+= 44 - 4 * UInt32(words < 11 ? words : 0)
                    packet.tcpWords = Int(words)
                    packet.completeChecksum()
                    return packet.bytes
                }
                #expect(packets.allSatisfy(hasRightChecksums))
                let cut = merge(packets).compactMap(kernelSplit).flatMap { $0 }
                #expect(cut.map(withoutMeaninglessIdentifier) == packets.map(withoutMeaninglessIdentifier))
            }
        }
    }

    @Test func whatTheDeviceDoesNotTakeIsNotMerged() {
        let tcp = run(Segment(), sizes: [100, 100])
        let udp = run(Segment(isTCP: false), sizes: [100, 100])
        #expect(merge(tcp + udp, tcp: false).count == 3)
        #expect(merge(tcp + udp, udp: false).count == 3)
        #expect(merge(tcp + udp, tcp: false, udp: false).count == 4)
    }

    // MARK: Any traffic

    @Test(arguments: 0..<24)
    func anyTrafficIsCutIntoTheVeryPacketsThatCame(seed: Int) throws {
        var noise = Noise(seed: UInt64(seed) + 1000)
        var arrived = 0
        var frames = 0
        for _ in 0..<250 {
            let packets = traffic(&noise)
            arrived += packets.count
            frames += try check(packets).count
        }
        // Else it proves nothing.
        #expect(frames < arrived * 9 / 10)
    }

    @Test(arguments: 0..<8)
    func anyTrafficOfTheDeviceArrivesAsTheKernelWouldHaveCutIt(seed: Int) throws {
        // Cut by us, merged by us, cut by the kernel.
        var noise = Noise(seed: UInt64(seed) + 2000)
        for _ in 0..<100 {
            let size = 1 + Int(noise.next() % 1400)
            let segment = Segment(
                isV6: noise.next() % 2 == 0, isTCP: noise.next() % 2 == 0,
                trafficClass: UInt8(truncatingIfNeeded: noise.next()),
                fragment: noise.next() % 2 == 0 ? 0 : 0x4000, flags: 0x10 | UInt8(truncatingIfNeeded: noise.next() & 8),
                tcpOptions: noise.next() % 2 == 0 ? [] : SegmentSplitTests.timestamps,
                payload: noise.bytes(size + 1 + Int(noise.next() % UInt64(size * 20))))
            let packets = try #require(kernelSplit(segment.frame(segment: size)))
            let frames = try check(packets)
            #expect(frames.count == 1)
        }
    }

    /// Some flows, interleaved, with everything that goes wrong on the way.
    private func traffic(_ noise: inout Noise) -> [[UInt8]] {
        func chance(_ of: UInt64) -> Bool { noise.next() % of == 0 }
        var flows = (0...noise.next() % 3).map { number in
            Segment(
                isV6: chance(2), isTCP: chance(2), trafficClass: UInt8(noise.next() % 4),
                fragment: chance(3) ? 0 : 0x4000, ipOptions: chance(12) ? [1, 1, 1, 0] : [],
                ports: (UInt16(number), 5000), sequence: UInt32(truncatingIfNeeded: noise.next()),
                tcpOptions: chance(2) ? SegmentSplitTests.timestamps : [])
        }
        var sizes = flows.map { _ in 1 + Int(noise.next() % (chance(8) ? 30_000 : 300)) }
        var packets: [[UInt8]] = []
        var current = 0
        for _ in 0..<4 + noise.next() % 24 {
            if chance(6) { current = Int(noise.next() % UInt64(flows.count)) }
            if chance(15) { sizes[current] = 1 + Int(noise.next() % 400) }
            var segment = flows[current]
            if !segment.isTCP { segment.tcpOptions = [] }
            segment.payload = noise.bytes(chance(10) ? Int(noise.next() % UInt64(sizes[current] + 1)) : sizes[current])
            if chance(15) { segment.flags |= Segment.push }
            if chance(60) { segment.flags |= UInt8(truncatingIfNeeded: noise.next()) }
            if chance(60) { segment.fragment = UInt16(truncatingIfNeeded: noise.next()) }
            flows[current].sequence &+= UInt32(segment.payload.count)
            flows[current].identifier &+= 1
            if chance(30) { flows[current].acknowledgement &+= 1 }
            if chance(30) { flows[current].window &+= 1 }
            if chance(40) { flows[current].hopLimit &-= 1 }
            if chance(40) { flows[current].trafficClass ^= 2 }
            if chance(40) { flows[current].fragment ^= 0x4000 }
            if chance(40) { flows[current].identifier &+= 5 }
            if chance(40) { flows[current].sequence &+= 5 }
            if chance(40), segment.isTCP { flows[current].tcpOptions = SegmentSplitTests.selective }
            var bytes = segment.bytes
            if chance(25) { bytes[bytes.count - 1 - Int(noise.next() % 8)] ^= 1 }
            packets.append(bytes)
        }
        for _ in 0..<noise.next() % 3 {
            packets.swapAt(
                Int(noise.next() % UInt64(packets.count)), Int(noise.next() % UInt64(packets.count)))
        }
        return packets
    }

    /// Merges, and sees to it that the kernel would cut the frames into these packets.
    @discardableResult
    private func check(_ packets: [[UInt8]]) throws -> [[UInt8]] {
        let frames = merge(packets)
        var cut: [[UInt8]] = []
        for frame in frames {
            let pieces = try #require(kernelSplit(frame), "the kernel refuses a frame")
            #expect(pieces.count <= 64 && frame.count <= 10 + 65_535)
            cut += pieces
        }
        let isSame = cut.map(withoutMeaninglessIdentifier) == packets.map(withoutMeaninglessIdentifier)
        #expect(isSame)
        return frames
    }

    /// Packets of one flow with payloads of these sizes, each continuing the one before.
    private func run(_ flow: Segment, sizes: [Int]) -> [[UInt8]] {
        var noise = Noise(seed: UInt64(sizes.count))
        var segment = flow
        return sizes.map { size in
            segment.payload = noise.bytes(size)
            defer {
                segment.sequence &+= UInt32(size)
                segment.identifier &+= 1
            }
            return segment.bytes
        }
    }
}

/// The frames with their virtio headers that packets become which arrive in one batch.
func merge(_ packets: [[UInt8]], tcp: Bool = true, udp: Bool = true) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var inbox = Inbox()
    inbox.mergesTCP = tcp
    inbox.mergesUDP = udp
    var memory = Arena(capacity: packets.reduce(1) { $0 + $1.count })
    var used = 0
    for packet in packets {
        var place = memory[used..<used + packet.count]
        used += packet.count
        unsafe place.copy(packet.span.bytes, to: 0)
        if let header = InternetPacket(place.bytes) { _ = inbox.append(&place, header) }
    }
    inbox.finish()
    for index in 0..<inbox.count { frames.append(inbox.wholeFrame(index)) }
    // What the inbox had borrowed.
    withExtendedLifetime(memory) {}
    return frames
}

/// The fields of a packet that `Segment` made.
private func parsed(_ packet: [UInt8]) -> Segment {
    let view = PacketView(packet)
    var segment = Segment(isV6: view.isV6, isTCP: view.transport == 6)
    segment.trafficClass = view.trafficClass
    segment.hopLimit = view.hopLimit
    if view.isV6 {
        segment.flowLabel = view.flowLabel
    } else {
        segment.identifier = view.identifier
        segment.fragment = view.fragment
    }
    segment.source = view.source.last ?? 0
    segment.destination = view.destination.last ?? 0
    segment.ports = view.ports
    if segment.isTCP {
        segment.sequence = view.sequence
        segment.acknowledgement = view.acknowledgement
        segment.flags = view.flags
        segment.window = view.window
        segment.urgent = view.urgent
        segment.tcpOptions = view.tcpOptions
    }
    segment.payload = Array(packet[segment.headers...])
    return segment
}

private func changed(_ packet: [UInt8], _ change: (inout Segment) -> Void) -> [UInt8] {
    var segment = parsed(packet)
    change(&segment)
    return segment.bytes
}
