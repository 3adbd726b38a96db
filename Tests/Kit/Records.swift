import CZlib

@testable import TunnelCore

// Records as docs/protocol.md has them, made by hand, right and wrong.

/// A record: type, parameter, length of the body, body.
func record(_ type: UInt8, _ parameter: UInt8, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
    [type, parameter] + little(UInt16(truncatingIfNeeded: length ?? body.count)) + body
}

/// A HELLO with these flags and options.
func helloRecord(flags: UInt8 = 2, version: UInt8 = 1, options: [UInt8] = codecsOption + unitOption(65_535)) -> [UInt8]
{
    record(0x10, version, [flags] + options)
}

let codecsOption: [UInt8] = [1, 1, 1]
func unitOption(_ size: UInt32) -> [UInt8] { [2, 4] + little(size) }

/// A UNIT of deflate that holds these bytes; `decoded` is the size that it says.
func unitRecord(_ content: [UInt8], decoded: Int? = nil, parameter: UInt8 = 1) -> [UInt8] {
    record(0x11, parameter, little(UInt16(truncatingIfNeeded: decoded ?? content.count)) + deflated(content))
}

/// A BUNDLE of packets, each whole.
func bundleRecord(_ packets: [[UInt8]]) -> [UInt8] { record(0x12, 0, packets.flatMap { [0] + $0 }) }

/// A UNIT of deflate and layout 1 that holds packets, each whole.
func membersRecord(_ packets: [[UInt8]]) -> [UInt8] { unitRecord(packets.flatMap { [0] + $0 }, parameter: 0x11) }

/// The FRAGMENTs of a record.
func fragmentRecords(_ whole: [UInt8], number: UInt16, count: Int) -> [[UInt8]] {
    let step = (whole.count + count - 1) / count
    return (0..<count).map { index in
        let piece = whole[min(index * step, whole.count)..<min((index + 1) * step, whole.count)]
        return fragmentRecord(number, size: whole.count, index, of: count, Array(piece))
    }
}

/// A FRAGMENT with any fields.
func fragmentRecord(_ number: UInt16, size: Int, _ index: Int, of count: Int, _ piece: [UInt8]) -> [UInt8] {
    let fields = little(number) + little(UInt16(truncatingIfNeeded: size))
    return record(0x13, 0, fields + [UInt8(truncatingIfNeeded: index), UInt8(truncatingIfNeeded: count)] + piece)
}

/// A REPORT about WireGuard's lane.
func reportRecord(
    highest: UInt64, recent: UInt64 = .max, datagrams: UInt64, bytes: UInt64, clock: UInt64, lane: UInt8 = 0
) -> [UInt8] {
    record(0x14, lane, [highest, recent, datagrams, bytes, clock].flatMap { little($0) })
}

/// A PING; parameter 1 is an answer.
func pingRecord(_ parameter: UInt8, token: UInt64, padding: Int = 0) -> [UInt8] {
    record(0x15, parameter, little(token) + [UInt8](repeating: 0x77, count: padding))
}

/// Raw deflate at level 9.
func deflated(_ content: [UInt8]) -> [UInt8] {
    guard let deflater = unsafe czlib_deflater() else { return [] }
    defer { unsafe czlib_deflater_free(deflater) }
    return unsafe [UInt8](unsafeUninitializedCapacity: content.count + 1024) { buffer, count in
        unsafe count = czlib_deflate(deflater, 9, buffer.baseAddress, buffer.count, content, content.count)
    }
}

extension [UInt8] {
    /// With zeros up to a multiple of 16.
    var padded: [UInt8] { self + [UInt8](repeating: 0, count: (16 - count % 16) % 16) }
}
