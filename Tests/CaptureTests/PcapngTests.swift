import Testing

@testable import Capture

@Suite struct PcapngTests {
    @Test("enhanced and simple packets, in both byte orders", arguments: [ByteOrder.little, .big])
    func blocks(order: ByteOrder) throws {
        let writer = Writer(order: order)
        let capture = try read(
            writer.section() + writer.interface(snapshot: 30) + writer.block(0x4b45_5953, [1, 2, 3, 4, 5])
                + writer.enhanced(v4(3), ticks: 5_000_000_000, original: 99) + writer.simple(v4(2))
                + writer.simple(Array(v4(9).prefix(30)), original: 37))
        #expect(!capture.isTruncated)
        #expect(capture.frames.map(\.time) == [5_000_000_000_000, nil, nil])
        #expect(capture.frames.map(\.bytes) == [v4(3), v4(2), Array(v4(9).prefix(30))])
        #expect(capture.frames.map(\.originalLength) == [99, 30, 37])
    }

    @Test(
        "each interface has its link type, its steps and its offset; a section begins with none, in its own byte order")
    func interfacesAndSections() throws {
        let little = Writer(order: .little)
        let big = Writer(order: .big)
        let first = [
            little.interface(link: 1), little.interface(options: [little.option(9, [9]), little.option(0, [])]),
            little.interface(options: [
                little.option(2, Array("eth0".utf8)), little.option(9, [0x8a]),
                little.option(14, little.number(100 as Int64)),
            ]),
            little.enhanced(v4(), interface: 0, ticks: 1), little.enhanced(v4(), interface: 1, ticks: 1),
            little.enhanced(v4(), interface: 2, ticks: 512),
        ]
        let second = [big.section(), big.interface(link: 113), big.enhanced(v4(), interface: 0, ticks: 3)]
        let capture = try read(little.section() + (first + second).flatMap { $0 })
        #expect(capture.frames.map(\.time) == [1000, 1, 100_500_000_000, 3000])
        #expect(capture.frames.map(\.link) == [.ethernet, .raw, .raw, .linuxSLL])
    }

    @Test(
        "no step and no offset is too large to be told",
        arguments: [
            (0, UInt64.max, Int64.max), (19, .max, 1_844_674_407), (127, .max, 0), (0xff, .max, 0),
            (0x80, .max, .max), (0xc0, .max, 999_999_999),
        ] as [(UInt8, UInt64, Int64)])
    func resolutions(resolution: UInt8, ticks: UInt64, time: Int64) throws {
        let writer = Writer(order: .little)
        let interface = writer.interface(options: [writer.option(9, [resolution])])
        #expect(try read(writer.section() + interface + writer.enhanced(v4(), ticks: ticks)).frames[0].time == time)
        let far = writer.interface(options: [writer.option(14, writer.number(Int64.min))])
        #expect(try read(writer.section() + far + writer.enhanced(v4(), ticks: ticks)).frames[0].time == .min)
    }

    @Test("the packet block of old captures is read as well")
    func packetBlock() throws {
        let writer = Writer(order: .big)
        let body =
            writer.number(1 as UInt16) + writer.number(7 as UInt16) + writer.number(6 as UInt64)
            + writer.number(38 as UInt32) + writer.number(38 as UInt32) + v4()
        let capture = try read(
            writer.section() + writer.interface() + writer.interface(link: 228) + writer.block(2, body))
        #expect(capture.frames == [CapturedFrame(time: 6000, link: .ipv4, bytes: v4(), originalLength: 38)])
    }

    @Test("a capture that was cut anywhere is read up to there")
    func truncated() throws {
        let writer = Writer(order: .little)
        let blocks = [writer.section(), writer.interface(), writer.enhanced(v4(1)), writer.simple(v4(2))]
        let capture = blocks.flatMap { $0 }
        var ends = [blocks[0].count]
        for block in blocks.dropFirst() { ends.append(ends[ends.count - 1] + block.count) }
        for length in ends[0]..<capture.count {
            let read = try read(Array(capture[..<length]))
            #expect(read.frames.count == ends.dropFirst(2).filter { $0 <= length }.count)
            #expect(read.isTruncated == !ends.contains(length))
        }
    }

    @Test("a lie is refused, and says where it is")
    func malformed() {
        let writer = Writer(order: .little)
        let start = writer.section() + writer.interface()
        let at = UInt64(start.count)
        func reason(_ bytes: [UInt8]) -> String? {
            do throws(CaptureFailure) {
                _ = try read(bytes)
                return nil
            } catch {
                guard case .malformed(let offset, let reason) = error, offset == at else { return "\(error)" }
                return reason
            }
        }
        func block(_ type: UInt32, length: UInt32) -> [UInt8] {
            writer.number(type) + writer.number(length) + [UInt8](repeating: 0, count: 40)
        }
        #expect(reason(start + block(6, length: 8)) == "a block of 8 bytes")
        #expect(reason(start + block(6, length: 33)) == "a block of 33 bytes")
        #expect(reason(start + block(6, length: 16)) == "a block that is too short for what it holds")
        #expect(reason(start + block(99, length: 20)) == "a block whose two lengths differ")
        #expect(reason(start + writer.enhanced(v4(), interface: 1)) == "a frame of interface 1, which isn't there")
        #expect(reason(start + block(0x0a0d_0d0a, length: 28)) == "a section header has no byte order")
        var long = writer.enhanced(v4())
        long.replaceSubrange(20..<24, with: writer.number(UInt32.max))
        #expect(reason(start + long) == "a frame of 4294967295 bytes is longer than any")
        long.replaceSubrange(20..<24, with: writer.number(41 as UInt32))
        #expect(reason(start + long) == "a block that is too short for what it holds")
        let option = writer.block(
            1, [1, 0, 0, 0, 0, 0, 0, 0] + writer.number(5 as UInt16) + writer.number(9 as UInt16))
        #expect(reason(start + option) == "a block that is too short for what it holds")
    }

    @Test("bytes from anywhere are read or refused, and nothing else happens")
    func garbage() throws {
        let writer = Writer(order: .little)
        let sound =
            writer.section() + writer.interface(options: [writer.option(9, [9])]) + writer.enhanced(v4())
            + writer.simple(v6())
        var noise = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = sound
            for _ in 0..<Int.random(in: 1...4, using: &noise) {
                bytes[Int.random(in: 0..<bytes.count, using: &noise)] = UInt8.random(in: 0...255, using: &noise)
            }
            for frame in (try? read(bytes))?.frames ?? [] { _ = frame.content }
        }
    }
}
