// zstd (RFC 8878) frames without magic number, of whole units, with contexts in fixed memory that are made once.
//
// Plain pointers: Swift 6.3.1 fails to compile calls of functions with several counted ones.
#ifndef CZSTD_H
#define CZSTD_H

#include <stddef.h>
#include <stdint.h>

/// A compression context for levels up to `level` and inputs of up to 64 KiB. NULL if there is no memory.
void *czstd_compressor(int level);
void czstd_compressor_free(void *compressor);

/// Compresses `m` bytes into at most `n`; the number written, or 0 if they do not fit (then nothing of `out` counts).
/// Nothing is allocated.
size_t czstd_compress(void *compressor, int level, void *out, size_t n, const void *plain, size_t m);

/// A decompression context.
void *czstd_decompressor(void);
void czstd_decompressor_free(void *decompressor);

/// Decompresses `m` bytes into at most `n`; the number written, or -1 if the input is not exactly one frame whose
/// content fits.
long czstd_decompress(void *decompressor, void *out, size_t n, const void *coded, size_t m);

#endif
