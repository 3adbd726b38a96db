// BLAKE2s (RFC 7693) from libb2 in one call, and the HMAC over it that Noise asks for.
//
// Plain pointers: Swift 6.3.1 fails to compile calls of functions with several counted ones.
#ifndef CBLAKE2_H
#define CBLAKE2_H

#include <stddef.h>
#include <stdint.h>

/// BLAKE2s of `a` bytes at `first` and then `b` bytes at `second`: `n` bytes of digest (1 to 32), keyed if `k` is not 0
/// (at most 32). -1 on a wrong size.
int cblake2s(uint8_t *out, size_t n, const uint8_t *key, size_t k, const uint8_t *first, size_t a,
             const uint8_t *second, size_t b);

/// HMAC-BLAKE2s (RFC 2104, block of 64 bytes) of the same, 32 bytes; the key has at most 64. -1 on a wrong size.
int cblake2s_hmac(uint8_t out[32], const uint8_t *key, size_t k, const uint8_t *first, size_t a, const uint8_t *second,
                  size_t b);

#endif
