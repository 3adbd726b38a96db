import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

/// zstd frames (RFC 8878) without magic number, one a unit.
@Suite struct ZstdTests {
    @Test("what is coded at any level is decoded, and stands alone", arguments: [-3, 1, 3, 6, 9] as [Int32])
    func roundTrip(level: Int32) {
        let zstd = Encoders()
        var noise = Noise(seed: UInt64(level + 10))
        var last: [UInt8] = []
        for count in [1, 2, 99, 1400, 1401, 20_000, 65_535] {
            for plain in [text(count), noise.bytes(count), [UInt8](repeating: 0, count: count)] {
                let coded = encode(zstd, plain, level)
                #expect(coded.count > 0 && decode(coded, plain.count) == plain)
                // Every unit stands alone: the same bytes whatever came before.
                #expect(encode(zstd, plain, level) == coded && encode(Encoders(), plain, level) == coded)
                #expect(!coded.starts(with: [0x28, 0xb5, 0x2f, 0xfd]))
                #expect(last.isEmpty || decode(last + coded, 65_536 * 2) == nil)
                last = coded
            }
        }
    }

    @Test("without room nothing is coded, and nothing decoded")
    func room() {
        let zstd = Encoders()
        let plain = text(2000)
        let coded = encode(zstd, plain, 1)
        for room in [0, 1, 10, coded.count - 1] { #expect(encode(zstd, plain, 1, room: room).isEmpty) }
        for room in [0, 1, 1999] { #expect(decode(coded, room) == nil) }
        #expect(decode(coded, 2000) == plain && decode(coded, 2001) == plain)
    }

    @Test("every truncation, and anything behind the frame, is refused")
    func streams() {
        let coded = encode(Encoders(), text(1000), 1)
        for length in 0..<coded.count { #expect(decode(Array(coded.prefix(length)), 1000) == nil, "\(length)") }
        let frame = rawFrame(text(20))
        #expect(decode(frame, 20) == text(20))
        let tails: [[UInt8]] = [
            [0], [0, 0, 0], [1, 0, 0], frame, [0x20, 0, 1, 0, 0], [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0],
        ]
        for tail in tails {
            #expect(decode(frame + tail, 40) == nil, "\(tail)")
            #expect(decode(coded + tail, 1100) == nil, "\(tail)")
        }
    }

    @Test("two frames are not one, though together they have the size that the unit says")
    func twoFrames() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let packet = udp(1, 2, text(60))
        let frames = rawFrame(Array(packet[..<40])) + rawFrame(Array(packet[40...]))
        #expect(pair.deliver(record(0x11, 2, little(UInt16(packet.count)) + frames)) == [.record])
        #expect(pair.deliver(record(0x11, 2, little(UInt16(packet.count)) + rawFrame(packet))) == [])
        #expect(pair.bob.received == [packet])
    }

    @Test("a content size or none, a window or none, a checksum or none: all are read")
    func headers() {
        let content = Array("0123456789abcdefghijklmnopqrstu".utf8)
        let block = rawBlocks(content)
        let size = UInt8(content.count)
        // One segment; content size of 1, 2, 4 and 8 bytes; the 2-byte one counts from 256.
        #expect(decode([0x20, size] + block, 31) == content)
        #expect(decode([0x40, 0, 0, 0] + rawBlocks(text(256)), 256) == text(256))
        #expect(decode([0xa0, size, 0, 0, 0] + block, 31) == content)
        #expect(decode([0xe0, size, 0, 0, 0, 0, 0, 0, 0] + block, 31) == content)
        // A window of 1 KB, and one of 1 MB.
        #expect(decode([0, 0] + block, 31) == content)
        #expect(decode([0, 10 << 3] + block, 31) == content)
        // With the lowest four bytes of XXH64.
        let sum = little(UInt32(truncatingIfNeeded: shortXXH64(content)))
        #expect(decode([0x24, size] + block + sum, 31) == content)
        #expect(decode([0x24, size] + block + sum.map { ~$0 }, 31) == nil)
        #expect(decode([0x24, size] + block, 31) == nil)
        #expect(decode([0x24, size] + block + sum + [0], 31) == nil)
        // Several blocks; one of them a run.
        let run: [UInt8] = little(UInt32(10 << 3 | 1 << 1 | 1)).dropLast() + [0x2e]
        #expect(
            decode([0, 0] + rawBlocks(content, isLast: false) + run, 41) == content
                + [UInt8](repeating: 0x2e, count: 10))
        // A content size that is not the content's; a dictionary; the reserved bit; the magic number.
        #expect(decode([0x20, size - 1] + block, 31) == nil && decode([0x20, size + 1] + block, 40) == nil)
        #expect(decode([0x21, 7, size] + block, 31) == nil)
        #expect(decode([0x28, size] + block, 31) == nil)
        #expect(decode([0x28, 0xb5, 0x2f, 0xfd, 0x20, size] + block, 31) == nil)
        // The reserved kind of block.
        #expect(decode([0x20, size] + [block[0] | 6] + block.dropFirst(), 31) == nil)
    }

    @Test("a decoded size that is not that of the content drops the unit")
    func decodedSize() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        let packet = udp(1, 2, text(1000))
        let coded = encode(Encoders(), packet, 1)
        for size in [0, 1, 1027, 1029, 65_535] {
            #expect(pair.deliver(record(0x11, 2, little(UInt16(size)) + coded)) == [.record])
        }
        // A bomb: 8 KB that would be a gigabyte.
        let run: [UInt8] = little(UInt32(131_072 << 3 | 1 << 1)).dropLast() + [0]
        let bomb: [UInt8] = [0, 0x50] + (0..<2000).flatMap { _ in run } + [1, 0, 0]
        #expect(pair.deliver(record(0x11, 2, little(65_535 as UInt16) + bomb)) == [.record])
        #expect(pair.deliver(record(0x11, 2, little(1028 as UInt16) + coded)) == [])
        #expect(pair.bob.received == [packet])
    }

