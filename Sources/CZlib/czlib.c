#include "czlib.h"

#include <stdlib.h>
#include <zlib.h>

void *czlib_deflater(void) {
    z_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    if (deflateInit2(stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

void czlib_deflater_free(void *deflater) {
    if (deflater == NULL) return;
    deflateEnd(deflater);
    free(deflater);
}

size_t czlib_deflate(void *deflater, int level, void *out, size_t n, const void *plain, size_t m) {
    return czlib_deflate_behind(deflater, level, out, n, plain, m, NULL, 0);
}

size_t czlib_deflate_behind(void *deflater, int level, void *out, size_t n, const void *plain, size_t m,
                            const void *dictionary, size_t d) {
    z_stream *stream = deflater;
    // Directly after a reset another level takes effect without output.
    if (deflateReset(stream) != Z_OK || deflateParams(stream, level, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    if (d > 0 && deflateSetDictionary(stream, dictionary, (uInt)d) != Z_OK) return 0;
    stream->next_in = (Bytef *)plain;
    stream->avail_in = (uInt)m;
    stream->next_out = out;
    stream->avail_out = (uInt)n;
    // One call: Z_OK means that the output is full before the stream is, which is "not smaller".
    return deflate(stream, Z_FINISH) == Z_STREAM_END ? n - stream->avail_out : 0;
}

void *czlib_inflater(void) {
    z_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    if (inflateInit2(stream, -15) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

void czlib_inflater_free(void *inflater) {
    if (inflater == NULL) return;
    inflateEnd(inflater);
    free(inflater);
}

long czlib_inflate(void *inflater, void *out, size_t n, const void *coded, size_t m) {
    return czlib_inflate_behind(inflater, out, n, coded, m, NULL, 0);
}

long czlib_inflate_behind(void *inflater, void *out, size_t n, const void *coded, size_t m,
                          const void *dictionary, size_t d) {
    z_stream *stream = inflater;
    if (inflateReset(stream) != Z_OK) return -1;
    if (d > 0 && inflateSetDictionary(stream, dictionary, (uInt)d) != Z_OK) return -1;
    stream->next_in = (Bytef *)coded;
    stream->avail_in = (uInt)m;
    stream->next_out = out;
    stream->avail_out = (uInt)n;
    if (inflate(stream, Z_FINISH) != Z_STREAM_END || stream->avail_in != 0) return -1;
    return (long)(n - stream->avail_out);
}

uint32_t czlib_crc32(const void *bytes, size_t m) { return (uint32_t)crc32_z(0, bytes, m); }
