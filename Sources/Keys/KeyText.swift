/// Base64 and hex of 32 bytes, without branches or table look-ups that depend on the secret (as `wg` does it).
enum KeyText {
    static func encodeBase64(_ bytes: Span<UInt8>) -> String {
        precondition(bytes.count == 32)
        return unsafe String(unsafeUninitializedCapacity: 44) { out in
            for group in 0..<11 {
                let a = UInt32(bytes[group * 3])
                let b = UInt32(bytes[group * 3 + 1])
                let c = group == 10 ? 0 : UInt32(bytes[group * 3 + 2])
                let bits = a << 16 | b << 8 | c
                for digit in 0..<4 {
                    unsafe out[group * 4 + digit] = base64Digit(bits >> (18 - 6 * UInt32(digit)) & 63)
                }
            }
            unsafe out[43] = UInt8(ascii: "=")
            return 44
        }
    }

    static func decodeBase64(_ text: some StringProtocol) -> InlineArray<32, UInt8>? {
        var digits = InlineArray<44, UInt8>(repeating: 0)
        guard fill(&digits, text.utf8), digits[43] == UInt8(ascii: "=") else { return nil }
        defer { wipe(&digits) }
        digits[43] = UInt8(ascii: "A")
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var invalid: Int32 = 0
        for group in 0..<11 {
            var bits: Int32 = 0
            for digit in 0..<4 {
                let value = base64Value(digits[group * 4 + digit])
                invalid |= value
                bits = bits << 6 | value & 63
            }
            bytes[group * 3] = UInt8(truncatingIfNeeded: bits >> 16)
            bytes[group * 3 + 1] = UInt8(truncatingIfNeeded: bits >> 8)
            if group < 10 {
                bytes[group * 3 + 2] = UInt8(truncatingIfNeeded: bits)
            } else {
                invalid |= (bits & 255) << 23  // the last two bits of the text must be zero
            }
        }
        return invalid < 0 || invalid >> 23 != 0 ? nil : bytes
    }

    static func encodeHex(_ bytes: Span<UInt8>) -> String {
        unsafe String(unsafeUninitializedCapacity: bytes.count * 2) { out in
            for index in bytes.indices {
                unsafe out[index * 2] = hexDigit(bytes[index] >> 4)
                unsafe out[index * 2 + 1] = hexDigit(bytes[index] & 15)
            }
            return bytes.count * 2
        }
    }

    /// Appends the digits to `text`, which has room for them.
    static func appendHex(_ bytes: Span<UInt8>, to text: inout [UInt8]) {
        for index in bytes.indices {
            text.append(hexDigit(bytes[index] >> 4))
            text.append(hexDigit(bytes[index] & 15))
        }
    }

    static func decodeHex(_ text: some Sequence<UInt8>) -> InlineArray<32, UInt8>? {
        var digits = InlineArray<64, UInt8>(repeating: 0)
        guard fill(&digits, text) else { return nil }
        defer { wipe(&digits) }
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var invalid: Int32 = 0
        for index in 0..<32 {
            let high = hexValue(digits[index * 2])
            let low = hexValue(digits[index * 2 + 1])
            invalid |= high | low
            bytes[index] = UInt8(truncatingIfNeeded: high << 4 | low)
        }
        return invalid < 0 ? nil : bytes
    }

    /// Copies exactly `count` bytes of text; false if there are more or fewer.
    private static func fill<let count: Int>(
        _ digits: inout InlineArray<count, UInt8>, _ text: some Sequence<UInt8>
    ) -> Bool {
        var index = 0
        for byte in text {
            guard index < count else { return false }
            digits[index] = byte
            index += 1
        }
        return index == count
    }

    /// All ones if `low <= value <= high`, else 0.
    private static func within(_ value: Int32, _ low: UInt8, _ high: UInt8) -> Int32 {
        ((Int32(low) &- 1 &- value) & (value &- Int32(high) &- 1)) >> 8
    }

    private static func base64Digit(_ value: UInt32) -> UInt8 {
        var digit = Int32(value) &+ Int32(UInt8(ascii: "A"))
        digit &+= (25 &- Int32(value)) >> 8 & 6
        digit &-= (51 &- Int32(value)) >> 8 & 75
        digit &-= (61 &- Int32(value)) >> 8 & 15
        digit &+= (62 &- Int32(value)) >> 8 & 3
        return UInt8(truncatingIfNeeded: digit)
    }

    /// 0 to 63, or -1.
    private static func base64Value(_ digit: UInt8) -> Int32 {
        let c = Int32(digit)
        var value: Int32 = -1
        value &+= within(c, UInt8(ascii: "A"), UInt8(ascii: "Z")) & (c &- 64)
        value &+= within(c, UInt8(ascii: "a"), UInt8(ascii: "z")) & (c &- 70)
        value &+= within(c, UInt8(ascii: "0"), UInt8(ascii: "9")) & (c &+ 5)
        value &+= within(c, UInt8(ascii: "+"), UInt8(ascii: "+")) & 63
        value &+= within(c, UInt8(ascii: "/"), UInt8(ascii: "/")) & 64
        return value
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        let letter = UInt8(truncatingIfNeeded: (9 &- Int32(value)) >> 8)  // all ones from 10 up
        return value &+ UInt8(ascii: "0") &+ letter & 39
    }

    /// 0 to 15, or -1.
    private static func hexValue(_ digit: UInt8) -> Int32 {
        let c = Int32(digit)
        var value: Int32 = -1
        value &+= within(c, UInt8(ascii: "0"), UInt8(ascii: "9")) & (c &- 47)
        value &+= within(c, UInt8(ascii: "a"), UInt8(ascii: "f")) & (c &- 86)
        value &+= within(c, UInt8(ascii: "A"), UInt8(ascii: "F")) & (c &- 54)
        return value
    }
}
