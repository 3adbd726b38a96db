import BasicContainers
import Testing

@testable import TestKit
@testable import TunnelCore

/// Frames in records (docs/protocol.md §3.8), against a model of the page.
@Suite struct FramesTests {
    @Test("frames of every size are written as the page says and read back, next to each other", arguments: 14..<80)
    func sizes(size: Int) {
        let frames = [size, 14, size + 1, 1514, size, 9014, 65_000 / size].map { noise(max($0, 14)) }
        let written = write(frames)
        #expect(written == frameList(frames))
        #expect(read(written) == Result(frames: frames, isWhole: true))
    }

    @Test("one frame may be as long as a unit: 65,533 bytes behind its length")
    func longest() {
        let frame = noise(65_533)
        #expect(write([frame]) == [0xfd, 0xff] + frame)
        #expect(read([0xfd, 0xff] + frame) == Result(frames: [frame], isWhole: true))
    }

    @Test("what is shorter than 14 bytes is no frame; those before it count", arguments: 0..<14)
    func runts(size: Int) {
        let good = [noise(60), noise(14)]
        #expect(read(frameList([noise(size)])) == Result(frames: [], isWhole: false))
        #expect(read(frameList(good + [noise(size)] + good)) == Result(frames: good, isWhole: false))
    }

    @Test("128 frames are read, and not one more", arguments: [1, 127, 128, 129, 200])
    func count(count: Int) {
        let frames = (0..<count).map { noise(14 + $0 % 3) }
        #expect(read(frameList(frames)) == Result(frames: Array(frames.prefix(128)), isWhole: count <= 128))
    }

    @Test("what is cut off anywhere within a frame or its length is malformed from that frame on")
    func cutOff() {
        let frames = [noise(60), noise(14), noise(71), noise(15)]
        let list = frameList(frames)
        let ends = [62, 78, 151, 168]
        for length in 1...list.count {
            let whole = ends.filter { $0 <= length }.count
            let expected = Result(frames: Array(frames.prefix(whole)), isWhole: ends.contains(length))
            #expect(read(Array(list.prefix(length))) == expected, "\(length)")
        }
    }

    @Test("a length that lies is believed where it can be, and never further than the record")
    func lyingLengths() {
        let frames = [noise(60), noise(14), noise(71)]
        let list = frameList(frames)
        for place in [0, 62, 78] {
            for length in Array(0...300) + [1000, 0x7fff, 0x8000, 0xfffe, 0xffff] {
                var lie = list
                lie.replaceSubrange(place..<place + 2, with: little(UInt16(length)))
                #expect(read(lie) == model(lie), "\(length) at \(place)")
            }
        }
    }

    @Test("zeros behind the last frame are no frames", arguments: 1...40)
    func zeros(count: Int) {
        let frames = [noise(60), noise(15)]
        let list = frameList(frames) + [UInt8](repeating: 0, count: count)
        #expect(read(list) == Result(frames: frames, isWhole: false))
    }

    @Test("whatever the bytes are, what is read is what the page says", arguments: 0..<20)
    func random(seed: UInt64) {
        var noise = Noise(seed: seed)
        for _ in 0..<200 {
            var list: [UInt8] = []
            for _ in 0..<1 + noise.next() % 140 {
                let size = noise.next() % 30 == 0 ? noise.next() % 20 : 14 + noise.next() % 30
                list += frameList([noise.bytes(Int(size))])
            }
            if noise.next() % 2 == 0 { list[Int(noise.next() % UInt64(list.count))] ^= 1 << UInt8(noise.next() % 8) }
            #expect(read(list) == model(list))
        }
    }

    @Test(
        "one that stands for several is written behind two zeros and its segment, and read back",
        arguments: [1, 999, 1500])
    func segmented(each: Int) {
        for (isV6, isTCP) in [(false, false), (false, true), (true, false), (true, true)] {
            var segment = Segment(isV6: isV6, isTCP: isTCP)
            for size in [each + 1, each * 20, each * 127 + 1] where size < 65_000 {
                segment.payload = text(size)
                let frame = ethernet(host(1), host(2), ip: segment.bytes)
                let list =
                    frameList([noise(60)]) + segmentedFrame(frame, segment: UInt16(each)) + frameList([noise(14)])
                #expect(write([noise(60)]) + write([frame], segment: each) + write([noise(14)]) == list)
                let isWhole = size + each - 1 <= each * 126
                // Those that it stands for count, too.
                let frames = isWhole ? [noise(60), frame, noise(14)] : [noise(60)]
                #expect(read(list) == Result(frames: frames, isWhole: isWhole))
            }
        }
    }

    private func noise(_ count: Int) -> [UInt8] {
        var noise = Noise(seed: UInt64(count))
        return noise.bytes(count)
    }
}

private struct Result: Equatable {
    var frames: [[UInt8]]
    var isWhole: Bool
}

/// What `Frames.write` makes of frames.
private func write(_ frames: [[UInt8]], segment: Int = 0) -> [UInt8] {
    var out = [UInt8](repeating: 0xee, count: frameList(frames).count + 4)
    var span = out.mutableSpan
    var bytes = unsafe span.mutableBytes
    var end = 0
    for frame in frames {
        let shape = MemberShape(layout: .none, segment: segment)
        end += Frames.write(unsafe frame.span.bytes, shape, to: &bytes, at: end)
    }
    return Array(out.prefix(end))
}

/// What a record of frames is read as.
private func read(_ list: [UInt8]) -> Result {
    var inbox = Inbox()
    let isWhole = Cargo.frames.read(unsafe list.span.bytes, into: &inbox)
    let frames = (0..<inbox.decodedCount).map { index in
        unsafe inbox.bytes(decoded: inbox.decodedPacket(index).place).withUnsafeBytes { unsafe Array($0) }
    }
    return Result(frames: frames, isWhole: isWhole)
}

/// The same as plainly as can be.
private func model(_ list: [UInt8]) -> Result {
    var frames: [[UInt8]] = []
    var rest = list[...]
    while !rest.isEmpty {
        guard rest.count >= 2, frames.count < 128 else { return Result(frames: frames, isWhole: false) }
        let length = Int(rest[rest.startIndex]) | Int(rest[rest.startIndex + 1]) << 8
        rest = rest.dropFirst(2)
        // Noise stands for no several.
        guard length >= 14, length <= rest.count else { return Result(frames: frames, isWhole: false) }
        frames.append(Array(rest.prefix(length)))
        rest = rest.dropFirst(length)
    }
    return Result(frames: frames, isWhole: true)
}
