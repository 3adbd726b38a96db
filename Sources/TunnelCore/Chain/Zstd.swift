import CZstd

/// zstd frames (RFC 8878) of whole units, without magic number. Its contexts are made once, in memory of a fixed size, so no
/// unit depends on another.
@safe
struct Zstd: ~Copyable {
    private let compressor: UnsafeMutableRawPointer
    private let decompressor: UnsafeMutableRawPointer

    init() {
        guard let compressor = unsafe czstd_compressor(Effort.highest), let decompressor = unsafe czstd_decompressor()
        else { fatalError("no memory for zstd") }
        unsafe self.compressor = compressor
        unsafe self.decompressor = decompressor
    }

    deinit {
        unsafe czstd_compressor_free(compressor)
        unsafe czstd_decompressor_free(decompressor)
    }

    /// Codes `plain` into `space`; how many bytes that took, or 0 if it does not fit.
    func encode(_ plain: RawSpan, level: Int32, into space: inout MutableRawSpan) -> Int {
        unsafe space.withUnsafeMutableBytes { out in
            unsafe plain.withUnsafeBytes { plain in
                unsafe czstd_compress(compressor, level, out.baseAddress, out.count, plain.baseAddress, plain.count)
            }
        }
    }

    /// Decodes `coded` into `space`; how many bytes came out, or `nil` if `coded` is not exactly one frame whose
    /// content fits.
    func decode(_ coded: RawSpan, into space: inout MutableRawSpan) -> Int? {
        let length = unsafe space.withUnsafeMutableBytes { out in
            unsafe coded.withUnsafeBytes { coded in
                unsafe czstd_decompress(decompressor, out.baseAddress, out.count, coded.baseAddress, coded.count)
            }
        }
        return length >= 0 ? length : nil
    }
}
