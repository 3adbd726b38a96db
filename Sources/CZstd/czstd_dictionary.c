// Dictionaries: units that refer to bytes which both ends have, each one frame.
#define ZSTD_STATIC_LINKING_ONLY
#include "czstd.h"

#include <stdlib.h>
#include <zstd.h>

// The dictionary and a unit lie within the window.
static const int window = 15;
static const size_t largest = 4096, longest = 16384;

struct compressor {
    ZSTD_CCtx *context;
    void *workspace;
    int level;
};

// The usual parameters for so little data. The window would be larger by itself, and so would the table of hashes, which is cleared for every
// unit.
static ZSTD_compressionParameters parameters(int level) {
    ZSTD_compressionParameters parameters = ZSTD_getCParams(level, largest, longest);
    parameters.windowLog = (unsigned)window;
    if (parameters.hashLog > 14) parameters.hashLog = 14;
    if (parameters.chainLog > 15) parameters.chainLog = 15;
    return parameters;
}

static void set(ZSTD_CCtx *context, int level) {
    ZSTD_compressionParameters each = parameters(level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, (int)each.windowLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, (int)each.hashLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, (int)each.chainLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_searchLog, (int)each.searchLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, (int)each.minMatch);
    ZSTD_CCtx_setParameter(context, ZSTD_c_targetLength, (int)each.targetLength);
    ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, (int)each.strategy);
}

void *czstd_dictionary_compressor(int level) {
    size_t size = 0;
    for (int each = level; each >= 1; each--) {
        size_t needed = ZSTD_estimateCCtxSize_usingCParams(parameters(each));
        if (needed > size) size = needed;
    }
    struct compressor *compressor = calloc(1, sizeof *compressor);
    if (compressor == NULL) return NULL;
    compressor->workspace = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (compressor->workspace != NULL) compressor->context = ZSTD_initStaticCCtx(compressor->workspace, size);
    if (compressor->context == NULL) {
        czstd_dictionary_compressor_free(compressor);
        return NULL;
    }
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_format, ZSTD_f_zstd1_magicless);
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_contentSizeFlag, 0);
    return compressor;
}

void czstd_dictionary_compressor_free(void *compressor) {
    if (compressor == NULL) return;
    free(((struct compressor *)compressor)->workspace);
    free(compressor);
}

size_t czstd_dictionary_compress(void *compressor, int level, void *out, size_t n, const void *plain, size_t m,
                                 const void *dictionary, size_t d) {
    struct compressor *each = compressor;
    if (each->level != level) {
        set(each->context, level);
        each->level = level;
    }
    // It serves one frame, and is raw content, whatever stands in it.
    if (ZSTD_isError(ZSTD_CCtx_refPrefix(each->context, dictionary, d))) return 0;
    size_t length = ZSTD_compress2(each->context, out, n, plain, m);
    if (!ZSTD_isError(length)) return length;
    ZSTD_CCtx_reset(each->context, ZSTD_reset_session_only);
    return 0;
}

struct decompressor {
    void *context;
    void *dictionary;
    size_t size;
};

void *czstd_dictionary_decompressor(void) {
    struct decompressor *decompressor = calloc(1, sizeof *decompressor);
    if (decompressor == NULL) return NULL;
    decompressor->size = ZSTD_estimateDDictSize(longest, ZSTD_dlm_byRef);
    decompressor->dictionary = aligned_alloc(64, (decompressor->size + 63) & ~(size_t)63);
    decompressor->context = czstd_decompressor();
    if (decompressor->dictionary != NULL && decompressor->context != NULL) return decompressor;
    czstd_dictionary_decompressor_free(decompressor);
    return NULL;
}

void czstd_dictionary_decompressor_free(void *decompressor) {
    if (decompressor == NULL) return;
    struct decompressor *each = decompressor;
    czstd_decompressor_free(each->context);
    free(each->dictionary);
    free(each);
}

long czstd_dictionary_decompress(void *decompressor, void *out, size_t n, const void *coded, size_t m,
                                 const void *dictionary, size_t d) {
    struct decompressor *each = decompressor;
    if (m == 0 || czstd_frame_size(coded, m) != m) return -1;
    // By itself the library would take bytes that begin as a dictionary of its own do for one.
    const ZSTD_DDict *content = ZSTD_initStaticDDict(each->dictionary, each->size, dictionary, d, ZSTD_dlm_byRef,
                                                     ZSTD_dct_rawContent);
    if (content == NULL) return -1;
    size_t length = ZSTD_decompress_usingDDict(each->context, out, n, coded, m, content);
    return ZSTD_isError(length) ? -1 : (long)length;
}
