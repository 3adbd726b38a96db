@testable import Capture

// Captures, written byte by byte.

/// Numbers in one byte order.
struct Writer {
    let order: ByteOrder

    func number<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        let big = stride(from: Number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
        return order == .big ? big : big.reversed()
    }

    // MARK: pcap

    func pcap(magic: UInt32 = 0xa1b2_c3d4, version: UInt16 = 2, link: UInt32 = 101, _ records: [[UInt8]]) -> [UInt8] {
        number(magic) + number(version) + number(4 as UInt16) + number(0 as UInt64) + number(262_144 as UInt32)
            + number(link) + records.flatMap { $0 }
    }

    func record(_ bytes: [UInt8], seconds: UInt32 = 0, fraction: UInt32 = 0, original: Int? = nil) -> [UInt8] {
        number(seconds) + number(fraction) + number(UInt32(bytes.count)) + number(UInt32(original ?? bytes.count))
            + bytes
    }

    // MARK: pcapng

    func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = number(UInt32(12 + padded(body).count))
        return number(type) + length + padded(body) + length
    }

    func section() -> [UInt8] {
        block(
            0x0a0d_0d0a, number(0x1a2b_3c4d as UInt32) + number(1 as UInt16) + number(0 as UInt16) + number(UInt64.max))
    }

    func interface(link: UInt16 = 101, snapshot: UInt32 = 0, options: [[UInt8]] = []) -> [UInt8] {
        block(1, number(link) + number(0 as UInt16) + number(snapshot) + options.flatMap { $0 })
    }

    func option(_ code: UInt16, _ value: [UInt8]) -> [UInt8] {
        number(code) + number(UInt16(value.count)) + padded(value)
    }

    func enhanced(_ bytes: [UInt8], interface: UInt32 = 0, ticks: UInt64 = 0, original: Int? = nil) -> [UInt8] {
        block(
            6,
            number(interface) + number(UInt32(ticks >> 32)) + number(UInt32(truncatingIfNeeded: ticks))
                + number(UInt32(bytes.count)) + number(UInt32(original ?? bytes.count)) + padded(bytes))
    }

    func simple(_ bytes: [UInt8], original: Int? = nil) -> [UInt8] {
        block(3, number(UInt32(original ?? bytes.count)) + bytes)
    }

    private func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }
}

/// An IPv4 packet of UDP with so many bytes inside.
func v4(_ count: Int = 10) -> [UInt8] {
    let length = UInt16(28 + count)
    return [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
        + [0, 53, 0, 53, 0, UInt8(count + 8), 0, 0] + [UInt8](repeating: 0xaa, count: count)
}

/// An IPv6 packet of UDP with so many bytes inside.
func v6(_ count: Int = 10) -> [UInt8] {
    [0x60, 0, 0, 0, 0, UInt8(8 + count), 17, 64] + [UInt8](repeating: 0x20, count: 16)
        + [UInt8](repeating: 0x21, count: 16) + [0, 53, 0, 53, 0, UInt8(count + 8), 0, 0]
        + [UInt8](repeating: 0xaa, count: count)
}

/// A reader of `capture`, which gets it in pieces of `size` bytes.
func reader(_ capture: [UInt8], pieces size: Int = 1 << 16) throws(CaptureFailure) -> CaptureReader {
    var next = 0
    return try CaptureReader { () throws(CaptureFailure) in
        let piece = Array(capture[next..<min(next + size, capture.count)])
        next += piece.count
        return piece
    }
}

/// All frames of `capture`, and whether it ended inside one.
func read(_ capture: [UInt8], pieces size: Int = 1 << 16) throws(CaptureFailure) -> (
    frames: [CapturedFrame], isTruncated: Bool
) {
    var reader = try reader(capture, pieces: size)
    var frames: [CapturedFrame] = []
    while let frame = try reader.next() { frames.append(frame) }
    return (frames, reader.isTruncated)
}
