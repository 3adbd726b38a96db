"""The codecs of a UNIT (§3.2)."""

import zlib

import zstandard

from .wrong import Malformed, require

DEFLATE, ZSTD = 1, 2
KNOWN = frozenset([DEFLATE, ZSTD])
_MAGICLESS = zstandard.FORMAT_ZSTD1_MAGICLESS
_LARGEST = 4096
"""Bytes of a unit in the short form."""


def code(codec, data):
    return {DEFLATE: deflated, ZSTD: zstandarded}[codec](data)


def decode(codec, coded, size):
    """The bytes that were coded: just so many."""
    decoded = {DEFLATE: _inflated, ZSTD: _unzstandarded}[codec](coded, size)
    require(len(decoded) == size > 0, "not of the decoded size")
    return decoded


def deflated(data, window=-15, flush=zlib.Z_FINISH):
    """The data as raw deflate; the rest is for streams as they should not be."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, window)
    return deflate.compress(data) + deflate.flush(flush)


def zstandarded(data, window=16, content_size=False, checksum=False, form=_MAGICLESS):
    """The data as one frame of zstd; the rest is what is free, and what should not be.

    window: the binary logarithm of its size.
    """
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window, format=form, write_content_size=content_size, write_checksum=checksum)
    compress = zstandard.ZstdCompressor(compression_params=parameters).compressobj(
        size=len(data) if content_size else -1)
    return compress.compress(data) + compress.flush()


def frame(window):
    """Decodes pieces of one frame that never ends, whose window is no larger than that power of two."""
    return _wrong(zstandard.ZstdDecompressor(format=_MAGICLESS, max_window_size=1 << window).decompressobj().decompress)


def unending(window):
    """Codes pieces of such a frame."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window, format=_MAGICLESS, write_content_size=False)
    compress = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return lambda data: compress.compress(data) + compress.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def recalled(coded, content):
    """The bytes of one frame in front of which others stand."""
    decompress = zstandard.ZstdDecompressor(dict_data=_raw(content), format=_MAGICLESS).decompressobj()
    decoded = _wrong(decompress.decompress)(coded)
    require(decompress.eof and not decompress.unused_data, "not one frame")
    return decoded


def recalling(data, content):
    """The data as such a frame."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=17, format=_MAGICLESS)
    compress = zstandard.ZstdCompressor(dict_data=_raw(content), compression_params=parameters).compressobj()
    return compress.compress(data) + compress.flush()


def recalled_briefly(coded, content):
    """The bytes of one stream of raw deflate in front of which others stand."""
    inflate = zlib.decompressobj(-15, **({"zdict": content} if content else {}))
    return _whole(inflate, coded, _LARGEST)


def recalling_briefly(data, content):
    """The data as such a stream."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, **({"zdict": content} if content else {}))
    return deflate.compress(data) + deflate.flush()


def _raw(content):
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if content else None


def _wrong(decompress):
    def decode(coded):
        try:
            return decompress(coded)
        except zstandard.ZstdError as error:
            raise Malformed(str(error)) from None
    return decode


def _inflated(coded, size):
    return _whole(zlib.decompressobj(-15), coded, size)


def _whole(inflate, coded, size):
    try:
        decoded = inflate.decompress(coded, size + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    require(len(decoded) > size or inflate.eof and not inflate.unused_data, "not one stream")
    return decoded


def _unzstandarded(coded, size):
    frame = zstandard.ZstdDecompressor(format=_MAGICLESS).decompressobj()
    try:
        decoded = frame.decompress(coded)
    except zstandard.ZstdError as error:
        raise Malformed(str(error)) from None
    require(frame.eof and not frame.unused_data, "not one frame")
    return decoded
