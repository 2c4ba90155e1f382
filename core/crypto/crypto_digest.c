#include "core/crypto/crypto_priv.h"

#include <psa/crypto.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* SHA-256 is written out here: image layers are hashed with it, and the library's portable form
 * runs at a sixth of what the processor's own instructions reach. */
struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64];
};

_Static_assert(sizeof(struct sha256) <= sizeof(((struct crypto_digest *)0)->state),
               "state is too small");
_Static_assert(sizeof(psa_hash_operation_t) <= sizeof(((struct crypto_digest *)0)->state),
               "state is too small");

static const uint32_t sha256_k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t sha256_rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void sha256_blocks_plain(uint32_t h[8], const unsigned char *p, size_t n)
{
    for (; n; n--, p += 64) {
        uint32_t w[64], v[8];

        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
                   (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];

            w[i] = w[i - 16] + w[i - 7] + (sha256_rotr(a, 7) ^ sha256_rotr(a, 18) ^ a >> 3) +
                   (sha256_rotr(b, 17) ^ sha256_rotr(b, 19) ^ b >> 10);
        }
        memcpy(v, h, sizeof(v));
        for (int i = 0; i < 64; i++) {
            uint32_t e = v[4], a = v[0];
            uint32_t t1 = v[7] + (sha256_rotr(e, 6) ^ sha256_rotr(e, 11) ^ sha256_rotr(e, 25)) +
                          ((e & v[5]) ^ (~e & v[6])) + sha256_k[i] + w[i];
            uint32_t t2 = (sha256_rotr(a, 2) ^ sha256_rotr(a, 13) ^ sha256_rotr(a, 22)) +
                          ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

            memmove(v + 1, v, 7 * sizeof(v[0]));
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            h[i] += v[i];
    }
}

#if defined(__x86_64__)
/* Four rounds at a time. w[0..3] hold the last sixteen words of the schedule, w[i & 3] those of
 * round 4 * i. */
__attribute__((target("sha,sse4.1,ssse3")))
static void sha256_blocks_ni(uint32_t h[8], const unsigned char *p, size_t n)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
    __m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h), 0xb1);
    __m128i s1 = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h + 4)), 0x1b);
    __m128i s0 = _mm_alignr_epi8(t, s1, 8);

    s1 = _mm_blend_epi16(s1, t, 0xf0);
    for (; n; n--, p += 64) {
        __m128i w[4], before0 = s0, before1 = s1;

        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m128i m =
                _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(sha256_k + 4 * i)));

            s1 = _mm_sha256rnds2_epu32(s1, s0, m);
            s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(m, 0x0e));
            if (i < 12) {
                __m128i x = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);

                x = _mm_add_epi32(x, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(x, w[(i + 3) & 3]);
            }
        }
        s0 = _mm_add_epi32(s0, before0);
        s1 = _mm_add_epi32(s1, before1);
    }
    t = _mm_shuffle_epi32(s0, 0x1b);
    s1 = _mm_shuffle_epi32(s1, 0xb1);
    _mm_storeu_si128((__m128i *)h, _mm_blend_epi16(t, s1, 0xf0));
    _mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(s1, t, 8));
}
#endif

static void sha256_blocks(uint32_t h[8], const unsigned char *p, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1")) {
        sha256_blocks_ni(h, p, n);
        return;
    }
#endif
    sha256_blocks_plain(h, p, n);
}

