import CZlib

/// Raw deflate (RFC 1951) of whole units. Its contexts are made once and reset for each unit, so no unit depends on
/// another, and a lost one costs only itself.
@safe
struct Deflate: ~Copyable {
    private let deflater: UnsafeMutableRawPointer
    private let inflater: UnsafeMutableRawPointer

    init() {
        guard let deflater = unsafe czlib_deflater(), let inflater = unsafe czlib_inflater() else {
            fatalError("no memory for zlib")
        }
        unsafe self.deflater = deflater
        unsafe self.inflater = inflater
    }

    deinit {
        unsafe czlib_deflater_free(deflater)
        unsafe czlib_inflater_free(inflater)
    }

    /// Codes `plain` into `space`; how many bytes that took, or 0 if it does not fit.
    func encode(_ plain: RawSpan, level: Int32, into space: inout MutableRawSpan) -> Int {
        unsafe space.withUnsafeMutableBytes { out in
            unsafe plain.withUnsafeBytes { plain in
                unsafe czlib_deflate(deflater, level, out.baseAddress, out.count, plain.baseAddress, plain.count)
            }
        }
    }

    /// Decodes `coded` into `space`; how many bytes came out, or `nil` if `coded` is not exactly one stream whose
    /// content fits.
    func decode(_ coded: RawSpan, into space: inout MutableRawSpan) -> Int? {
        let length = unsafe space.withUnsafeMutableBytes { out in
            unsafe coded.withUnsafeBytes { coded in
                unsafe czlib_inflate(inflater, out.baseAddress, out.count, coded.baseAddress, coded.count)
            }
        }
        return length >= 0 ? length : nil
    }
}
