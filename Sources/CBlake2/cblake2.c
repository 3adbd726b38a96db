#define _DEFAULT_SOURCE
#include "cblake2.h"

#include <blake2.h>
#include <string.h>

int cblake2s(uint8_t *out, size_t n, const uint8_t *key, size_t k, const uint8_t *first, size_t a,
             const uint8_t *second, size_t b) {
    blake2s_state state;
    int failed = k > 0 ? blake2s_init_key(&state, n, key, k) : blake2s_init(&state, n);
    if (failed) return -1;
    if (a > 0) blake2s_update(&state, first, a);
    if (b > 0) blake2s_update(&state, second, b);
    blake2s_final(&state, out, n);
    explicit_bzero(&state, sizeof state);
    return 0;
}

int cblake2s_hmac(uint8_t out[32], const uint8_t *key, size_t k, const uint8_t *first, size_t a, const uint8_t *second,
                  size_t b) {
    uint8_t pad[64], inner[32];
    blake2s_state state;
    if (k > sizeof pad) return -1;

    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < k; i++) pad[i] ^= key[i];
    blake2s_init(&state, sizeof inner);
    blake2s_update(&state, pad, sizeof pad);
    if (a > 0) blake2s_update(&state, first, a);
    if (b > 0) blake2s_update(&state, second, b);
    blake2s_final(&state, inner, sizeof inner);

    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    blake2s_init(&state, 32);
    blake2s_update(&state, pad, sizeof pad);
    blake2s_update(&state, inner, sizeof inner);
    blake2s_final(&state, out, 32);

    explicit_bzero(pad, sizeof pad);
    explicit_bzero(inner, sizeof inner);
    explicit_bzero(&state, sizeof state);
    return 0;
}