static void sha256_init(struct sha256 *s)
{
    *s = (struct sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

static void sha256_add(struct sha256 *s, const unsigned char *p, size_t len)
{
    size_t have = s->bytes % 64;

    s->bytes += len;
    if (have) {
        size_t n = len < 64 - have ? len : 64 - have;

        memcpy(s->block + have, p, n);
        if (have + n < 64)
            return;
        sha256_blocks(s->h, s->block, 1);
        p += n;
        len -= n;
    }
    sha256_blocks(s->h, p, len / 64);
    if (len % 64)
        memcpy(s->block, p + len / 64 * 64, len % 64);
}

static void sha256_end(struct sha256 *s, unsigned char out[CRYPTO_SHA256_BYTES])
{
    static const unsigned char pad[64] = { 0x80 };
    uint64_t bits = s->bytes * 8;
    unsigned char tail[8];

    for (int i = 0; i < 8; i++)
        tail[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(s, pad, 1 + (119 - s->bytes % 64) % 64);
    sha256_add(s, tail, sizeof(tail));
    check(s->bytes % 64 == 0);
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 4; k++)
            out[4 * i + k] = (unsigned char)(s->h[i] >> (24 - 8 * k));
}

size_t crypto_digest_bytes(enum crypto_hash hash)
{
    return hash == CRYPTO_SHA256 ? CRYPTO_SHA256_BYTES : CRYPTO_SHA512_BYTES;
}

void crypto_digest_init(struct crypto_digest *d, enum crypto_hash hash)
{
    d->hash = hash;
    if (hash == CRYPTO_SHA256) {
        sha256_init((struct sha256 *)d->state);
        return;
    }
    psa_hash_operation_t *op = (psa_hash_operation_t *)d->state;

    *op = (psa_hash_operation_t)PSA_HASH_OPERATION_INIT;
    check(psa_hash_setup(op, PSA_ALG_SHA_512) == PSA_SUCCESS);
}

void crypto_digest_add(struct crypto_digest *d, const void *p, size_t len)
{
    if (!len)
        return;
    if (d->hash == CRYPTO_SHA256)
        sha256_add((struct sha256 *)d->state, p, len);
    else
        check(psa_hash_update((psa_hash_operation_t *)d->state, p, len) == PSA_SUCCESS);
}

void crypto_digest_end(struct crypto_digest *d, unsigned char *out)
{
    size_t len = 0;

    if (d->hash == CRYPTO_SHA256) {
        sha256_end((struct sha256 *)d->state, out);
        return;
    }
    check(psa_hash_finish((psa_hash_operation_t *)d->state, out, CRYPTO_SHA512_BYTES, &len) ==
          PSA_SUCCESS);
}

void crypto_sha256(unsigned char out[CRYPTO_SHA256_BYTES], const void *p, size_t len)
{
    struct sha256 s;

    sha256_init(&s);
    if (len)
        sha256_add(&s, p, len);
    sha256_end(&s, out);
}

void crypto_sha512(unsigned char out[CRYPTO_SHA512_BYTES], const void *p, size_t len)
{
    struct crypto_digest d;

    crypto_digest_init(&d, CRYPTO_SHA512);
    crypto_digest_add(&d, p, len);
    crypto_digest_end(&d, out);
}

void crypto_sha256_hex(char out[CRYPTO_SHA256_HEX_BYTES], const void *p, size_t len)
{
    unsigned char d[CRYPTO_SHA256_BYTES];

    crypto_sha256(d, p, len);
    crypto_hex(out, d, sizeof(d));
}

void crypto_sha1(unsigned char out[20], const void *p, size_t len)
{
    size_t n = 0;

    check(psa_hash_compute(PSA_ALG_SHA_1, p, len, out, 20, &n) == PSA_SUCCESS);
}

void crypto_hmac_sha256(unsigned char out[CRYPTO_SHA256_BYTES], struct slice key, const void *p,
                        size_t len)
{
    unsigned char k[64] = { 0 }, inner[CRYPTO_SHA256_BYTES];
    struct sha256 s;

    if (key.len > sizeof(k))
        crypto_sha256(k, key.p, key.len);
    else if (key.len)
        memcpy(k, key.p, key.len);
    for (size_t i = 0; i < sizeof(k); i++)
        k[i] ^= 0x36;
    sha256_init(&s);
    sha256_add(&s, k, sizeof(k));
    if (len)
        sha256_add(&s, p, len);
    sha256_end(&s, inner);
    for (size_t i = 0; i < sizeof(k); i++)
        k[i] ^= 0x36 ^ 0x5c;
    sha256_init(&s);
    sha256_add(&s, k, sizeof(k));
    sha256_add(&s, inner, sizeof(inner));
    sha256_end(&s, out);
}
