import CZstd

extension CodecTraits {
    /// zstd frames (RFC 8878) without magic number.
    static let zstd = unsafe CodecTraits(
        name: "zstd",
        preference: 2,
        efforts: [
            Effort(level: -3, cost: 2.6, size: 1.4), Effort(level: 1, cost: 3.2, size: 1),
            Effort(level: 3, cost: 4.2, size: 0.955), Effort(level: 6, cost: 13, size: 0.89),
            Effort(level: highestZstdLevel, cost: 18, size: 0.87),
        ],
        decoding: Interval(nanoseconds: 1),
        library: Library(
            makeEncoder: { unsafe czstd_compressor(highestZstdLevel) }, makeDecoder: { unsafe czstd_decompressor() },
            freeEncoder: czstd_compressor_free, freeDecoder: czstd_decompressor_free, encode: czstd_compress,
            decode: czstd_decompress))

    private static let highestZstdLevel: Int32 = 9
}
