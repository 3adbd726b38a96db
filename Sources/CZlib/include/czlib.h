// Raw deflate (RFC 1951) of whole units with contexts that are made once and reset for each.
//
// Plain pointers: Swift 6.3.1 fails to compile calls of functions with several counted ones.
#ifndef CZLIB_H
#define CZLIB_H

#include <stddef.h>
#include <stdint.h>

/// A deflate context, about 256 KB: 32 KB window, memory level 8. NULL if there is no memory.
void *czlib_deflater(void);
void czlib_deflater_free(void *deflater);

/// Compresses `m` bytes into at most `n`; the number written, or 0 if they do not fit (then nothing of `out` counts).
size_t czlib_deflate(void *deflater, int level, void *out, size_t n, const void *plain, size_t m);

/// An inflate context, about 40 KB.
void *czlib_inflater(void);
void czlib_inflater_free(void *inflater);

/// Decompresses `m` bytes into at most `n`; the number written, or -1 if the input is not exactly one complete stream
/// whose content fits.
long czlib_inflate(void *inflater, void *out, size_t n, const void *coded, size_t m);

/// The same where the bytes in front of both are `d` of `dictionary`, of which the last 32 KB count.
size_t czlib_deflate_behind(void *deflater, int level, void *out, size_t n, const void *plain, size_t m,
                            const void *dictionary, size_t d);
long czlib_inflate_behind(void *inflater, void *out, size_t n, const void *coded, size_t m,
                          const void *dictionary, size_t d);

/// CRC-32 (RFC 1952 §8) of `m` bytes.
uint32_t czlib_crc32(const void *bytes, size_t m);

#endif
