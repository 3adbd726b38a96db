import Testing

@testable import Capture

@Suite struct PcapTests {
    @Test("both byte orders, in microseconds and nanoseconds", arguments: [ByteOrder.little, .big])
    func variants(order: ByteOrder) throws {
        let writer = Writer(order: order)
        for (magic, step) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] as [(UInt32, Int64)] {
            let records = [
                writer.record(v4(), seconds: 7, fraction: 8), writer.record(v6(), seconds: 9, original: 200),
            ]
            let capture = try read(writer.pcap(magic: magic, records))
            #expect(!capture.isTruncated)
            #expect(capture.frames.map(\.time) == [7_000_000_000 + 8 * step, 9_000_000_000])
            #expect(capture.frames.map(\.bytes) == [v4(), v6()])
            #expect(capture.frames.map(\.isCut) == [false, true])
            #expect(capture.frames.map(\.link) == [.raw, .raw])
        }
    }

    @Test("it doesn't matter in which pieces the bytes come", arguments: [1, 3, 17])
    func pieces(size: Int) throws {
        let writer = Writer(order: .little)
        let pcap = writer.pcap((0..<20).map { writer.record(v4($0)) })
        #expect(try read(pcap, pieces: size).frames == read(pcap).frames)
    }

    @Test("what the link type says of checksums behind a frame is no part of its number")
    func checksumLength() throws {
        let writer = Writer(order: .big)
        #expect(try read(writer.pcap(link: 0x1400_0001, [writer.record(v4())])).frames[0].link == .ethernet)
    }

    @Test("a capture that was cut anywhere is read up to there")
    func truncated() throws {
        let writer = Writer(order: .little)
        let pcap = writer.pcap([writer.record(v4(1)), writer.record(v4(2))])
        let ends = [24, 24 + 16 + 29, pcap.count]
        for length in 24..<pcap.count {
            let capture = try read(Array(pcap[..<length]))
            #expect(capture.frames.count == ends.filter { $0 <= length }.count - 1)
            #expect(capture.isTruncated == !ends.contains(length))
        }
    }

    @Test("what isn't a capture is refused, and says where it is wrong")
    func malformed() {
        let writer = Writer(order: .little)
        func failure(_ bytes: [UInt8]) -> CaptureFailure? {
            do throws(CaptureFailure) {
                _ = try read(bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure([]) == .malformed(at: 0, "it is too short for a capture"))
        #expect(failure(Array("GET / HTTP/1.1".utf8)) == .malformed(at: 0, "it is neither pcap nor pcapng"))
        #expect(failure(Array(writer.pcap([]).prefix(20))) == .malformed(at: 20, "it ends in its first header"))
        #expect(failure(writer.pcap(version: 3, [])) == .malformed(at: 4, "its version is 3, not 2"))
        var long = writer.pcap([writer.record(v4()), writer.record(v4())])
        long.replaceSubrange(24 + 54 + 8..<24 + 54 + 12, with: writer.number(UInt32.max))
        #expect(failure(long) == .malformed(at: 78, "a frame of 4294967295 bytes is longer than any"))
    }
}
