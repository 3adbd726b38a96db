// BLAKE2s (RFC 7693) from libb2, as spans, and the HMAC over it that Noise asks for.
#ifndef CBLAKE2_H
#define CBLAKE2_H

#include <lifetimebound.h>
#include <ptrcheck.h>
#include <stddef.h>
#include <stdint.h>

/// BLAKE2s of `a` and then `b`, `n` bytes of digest (1 to 32), keyed if `k` is not 0 (at most 32). -1 on a wrong size.
int cblake2s(uint8_t *__counted_by(n) out __noescape, size_t n,
             const uint8_t *__counted_by(k) key __noescape, size_t k,
             const uint8_t *__counted_by(a) first __noescape, size_t a,
             const uint8_t *__counted_by(b) second __noescape, size_t b);

/// HMAC-BLAKE2s (RFC 2104, block of 64 bytes) of `a` and then `b`; `n` is 32, the key at most 64 bytes.
int cblake2s_hmac(uint8_t *__counted_by(n) out __noescape, size_t n,
                  const uint8_t *__counted_by(k) key __noescape, size_t k,
                  const uint8_t *__counted_by(a) first __noescape, size_t a,
                  const uint8_t *__counted_by(b) second __noescape, size_t b);

#endif
