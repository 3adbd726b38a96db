#include "csodium.h"

#include <sodium.h>
#include <string.h>

int csodium_init(void) { return sodium_init() < 0 ? -1 : 0; }

void csodium_random(uint8_t *out, size_t n) { randombytes_buf(out, n); }

int csodium_random_from_seed(uint8_t *out, size_t n, const uint8_t *seed, size_t s) {
    if (s != randombytes_SEEDBYTES) return -1;
    randombytes_buf_deterministic(out, n, seed);
    return 0;
}

void csodium_wipe(uint8_t *bytes, size_t n) { sodium_memzero(bytes, n); }

int csodium_equal(const uint8_t *a, size_t n, const uint8_t *b, size_t m) {
    return n == m && sodium_memcmp(a, b, n) == 0;
}

int csodium_x25519(uint8_t *out, size_t n, const uint8_t *scalar, size_t s, const uint8_t *point, size_t p) {
    if (n != 32 || s != 32 || p != 32) return -1;
    return crypto_scalarmult_curve25519(out, scalar, point);
}

int csodium_x25519_base(uint8_t *out, size_t n, const uint8_t *scalar, size_t s) {
    if (n != 32 || s != 32) return -1;
    return crypto_scalarmult_curve25519_base(out, scalar);
}

static void nonce_of(uint8_t nonce[12], uint64_t counter) {
    memset(nonce, 0, 4);
    for (int i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

int csodium_seal(void *buffer, size_t n, size_t plain, const uint8_t *key, size_t k, uint64_t counter) {
    uint8_t nonce[12];
    if (k != 32 || n < 16 || plain > n - 16) return -1;
    nonce_of(nonce, counter);
    return crypto_aead_chacha20poly1305_ietf_encrypt(buffer, NULL, buffer, plain, NULL, 0, NULL, nonce, key);
}

int csodium_open(void *buffer, size_t n, const uint8_t *key, size_t k, uint64_t counter) {
    uint8_t nonce[12];
    if (k != 32 || n < 16) return -1;
    nonce_of(nonce, counter);
    return crypto_aead_chacha20poly1305_ietf_decrypt(buffer, NULL, NULL, buffer, n, NULL, 0, nonce, key);
}

int csodium_seal_with_data(uint8_t *out, size_t n, const uint8_t *plain, size_t m, const uint8_t *data, size_t a,
                           const uint8_t *key, size_t k, uint64_t counter) {
    uint8_t nonce[12];
    if (k != 32 || n != m + 16) return -1;
    nonce_of(nonce, counter);
    return crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, m, data, a, NULL, nonce, key);
}

int csodium_open_with_data(uint8_t *out, size_t n, const uint8_t *sealed, size_t m, const uint8_t *data, size_t a,
                           const uint8_t *key, size_t k, uint64_t counter) {
    uint8_t nonce[12];
    if (k != 32 || m != n + 16) return -1;
    nonce_of(nonce, counter);
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, m, data, a, nonce, key);
}

int csodium_xseal(uint8_t *out, size_t n, const uint8_t *plain, size_t m, const uint8_t *data, size_t a,
                  const uint8_t *key, size_t k, const uint8_t *nonce, size_t o) {
    if (k != 32 || o != 24 || n != m + 16) return -1;
    return crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, m, data, a, NULL, nonce, key);
}

int csodium_xopen(uint8_t *out, size_t n, const uint8_t *sealed, size_t m, const uint8_t *data, size_t a,
                  const uint8_t *key, size_t k, const uint8_t *nonce, size_t o) {
    if (k != 32 || o != 24 || m != n + 16) return -1;
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, m, data, a, nonce, key);
}

void *csodium_secret_memory(size_t n) {
    void *memory = sodium_malloc(n);
    if (memory != NULL) memset(memory, 0, n);
    return memory;
}

void csodium_free(void *memory) { sodium_free(memory); }
