import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// A TAP hands over frames that stand for several, and takes such: what hosts see is what they would see without.
@Suite struct EthernetOffloadTests {
    private static let tags: [[UInt16]] = [[], [0x8100], [0x88a8, 0x8100]]

    @Test("a frame that stands for several arrives as those", arguments: [false, true], [false, true])
    func cut(isV6: Bool, isTCP: Bool) throws {
        let offices = Offices()
        for tags in Self.tags {
            for size in [1, 999, 1000, 1001, 5500] {
                var segment = Segment(isV6: isV6, isTCP: isTCP)
                segment.payload = text(size)
                let frame = segment.frame(segment: 1000)
                offices.forget()
                offices.link.send(frames: [around(frame, tags)], from: offices.alice)
                offices.link.drain()
                let packets = try #require(size > 1000 ? kernelSplit(frame) : [segment.bytes])
                let whole = packets.map { ethernet(host(1), .everybody, ip: $0, tags: tags) }
                #expect(offices.bob.received == whole, "\(tags.count) tags, \(size) bytes")
                #expect(offices.carol.received == whole)
            }
        }
    }

    @Test("a frame that is not what its virtio header says is dropped and counted")
    func refused() {
        let offices = Offices()
        var segment = Segment()
        segment.payload = text(3000)
        let good = around(segment.frame(segment: 1000), [])
        for (place, value) in [(4, UInt8(0)), (10 + 12, 0x88), (10 + 14 + 9, 17), (6, 3), (10 + 14 + 32, 0x10)] {
            var frame = good
            frame[place] = value
            if place == 4 { frame[5] = 0 }
            let before = offices.alice.tunnel.statistics().drops[.frame]
            offices.forget()
            offices.link.send(frames: [frame], from: offices.alice)
            offices.link.drain()
            let isDropped = offices.alice.tunnel.statistics().drops[.frame] == before + 1
            #expect(offices.bob.received.isEmpty && isDropped, "byte \(place)")
        }
    }

    @Test(
        "frames of one flow become one write, which the kernel cuts into the very frames", arguments: [false, true],
        [false, true])
    func merged(isV6: Bool, isTCP: Bool) throws {
        for tags in Self.tags {
            let frames = run(Segment(isV6: isV6, isTCP: isTCP), 5).map {
                ethernet(host(1), host(2), ip: $0, tags: tags)
            }
            let writes = merge(frames)
            #expect(writes.count == 1 && writes[0][1] != 0)
            #expect(try writes.flatMap { try kernelCut($0) } == frames)
            // Without the device's consent nothing is merged.
            #expect(merge(frames, merges: false) == frames.map { [UInt8](repeating: 0, count: 10) + $0 })
        }
    }

    @Test("only what has the same Ethernet header is merged, and the order stays")
    func apart() throws {
        let packets = run(Segment(), 8)
        let other = ethernet(host(1), .everybody, text(46))
        var padded = ethernet(host(1), host(2), ip: packets[7])
        padded += [0, 0, 0]
        var broken = ethernet(host(1), host(2), ip: packets[2])
        broken[broken.count - 1] ^= 1
        let frames = [
            ethernet(host(1), host(2), ip: packets[0]), ethernet(host(1), host(2), ip: packets[1]), broken,
            ethernet(host(1), host(2), ip: packets[3]), ethernet(host(1), host(3), ip: packets[4]),
            ethernet(host(2), host(3), ip: packets[5]), ethernet(host(2), host(3), ip: packets[6], tags: [0x8100]),
            other, padded,
        ]
        let writes = merge(frames)
        #expect(writes.count == frames.count - 1)
        #expect(try writes.flatMap { try kernelCut($0) } == frames)
    }

    @Test("a segmented frame is no longer than an IP packet can be")
    func bounds() throws {
        let frames = run(Segment(), 70, size: 1448).map { ethernet(host(1), host(2), ip: $0) }
        let writes = merge(frames)
        #expect(writes.count == 2 && writes.allSatisfy { $0.count <= 10 + 14 + 65_535 })
        #expect(try writes.flatMap { try kernelCut($0) } == frames)
    }

    /// A super-segment as a TAP hands it over.
    private func around(_ frame: [UInt8], _ tags: [UInt16]) -> [UInt8] {
        let whole = ethernet(host(1), .everybody, ip: Array(frame[10...]), tags: tags)
        return shifted(Array(frame[..<10]), by: whole.count - (frame.count - 10)) + whole
    }

    private func run(_ flow: Segment, _ count: Int, size: Int = 700) -> [[UInt8]] {
        var segment = flow
        return (0..<count).map { _ in
            segment.payload = text(size)
            defer {
                segment.sequence &+= UInt32(size)
                segment.identifier &+= 1
            }
            return segment.bytes
        }
    }

    /// The writes that frames become which were decoded one after the other.
    private func merge(_ frames: [[UInt8]], merges: Bool = true) -> [[UInt8]] {
        var inbox = Inbox()
        inbox.mergesTCP = merges
        inbox.mergesUDP = merges
        for frame in frames {
            let place = inbox.decode(frame.count) { space in
                unsafe space.copy(frame.span.bytes, to: 0)
                return frame.count
            }
            guard let place else { break }
            _ = inbox.append(frame: Inbox.Decoded(place: place, shape: MemberShape(layout: .none, segment: 0)))
        }
        inbox.finish()
        return (0..<inbox.count).map { inbox.wholeFrame($0) }
    }
}
