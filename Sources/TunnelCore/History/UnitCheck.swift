import CZlib

/// The check of the bytes that a unit of a stream is decoded to: a decoder whose history is another one than the encoder's yields wrong
/// bytes, and no error.
enum UnitCheck {
    /// CRC-32 (RFC 1952 §8).
    static func of(_ bytes: RawSpan) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe czlib_crc32($0.baseAddress, $0.count) }
    }
}
