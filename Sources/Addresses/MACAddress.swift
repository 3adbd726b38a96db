/// An Ethernet address of 48 bits (IEEE 802 §8).
public struct MACAddress: Hashable, Sendable, LosslessStringConvertible {
    /// The 48 bits, the first byte on the wire most significant.
    public let bits: UInt64

    public init(_ bits: UInt64) { self.bits = bits & 0xffff_ffff_ffff }

    /// Reads six bytes in hexadecimal, of two digits each, between colons or hyphens.
    public init?(_ text: String) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        guard parts.count == 6 else { return nil }
        var bits: UInt64 = 0
        for part in parts {
            guard part.utf8.count == 2, part.first?.isHexDigit == true, let byte = UInt8(part, radix: 16) else {
                return nil
            }
            bits = bits << 8 | UInt64(byte)
        }
        self.bits = bits
    }

    /// Six bytes in hexadecimal between colons, lowercase.
    public var description: String {
        (0..<6).reversed().map { index in
            let byte = String(bits >> UInt64(8 * index) & 0xff, radix: 16)
            return byte.utf8.count == 1 ? "0" + byte : byte
        }.joined(separator: ":")
    }

    /// A group address: multicast or broadcast.
    public var isGroup: Bool { bits >> 40 & 1 == 1 }
}
