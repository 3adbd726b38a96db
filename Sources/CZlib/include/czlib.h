// Raw deflate (RFC 1951) of whole units with contexts that are made once and reset for each.
#ifndef CZLIB_H
#define CZLIB_H

#include <lifetimebound.h>
#include <ptrcheck.h>
#include <stddef.h>
#include <stdint.h>

/// A deflate context, about 256 KB: 32 KB window, memory level 8. NULL if there is no memory.
void *czlib_deflater(int level);
void czlib_deflater_free(void *deflater);

/// Compresses `m` bytes into at most `n`; the number written, or 0 if they do not fit (then nothing of `out` counts).
size_t czlib_deflate(void *deflater, uint8_t *__counted_by(n) out __noescape, size_t n,
                     const uint8_t *__counted_by(m) plain __noescape, size_t m);

/// An inflate context, about 40 KB.
void *czlib_inflater(void);
void czlib_inflater_free(void *inflater);

/// Decompresses `m` bytes into at most `n`; the number written, or -1 if the input is not exactly one complete stream
/// whose content fits.
long czlib_inflate(void *inflater, uint8_t *__counted_by(n) out __noescape, size_t n,
                   const uint8_t *__counted_by(m) coded __noescape, size_t m);

#endif