    @Test("thousands of damaged frames do no harm")
    func damaged() {
        var noise = Noise(seed: 5)
        let originals = [1, 3, 9].map { encode(Encoders(), text(3000), $0) }
        for round in 0..<20_000 {
            var coded = originals[round % 3]
            for _ in 0...noise.next() % 3 {
                coded[Int(noise.next() % UInt64(coded.count))] ^= UInt8(truncatingIfNeeded: 1 << (noise.next() % 8))
            }
            #expect((decode(coded, 3000)?.count ?? 0) <= 3000)
        }
    }

    private func encode(_ zstd: borrowing Encoders, _ plain: [UInt8], _ level: Int32, room: Int? = nil) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: room ?? plain.count + 1000)
        let length: Int
        do {
            var span = out.mutableSpan
            var space = unsafe span.mutableBytes
            let bytes = unsafe plain.span.bytes
            length = zstd.encode(bytes, with: .zstd, level: level, into: &space)
        }
        return Array(out.prefix(length))
    }

    private func decode(_ coded: [UInt8], _ room: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: room)
        let length: Int?
        do {
            var span = out.mutableSpan
            var space = unsafe span.mutableBytes
            let bytes = unsafe coded.span.bytes
            length = Decoders().decode(bytes, with: .zstd, into: &space)
        }
        return length.map { Array(out.prefix($0)) }
    }

    /// A frame of one raw block, with its size.
    private func rawFrame(_ content: [UInt8]) -> [UInt8] { [0x20, UInt8(content.count)] + rawBlocks(content) }

    /// A raw block (RFC 8878 §3.1.1.2).
    private func rawBlocks(_ content: [UInt8], isLast: Bool = true) -> [UInt8] {
        little(UInt32(content.count << 3 | (isLast ? 1 : 0))).dropLast() + content
    }

    /// XXH64 with seed 0 of less than 32 bytes.
    private func shortXXH64(_ bytes: [UInt8]) -> UInt64 {
        let (p1, p2, p3): (UInt64, UInt64, UInt64) = (
            0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9
        )
        let (p4, p5): (UInt64, UInt64) = (0x85eb_ca77_c2b2_ae63, 0x27d4_eb2f_1656_67c5)
        func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        var hash = p5 &+ UInt64(bytes.count)
        var rest = bytes[...]
        while rest.count >= 8 {
            hash = rotate(hash ^ rotate(number(rest.prefix(8)) &* p2, 31) &* p1, 27) &* p1 &+ p4
            rest = rest.dropFirst(8)
        }
        if rest.count >= 4 {
            hash = rotate(hash ^ number(rest.prefix(4)) &* p1, 23) &* p2 &+ p3
            rest = rest.dropFirst(4)
        }
        for byte in rest { hash = rotate(hash ^ UInt64(byte) &* p5, 11) &* p1 }
        hash = (hash ^ hash >> 33) &* p2
        hash = (hash ^ hash >> 29) &* p3
        return hash ^ hash >> 32
    }
}
