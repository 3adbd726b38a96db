// Static contexts and the format without magic number are "experimental": the shared library has them, but may change
// them between versions. czstd.c is all that would change with them.
#define ZSTD_STATIC_LINKING_ONLY
#include "czstd.h"

#include <stdlib.h>
#include <zstd.h>

static const unsigned long long largest = 65536;

struct compressor {
    ZSTD_CCtx *context;
    void *workspace;
};

void *czstd_compressor(int level) {
    size_t size = 0;
    for (int each = level; each >= 1; each--) {
        size_t needed = ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(each, largest, 0));
        if (needed > size) size = needed;
    }
    struct compressor *compressor = calloc(1, sizeof *compressor);
    if (compressor == NULL) return NULL;
    compressor->workspace = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (compressor->workspace != NULL) compressor->context = ZSTD_initStaticCCtx(compressor->workspace, size);
    if (compressor->context == NULL) {
        czstd_compressor_free(compressor);
        return NULL;
    }
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_format, ZSTD_f_zstd1_magicless);
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_contentSizeFlag, 0);
    return compressor;
}

void czstd_compressor_free(void *compressor) {
    if (compressor == NULL) return;
    free(((struct compressor *)compressor)->workspace);
    free(compressor);
}

size_t czstd_compress(void *compressor, int level, void *out, size_t n, const void *plain, size_t m) {
    ZSTD_CCtx *context = ((struct compressor *)compressor)->context;
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    size_t length = ZSTD_compress2(context, out, n, plain, m);
    return ZSTD_isError(length) ? 0 : length;
}

void *czstd_decompressor(void) {
    size_t size = ZSTD_estimateDCtxSize();
    void *workspace = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (workspace == NULL) return NULL;
    ZSTD_DCtx *context = ZSTD_initStaticDCtx(workspace, size);
    if (context == NULL) {
        free(workspace);
        return NULL;
    }
    ZSTD_DCtx_setParameter(context, ZSTD_d_format, ZSTD_f_zstd1_magicless);
    // A static context is its workspace.
    return context;
}

void czstd_decompressor_free(void *decompressor) { free(decompressor); }

// The library would go on with what follows, as one more frame.
size_t czstd_frame_size(const void *frame, size_t m) {
    const unsigned char *coded = frame;
    ZSTD_frameHeader header;
    if (ZSTD_getFrameHeader_advanced(&header, coded, m, ZSTD_f_zstd1_magicless) != 0) return 0;
    size_t end = header.headerSize;
    for (int is_last = 0; !is_last;) {
        if (m - end < 3) return 0;
        unsigned block = coded[end] | coded[end + 1] << 8 | (unsigned)coded[end + 2] << 16;
        int is_run = (block >> 1 & 3) == 1;
        size_t size = is_run ? 1 : block >> 3;
        end += 3;
        if (m - end < size) return 0;
        end += size;
        is_last = block & 1;
    }
    size_t checksum = header.checksumFlag ? 4 : 0;
    return m - end >= checksum ? end + checksum : 0;
}

long czstd_decompress(void *decompressor, void *out, size_t n, const void *coded, size_t m) {
    if (m == 0 || czstd_frame_size(coded, m) != m) return -1;
    size_t length = ZSTD_decompressDCtx(decompressor, out, n, coded, m);
    return ZSTD_isError(length) ? -1 : (long)length;
}
