// Streams: the coded bytes of all units of a stream, one behind the other, are one frame that never ends.
#define ZSTD_STATIC_LINKING_ONLY
#include "czstd.h"

#include <stdlib.h>
#include <zstd.h>

struct encoder {
    ZSTD_CCtx *context;
    void *workspace;
};

// The usual parameters for so much data as the window holds; by themselves those of a level may have a larger one.
static ZSTD_compressionParameters parameters(int level, int window) {
    ZSTD_compressionParameters parameters = ZSTD_getCParams(level, 1ULL << window, 0);
    parameters.windowLog = (unsigned)window;
    return parameters;
}

size_t czstd_stream_encoder_size(int level, int window) {
    return (ZSTD_estimateCStreamSize_usingCParams(parameters(level, window)) + 63) & ~(size_t)63;
}

void *czstd_stream_encoder(int level, int window) {
    size_t size = czstd_stream_encoder_size(level, window);
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) return NULL;
    encoder->workspace = aligned_alloc(64, size);
    if (encoder->workspace != NULL) encoder->context = ZSTD_initStaticCCtx(encoder->workspace, size);
    if (encoder->context == NULL) {
        czstd_stream_encoder_free(encoder);
        return NULL;
    }
    ZSTD_compressionParameters each = parameters(level, window);
    ZSTD_CCtx *context = encoder->context;
    ZSTD_CCtx_setParameter(context, ZSTD_c_format, ZSTD_f_zstd1_magicless);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, (int)each.windowLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, (int)each.hashLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, (int)each.chainLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_searchLog, (int)each.searchLog);
    ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, (int)each.minMatch);
    ZSTD_CCtx_setParameter(context, ZSTD_c_targetLength, (int)each.targetLength);
    ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, (int)each.strategy);
    return encoder;
}

void czstd_stream_encoder_free(void *encoder) {
    if (encoder == NULL) return;
    free(((struct encoder *)encoder)->workspace);
    free(encoder);
}

void czstd_stream_encoder_reset(void *encoder) {
    ZSTD_CCtx_reset(((struct encoder *)encoder)->context, ZSTD_reset_session_only);
}

size_t czstd_stream_encode(void *encoder, void *out, size_t n, const void *plain, size_t m) {
    ZSTD_inBuffer input = {plain, m, 0};
    ZSTD_outBuffer output = {out, n, 0};
    size_t left = ZSTD_compressStream2(((struct encoder *)encoder)->context, &output, &input, ZSTD_e_flush);
    return left != 0 || input.pos != m ? 0 : output.pos;
}

size_t czstd_stream_decoder_size(int window) {
    return (ZSTD_estimateDStreamSize((size_t)1 << window) + 63) & ~(size_t)63;
}

void *czstd_stream_decoder(int window) {
    size_t size = czstd_stream_decoder_size(window);
    void *workspace = aligned_alloc(64, size);
    if (workspace == NULL) return NULL;
    ZSTD_DCtx *context = ZSTD_initStaticDStream(workspace, size);
    if (context == NULL) {
        free(workspace);
        return NULL;
    }
    ZSTD_DCtx_setParameter(context, ZSTD_d_format, ZSTD_f_zstd1_magicless);
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window);
    // A static context is its workspace.
    return context;
}

void czstd_stream_decoder_free(void *decoder) { free(decoder); }

void czstd_stream_decoder_reset(void *decoder) { ZSTD_DCtx_reset(decoder, ZSTD_reset_session_only); }

int czstd_stream_decode(void *decoder, void *out, size_t n, const void *coded, size_t m) {
    ZSTD_inBuffer input = {coded, m, 0};
    // One byte more, to see whether there is more.
    ZSTD_outBuffer output = {out, n + 1, 0};
    while (input.pos < m) {
        size_t consumed = input.pos, produced = output.pos;
        size_t hint = ZSTD_decompressStream(decoder, &output, &input);
        // 0: the frame has ended, which none of ours does.
        if (ZSTD_isError(hint) || hint == 0) return 0;
        if (input.pos == consumed && output.pos == produced) return 0;
    }
    return output.pos == n;
}
