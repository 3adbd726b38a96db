import CZlib

extension CodecTraits {
    /// Raw deflate (RFC 1951).
    static let deflate = unsafe CodecTraits(
        name: "deflate",
        preference: 1,
        efforts: [Effort(level: 1, cost: 10, size: 1), Effort(level: 6, cost: 27, size: 0.85)],
        decoding: Interval(nanoseconds: 3),
        library: Library(
            makeEncoder: { unsafe czlib_deflater() }, makeDecoder: { unsafe czlib_inflater() },
            freeEncoder: czlib_deflater_free, freeDecoder: czlib_inflater_free, encode: czlib_deflate,
            decode: czlib_inflate))
}
