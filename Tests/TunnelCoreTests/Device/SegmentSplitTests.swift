import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// Super-segments of the device are cut as the kernel would cut them, whatever their headers look like.
@Suite struct SegmentSplitTests {
    /// As TCP_MAXSEG allows them, and a jumbo frame's; odd ones among them.
    static let segmentSizes =
        Array(stride(from: 88, through: 8960, by: 173)) + [1, 7, 536, 1000, 1368, 1448, 8948, 8960]

    static let timestamps: [UInt8] = [1, 1, 8, 10, 0, 0, 1, 2, 3, 4, 5, 6]
    static let selective: [UInt8] = [1, 1, 5, 10] + Array(1...8)

    @Test(arguments: segmentSizes)
    func superSegmentsOfEverySizeAreCutAsTheKernelCutsThem(size: Int) throws {
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                // Two whole pieces; one byte more and less; as much as fits.
                let most = 65_535 - 80
                for count in [size + 1, 2 * size - 1, 2 * size, 2 * size + 1, 3 * size - size / 2, most]
                where count > size && count <= most && count / size <= 700 {
                    var noise = Noise(seed: UInt64(size * 4 + count))
                    let segment = Segment(
                        isV6: isV6, isTCP: isTCP, identifier: 0xfffe, sequence: 0xffff_fff0,
                        flags: Segment.acknowledge | Segment.push,
                        tcpOptions: count % 2 == 0 ? Self.timestamps : Self.timestamps + Self.selective,
                        payload: noise.bytes(count))
                    try check(segment, size)
                }
            }
        }
    }

    @Test func finAndPushAreOnlyOnTheLastAndCongestionWindowReducedOnlyOnTheFirst() throws {
        for isV6 in [false, true] {
            for flags: UInt8 in 0...255 where flags & 0x06 == 0 {
                let segment = Segment(isV6: isV6, flags: flags, payload: [UInt8](repeating: 7, count: 250))
                let packets = try check(segment, 100)
                let seen = packets.map { PacketView($0).flags }
                #expect(seen == [flags & 0xf6, flags & 0x76, flags & 0x7f])
            }
        }
    }

    @Test func identifiersCountUpAndWrapAround() throws {
        for fragment: UInt16 in [0, 0x4000] {
            let segment = Segment(identifier: 0xfffe, fragment: fragment, payload: [UInt8](repeating: 7, count: 450))
            let packets = try check(segment, 100)
            #expect(packets.map { PacketView($0).identifier } == [0xfffe, 0xffff, 0, 1, 2])
        }
    }

    @Test(arguments: 0...255)
    func theTrafficClassWithItsCongestionBitsIsOnEveryPacket(trafficClass: Int) throws {
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                let segment = Segment(
                    isV6: isV6, isTCP: isTCP, trafficClass: UInt8(trafficClass), flowLabel: 5,
                    payload: [UInt8](repeating: 1, count: 333))
                for packet in try check(segment, 111) {
                    #expect(PacketView(packet).trafficClass == UInt8(trafficClass))
                }
            }
        }
    }

    @Test(arguments: [0, 4, 8, 12, 20, 36, 40])
    func optionsOfIPAndOfTCPAreOnEveryPacket(count: Int) throws {
        for isTCP in [false, true] {
            for tcp in stride(from: 0, through: 40, by: 4) {
                let segment = Segment(
                    isTCP: isTCP, ipOptions: [UInt8](repeating: 1, count: count),
                    tcpOptions: isTCP ? [UInt8](repeating: 1, count: tcp) : [], payload: Array(0..<201))
                try check(segment, 50)
                // Headers longer than the payload that they are written over.
                try check(segment, 3)
            }
        }
    }

    @Test func aUDPChecksumThatComesOutAsZeroIsWrittenAsAllOnes() throws {
        for isV6 in [false, true] {
            var segment = Segment(isV6: isV6, isTCP: false, payload: [UInt8](repeating: 9, count: 100))
            // The last word of each piece makes up for the rest.
            let one = Segment(isV6: isV6, isTCP: false, payload: [UInt8](repeating: 9, count: 48) + [0, 0]).bytes
            let piece = [UInt8](repeating: 9, count: 48) + big(PacketView(one).checksum)
            segment.payload = piece + piece
            for packet in try check(segment, 50) { #expect(PacketView(packet).checksum == 0xffff) }
        }
    }

    @Test func whatTheVirtioHeaderSaysOfTheHeadersLengthIsNotReliedOn() throws {
        for isTCP in [false, true] {
            let segment = Segment(isTCP: isTCP, payload: Array(0..<222))
            let right = try #require(split(segment.frame(segment: 100)))
            for lie in [0, 1, segment.headers - 1, segment.headers + 1, 250, 65_535] {
                #expect(split(segment.frame(segment: 100, headerLength: lie)) == right)
            }
        }
    }

    @Test(arguments: [0, 43, 60] as [UInt8])
    func extensionsOfIPv6AreOnEveryPacket(next: UInt8) throws {
        for isTCP in [false, true] {
            for count in [8, 16, 72] {
                let segment = Segment(isV6: true, isTCP: isTCP, payload: Array(0..<222))
                // Behind a routing header the address in the header need not be the one that is summed.
                func extended(_ bytes: [UInt8]) -> [UInt8] {
                    var packet = PacketView(bytes)
                    packet.length += count
                    let options = [packet.transport, UInt8(count / 8 - 1)] + [UInt8](repeating: 0, count: count - 2)
                    packet.transport = next
                    if next == 43 { packet.addresses[31] = 77 }
                    packet.bytes.insert(contentsOf: options, at: 40)
                    return packet.bytes
                }
                let frame = segment.frame(segment: 100)
                let header = virtioHeader(
                    flags: 1, frame[1], headerLength: segment.headers + count, segment: 100, start: 40 + count,
                    offset: segment.checksumOffset)
                let packets = try #require(split(header + extended(Array(frame[10...]))))
                let isSame = packets == kernelSplit(frame)?.map(extended)
                #expect(isSame)
            }
        }
    }

    @Test func bytesBehindThePacketAreNotSent() throws {
        let frame = Segment(payload: Array(0..<222)).frame(segment: 100)
        #expect(split(frame + [1, 2, 3]) == split(frame))
    }

    @Test(arguments: [false, true])
    func aChecksumThatIsLeftToUsIsCompleted(isV6: Bool) {
        for isTCP in [false, true] {
            for count in [0, 1, 2, 31, 32, 33, 1371, 1372] {
                var noise = Noise(seed: UInt64(count))
                let segment = Segment(isV6: isV6, isTCP: isTCP, payload: noise.bytes(count))
                #expect(completed(segment) == segment.bytes)
            }
        }
    }

    @Test(arguments: [false, true])
    func aCompletedUDPChecksumOfZeroIsWrittenAsAllOnes(isV6: Bool) {
        var segment = Segment(isV6: isV6, isTCP: false, payload: [5, 5, 0, 0])
        segment.payload = [5, 5] + big(PacketView(segment.bytes).checksum)
        let packet = completed(segment)
        #expect(packet.map { PacketView($0).checksum } == 0xffff)
        #expect(packet.map(hasRightChecksums) == true)
    }

    /// Compares our pieces with the kernel's.
    @discardableResult
    private func check(_ segment: Segment, _ size: Int) throws -> [[UInt8]] {
        let frame = segment.frame(segment: size)
        let expected = try #require(kernelSplit(frame))
        let packets = try #require(split(frame))
        let isSame = packets == expected
        #expect(isSame)
        #expect(packets.count == expected.count)
        #expect(packets.allSatisfy(hasRightChecksums))
        let isWhole = packets.flatMap { $0[segment.headers...] } == segment.payload
        #expect(isWhole)
        return packets
    }

    private func completed(_ segment: Segment) -> [UInt8]? {
        var packet = segment.bytes(isPartial: true)
        var virtio = VirtioHeader()
        virtio.checksumStart = UInt16(segment.transport)
        virtio.checksumOffset = UInt16(segment.checksumOffset)
        do {
            var span = packet.mutableSpan
            var bytes = unsafe span.mutableBytes
            guard virtio.completeChecksum(of: &bytes) else { return nil }
        }
        return packet
    }

    private func split(_ frame: [UInt8]) -> [[UInt8]]? {
        var buffer = frame
        var packets: [[UInt8]] = []
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        guard let virtio = VirtioHeader(bytes.bytes) else { return nil }
        var packet = bytes.part(VirtioHeader.size...)
        guard let header = InternetPacket(packet.bytes), var split = Split(packet.bytes, header, virtio: virtio) else {
            return nil
        }
        while let range = split.nextPacket(in: &packet) {
            packets.append(range.map { packet.bytes.byte(at: $0) })
        }
        return packets
    }
}

