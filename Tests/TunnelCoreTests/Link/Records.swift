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
