// libsodium, as spans: each function takes its buffers with their sizes, so that Swift needs no pointers.
//
// Sizes that the algorithm fixes (32-byte keys, 24-byte nonces) are checked here; a wrong size is a bug of
// the caller and returns -1 without touching the output.
#ifndef CSODIUM_H
#define CSODIUM_H

#include <lifetimebound.h>
#include <ptrcheck.h>
#include <stddef.h>
#include <stdint.h>

/// Chooses the fastest implementations for this processor. Call once, before anything else; 0, or -1 if the
/// system has no source of randomness.
int csodium_init(void);

/// Fills `out` with `n` unpredictable bytes.
void csodium_random(uint8_t *__counted_by(n) out __noescape, size_t n);

/// Fills `out` with the `n` bytes that `seed` (32 bytes) determines. For tests.
int csodium_random_from_seed(uint8_t *__counted_by(n) out __noescape, size_t n,
                             const uint8_t *__counted_by(s) seed __noescape, size_t s);

/// Overwrites `n` bytes with zeros in a way that the compiler cannot leave out.
void csodium_wipe(uint8_t *__counted_by(n) bytes __noescape, size_t n);

/// 1 if both hold the same bytes, in a time that depends on the size only; else 0.
int csodium_equal(const uint8_t *__counted_by(n) a __noescape, size_t n,
                  const uint8_t *__counted_by(m) b __noescape, size_t m);

/// X25519 (RFC 7748) of a 32-byte scalar and point; -1 if the result is all zero (a low-order point).
int csodium_x25519(uint8_t *__counted_by(n) out __noescape, size_t n,
                   const uint8_t *__counted_by(s) scalar __noescape, size_t s,
                   const uint8_t *__counted_by(p) point __noescape, size_t p);

/// The public key of a 32-byte X25519 scalar.
int csodium_x25519_base(uint8_t *__counted_by(n) out __noescape, size_t n,
                        const uint8_t *__counted_by(s) scalar __noescape, size_t s);

/// ChaCha20-Poly1305 (RFC 8439) in place, without associated data: the first `plain` bytes of `buffer` are
/// sealed, the tag follows them (`n` >= plain + 16). The nonce is 32 zero bits and the counter, little-endian.
int csodium_seal(void *__sized_by(n) buffer __noescape, size_t n, size_t plain,
                 const uint8_t *__counted_by(k) key __noescape, size_t k, uint64_t counter);

/// The reverse: `buffer` is ciphertext and tag; its first n - 16 bytes become the plaintext. -1 if the tag is wrong
/// (the buffer's content is then undefined).
int csodium_open(void *__sized_by(n) buffer __noescape, size_t n,
                 const uint8_t *__counted_by(k) key __noescape, size_t k, uint64_t counter);

/// ChaCha20-Poly1305 with associated data, between two buffers (`n` == m + 16).
int csodium_seal_with_data(uint8_t *__counted_by(n) out __noescape, size_t n,
                           const uint8_t *__counted_by(m) plain __noescape, size_t m,
                           const uint8_t *__counted_by(a) data __noescape, size_t a,
                           const uint8_t *__counted_by(k) key __noescape, size_t k, uint64_t counter);

/// The reverse (`m` == n + 16); -1 if the tag is wrong.
int csodium_open_with_data(uint8_t *__counted_by(n) out __noescape, size_t n,
                           const uint8_t *__counted_by(m) sealed __noescape, size_t m,
                           const uint8_t *__counted_by(a) data __noescape, size_t a,
                           const uint8_t *__counted_by(k) key __noescape, size_t k, uint64_t counter);

/// XChaCha20-Poly1305 with associated data and a 24-byte nonce (`n` == m + 16).
int csodium_xseal(uint8_t *__counted_by(n) out __noescape, size_t n,
                  const uint8_t *__counted_by(m) plain __noescape, size_t m,
                  const uint8_t *__counted_by(a) data __noescape, size_t a,
                  const uint8_t *__counted_by(k) key __noescape, size_t k,
                  const uint8_t *__counted_by(o) nonce __noescape, size_t o);

/// The reverse (`m` == n + 16); -1 if the tag is wrong.
int csodium_xopen(uint8_t *__counted_by(n) out __noescape, size_t n,
                  const uint8_t *__counted_by(m) sealed __noescape, size_t m,
                  const uint8_t *__counted_by(a) data __noescape, size_t a,
                  const uint8_t *__counted_by(k) key __noescape, size_t k,
                  const uint8_t *__counted_by(o) nonce __noescape, size_t o);

/// `n` bytes of zeroed memory for secrets: locked where the limits allow it, left out of core dumps, with
/// guard pages around it. NULL if there is no memory. Release it with csodium_free, which wipes it.
void *csodium_secret_memory(size_t n);
void csodium_free(void *memory);

#endif