/// What the kernel would never say, or says on a bad day: dropped and counted.
@Suite struct SegmentHostileFrameTests {
    private let good = Segment(payload: Array(0..<222))
    private let datagram = Segment(isTCP: false, payload: Array(0..<222))

    @Test func aFrameTooShortForItsHeaderIsDroppedAndCounted() {
        for count in 0..<10 { #expect(outcome([UInt8](repeating: 0, count: count)) == .dropped) }
    }

    @Test func aSegmentOfNothingIsDroppedAndCounted() {
        #expect(outcome(good.frame(segment: 0)) == .dropped)
        #expect(outcome(datagram.frame(segment: 0)) == .dropped)
    }

    @Test func unknownKindsAreDroppedAndCounted() {
        for kind: UInt8 in 0...255 where ![0, 1, 4, 5].contains(kind) {
            var frame = good.frame(segment: 100)
            frame[1] = kind
            #expect(outcome(frame) == .dropped)
        }
    }

    @Test func aKindOfAnotherTransportIsDroppedAndCounted() {
        var frame = good.frame(segment: 100)
        frame[1] = 5
        #expect(outcome(frame) == .dropped)
        frame = datagram.frame(segment: 100)
        frame[1] = 1
        #expect(outcome(frame) == .dropped)
    }

    @Test func packetsCutShortAreDroppedAndCounted() {
        for segment in [good, datagram, Segment(isV6: true, payload: Array(0..<99))] {
            let frame = segment.frame(segment: 50)
            for count in 10..<frame.count { #expect(outcome(Array(frame[..<count])) == .dropped, "\(count) bytes") }
        }
    }

    @Test func aLengthThatEndsInTheHeadersIsDroppedAndCounted() {
        for segment in [good, datagram] {
            for length in 0...segment.headers {
                let frame = changed(segment.frame(segment: 50)) { $0.length = length }
                #expect(outcome(frame) == .dropped, "\(length) bytes")
            }
        }
    }

    @Test func aTCPHeaderShorterOrLongerThanItCanBeIsDroppedAndCounted() {
        for words in 0...4 {
            #expect(outcome(changed(good.frame(segment: 50)) { $0.tcpWords = words }) == .dropped)
        }
        let frame = changed(Segment(payload: Array(0..<30)).frame(segment: 10)) { $0.tcpWords = 15 }
        #expect(outcome(frame) == .dropped)
    }

    @Test func aSuperSegmentThatIsAFragmentIsDroppedAndCounted() {
        for fragment: UInt16 in [0x2000, 1, 0x1fff, 0x6001] {
            #expect(outcome(Segment(fragment: fragment, payload: Array(0..<222)).frame(segment: 50)) == .dropped)
        }
    }

    @Test func extensionsThatTheKernelSaysNothingOfAreDroppedAndCounted() {
        for next: UInt8 in [0, 43, 60] {
            var frame = changed(Segment(isV6: true, payload: Array(0..<222)).frame(segment: 50)) { $0.transport = next }
            for start in [0, 39, 40, 250, 262, 65_535] {
                frame.replaceSubrange(6..<8, with: little(UInt16(start)))
                #expect(outcome(frame) == .dropped, "\(start)")
            }
            frame.replaceSubrange(6..<8, with: [48, 0])
            frame[0] = 0
            #expect(outcome(frame) == .dropped)
        }
    }

    @Test func aChecksumOutsideOfThePacketIsDroppedAndCounted() {
        let packet = good.bytes(isPartial: true)
        for (start, offset) in [
            (packet.count, 0), (packet.count - 1, 0), (0, packet.count - 1), (20, packet.count - 21), (65_535, 65_535),
            (65_535, 0), (0, 65_535), (packet.count - 16, 16),
        ] {
            let header = virtioHeader(flags: 1, 0, headerLength: 0, segment: 0, start: start, offset: offset)
            #expect(outcome(header + packet) == .dropped, "\(start), \(offset)")
        }
    }

    @Test func aChecksumAtTheVeryEndIsWithinThePacket() {
        let packet = good.bytes(isPartial: true)
        let header = virtioHeader(flags: 1, 0, headerLength: 0, segment: 0, start: packet.count - 2, offset: 0)
        #expect(outcome(header + packet) == .sent(1))
    }

    @Test func randomHeadersAndPacketsNeverTrapAndAreSentOrCounted() {
        var noise = Noise(seed: 7)
        var sent = 0
        let bench = HostileBench()
        for round in 0..<20_000 {
            let segment = Segment(
                isV6: noise.next() % 2 == 0, isTCP: noise.next() % 2 == 0,
                fragment: noise.next() % 4 == 0 ? UInt16(truncatingIfNeeded: noise.next()) : 0x4000,
                payload: noise.bytes(Int(noise.next() % 300)))
            var frame = segment.frame(segment: Int(noise.next() % 200))
            for _ in 0..<noise.next() % 4 {
                frame[Int(noise.next() % UInt64(min(frame.count, 80)))] = UInt8(truncatingIfNeeded: noise.next())
            }
            if noise.next() % 4 == 0 { frame = Array(frame.prefix(Int(noise.next() % UInt64(frame.count + 1)))) }
            let outcome = bench.handle(frame)
            #expect(outcome != .vanished, "round \(round): \(frame)")
            if case .sent = outcome { sent += 1 }
        }
        #expect(sent > 1000)
    }

    private func outcome(_ frame: [UInt8]) -> HostileBench.Outcome { HostileBench().handle(frame) }

    /// A frame with something else in its packet.
    private func changed(_ frame: [UInt8], _ change: (inout PacketView) -> Void) -> [UInt8] {
        var packet = PacketView(Array(frame[VirtioHeader.size...]))
        change(&packet)
        return frame[..<VirtioHeader.size] + packet.bytes
    }
}

/// One end of a link that is up, and what becomes of a frame there.
private final class HostileBench {
    enum Outcome: Equatable {
        case sent(Int)
        case dropped
        case vanished
    }

    private let pair = Pair()

    init() {
        pair.connect()
    }

    func handle(_ frame: [UInt8]) -> Outcome {
        let alice = pair.alice
        let before = drops
        var buffer = frame
        do {
            var span = buffer.mutableSpan
            var bytes = unsafe span.mutableBytes
            alice.tunnel.handleDeviceRead(&bytes, at: pair.link.now(at: alice))
        }
        let sent = alice.takeDatagrams().count
        return sent > 0 ? .sent(sent) : drops > before ? .dropped : .vanished
    }

    private var drops: UInt64 {
        let statistics = pair.alice.tunnel.statistics()
        return DropReason.allCases.reduce(0) { sum, reason in
            sum + statistics.drops[reason] + statistics.peers.reduce(0) { $0 + $1.drops[reason] }
        }
    }
}
