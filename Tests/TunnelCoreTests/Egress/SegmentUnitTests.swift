import Testing

@testable import TestKit
@testable import TunnelCore

/// Super-segments of the device on their way into units.
@Suite struct SegmentUnitTests {
    @Test("one that stands for a single packet, or whose UDP length is wrong, takes no other packet along")
    func single() {
        let wire = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        wire.connect()
        for isTCP in [true, false] {
            let (before, after) = (Segment(isTCP: isTCP, payload: text(600)), Segment(isTCP: isTCP, payload: text(700)))
            let one = Segment(isTCP: isTCP, payload: text(900))
            for size in [900, 901, 1368] {
                wire.hand([plain(before), one.frame(segment: size), plain(after)])
                #expect(wire.bob.received == [before.bytes, one.bytes, after.bytes])
                wire.forget()
            }
        }
        let udp = Segment(isTCP: false, payload: text(3000))
        var wrong = udp.frame(segment: 1000)
        wrong[VirtioHeader.size + udp.transport + 4] ^= 0x40
        wire.hand([plain(udp), wrong, plain(udp)])
        #expect(wire.bob.received.first == udp.bytes && wire.bob.received.last == udp.bytes)
        #expect(wire.bob.received.count == 5)
    }

    @Test("no unit is larger than the peer takes", arguments: [100, 500, 1407, 1408, 1500, 5000] as [UInt32])
    func maximumUnit(size: UInt32) throws {
        let wire = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        wire.connect()
        let builder = HelloBuilder(
            seen: true, codecs: [.deflate, .zstd], maximumUnit: size, records: HelloBuilder.packetRecords)
        let hello = try #require(wire.bob.seal(builder.bytes, to: wire.alice))
        wire.link.deliver(hello, to: wire.alice, from: wire.bob.endpoint)
        let segment = Segment(payload: text(10_000))
        let frame = segment.frame(segment: 1368)
        wire.hand([frame])
        #expect(wire.bob.received == kernelSplit(frame))
        for unit in wire.link.sightings.sent(by: wire.alice).filter(\.isUnit) {
            let record = try #require(unit.record)
            #expect(record.decodedSize <= size)
        }
        #expect(wire.link.sightings.contains { $0.isUnit } == (size >= 1408))
    }

    private func plain(_ segment: Segment) -> [UInt8] {
        [UInt8](repeating: 0, count: VirtioHeader.size) + segment.bytes
    }
}

extension Pair {
    /// Hands frames to alice in one drain, and waits for what comes of them.
    fileprivate func hand(_ frames: [[UInt8]]) {
        for frame in frames {
            var buffer = frame
            var span = buffer.mutableSpan
            var bytes = unsafe span.mutableBytes
            alice.tunnel.handleDeviceRead(&bytes, at: link.now(at: alice))
        }
        link.settle(alice)
        link.drain()
    }
}
