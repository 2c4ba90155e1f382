/* core/crypto/crypto.h -- digests, randomness, keys, certificates and tokens.
 *
 * Everything made here is immutable and refcounted where it is shared: any thread may use it.
 * Randomness comes straight from the kernel (getrandom); there is no generator state of our own.
 * PEM texts are given with their length, without the terminator.
 */
#ifndef CORE_CRYPTO_CRYPTO_H
#define CORE_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/str.h"

/* Once per process before the first key, certificate or TLS use; repeated calls are cheap and safe.
 * The functions below call it themselves. */
int crypto_init(struct err *err);

/* Digests. */

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA512 };

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA512_BYTES 64
#define CRYPTO_DIGEST_MAX 64
#define CRYPTO_SHA256_HEX_BYTES 65           /* with terminator */

/* embed; private */
struct crypto_digest { enum crypto_hash hash; _Alignas(16) unsigned char state[256]; };

size_t crypto_digest_bytes(enum crypto_hash hash);
void crypto_digest_init(struct crypto_digest *d, enum crypto_hash hash);
void crypto_digest_add(struct crypto_digest *d, const void *p, size_t len);
/* init again for another round */
void crypto_digest_end(struct crypto_digest *d, unsigned char *out);
void crypto_sha256(unsigned char out[CRYPTO_SHA256_BYTES], const void *p, size_t len);
void crypto_sha512(unsigned char out[CRYPTO_SHA512_BYTES], const void *p, size_t len);
void crypto_sha256_hex(char out[CRYPTO_SHA256_HEX_BYTES], const void *p, size_t len);
/* WebSocket's handshake only */
void crypto_sha1(unsigned char out[20], const void *p, size_t len);
void crypto_hmac_sha256(unsigned char out[CRYPTO_SHA256_BYTES], struct slice key, const void *p,
                        size_t len);

/* 2 * len + 1 bytes, lower case */
void crypto_hex(char *out, const unsigned char *p, size_t len);
/* exactly 2 * len digits */
int crypto_unhex(unsigned char *out, size_t len, const char *text, struct err *err);
/* takes the same time always */
bool crypto_equal(const void *a, const void *b, size_t len);

/* aborts when the kernel has none */
void crypto_random(void *out, size_t len);

/* AES-256-GCM for secrets at rest: out = nonce (12) | ciphertext | tag (16). `bind` is
 * authenticated too. */
#define CRYPTO_SEAL_KEY_BYTES 32
#define CRYPTO_SEAL_OVERHEAD 28
int crypto_seal(struct buf *out, const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct slice bind,
                struct slice plain, struct err *err);
/* ERR_CORRUPT: changed, or another key */
int crypto_open(struct buf *out, const unsigned char key[CRYPTO_SEAL_KEY_BYTES], struct slice bind,
                struct slice sealed, struct err *err);

/* Keys: made as EC P-256; RSA 2048-8192 and EC P-384/P-521 are understood too. */

/* one PEM text, bundles included, up to 1 MB for CA bundles */
#define CRYPTO_PEM_MAX (256u << 10)
#define CRYPTO_BUNDLE_MAX (1u << 20)
#define CRYPTO_RSA_BITS_MAX 8192

struct crypto_key;

/* a fresh EC P-256 pair */
int crypto_key_new(struct crypto_key **out, struct err *err);
/* A private key (PKCS#8, SEC1, PKCS#1) or a public key (SPKI, PKCS#1) or the key of a certificate,
 * in PEM. */
int crypto_key_parse(struct crypto_key **out, const char *pem, size_t len, struct err *err);
struct crypto_key *crypto_key_ref(struct crypto_key *k);
/* NULL is fine; returns NULL */
struct crypto_key *crypto_key_unref(struct crypto_key *k);
CLEANUP_DEFINE(struct crypto_key, crypto_key_unref)
bool crypto_key_is_private(const struct crypto_key *k);
/* the same public half */
bool crypto_key_same(const struct crypto_key *a, const struct crypto_key *b);
/* PEM, private */
int crypto_key_write(struct buf *out, const struct crypto_key *k, struct err *err);
/* PEM, SPKI */
int crypto_key_write_public(struct buf *out, const struct crypto_key *k, struct err *err);
/* base64url(sha256(SPKI)): the `kid` of upstream's service account tokens. */
#define CRYPTO_KEY_ID_BYTES 44
void crypto_key_id(const struct crypto_key *k, char out[CRYPTO_KEY_ID_BYTES]);
/* {"use":"sig","kty":...,"kid":...,"alg":...,...}: one entry of a JWKS. */
int crypto_key_jwk(struct buf *out, const struct crypto_key *k, struct err *err);

/* Certificates. */

enum { CRYPTO_USE_SERVER = 1, CRYPTO_USE_CLIENT = 2, CRYPTO_USE_CA = 4 };

/* What a certificate or a request says. Texts are terminated; lists end with NULL. */
struct crypto_names {
    const char *cn;                          /* "" when it has none */
    const char *const *orgs;                 /* O, in order */
    const char *const *dns;                  /* SANs */
    const char *const *ips;                  /* SANs, as text */
    unsigned n_orgs, n_dns, n_ips, n_other;  /* n_other: SANs of other types (URI, email, ...) */
    /* CRYPTO_USE_*; of a certificate without EKU: all but CA */
    unsigned uses;
};

struct crypto_cert;

/* The first certificate of a PEM text, or one in DER. ERR_INVALID when it is none. */
int crypto_cert_parse(struct crypto_cert **out, const char *p, size_t len, struct err *err);
struct crypto_cert *crypto_cert_ref(struct crypto_cert *c);
struct crypto_cert *crypto_cert_unref(struct crypto_cert *c);
CLEANUP_DEFINE(struct crypto_cert, crypto_cert_unref)
const struct crypto_names *crypto_cert_names(const struct crypto_cert *c);
int64_t crypto_cert_not_before_s(const struct crypto_cert *c);
int64_t crypto_cert_not_after_s(const struct crypto_cert *c);
/* sha256 of the DER in hex */
const char *crypto_cert_fingerprint(const struct crypto_cert *c);
/* sha256 of the public key in hex: join tokens */
const char *crypto_cert_spki_hash(const struct crypto_cert *c);
struct slice crypto_cert_der(const struct crypto_cert *c);
void crypto_cert_pem(struct buf *out, const struct crypto_cert *c);
bool crypto_cert_has_key(const struct crypto_cert *c, const struct crypto_key *k);
/* Chain to one of the roots, validity at now_s (0: not looked at), and the use (0: any; else one
 * CRYPTO_USE_*). */
int crypto_cert_verify(const struct crypto_cert *c, struct slice roots_pem, unsigned use,
                       int64_t now_s, struct err *err);

struct crypto_issue {
    const char *cn;
    const char *const *orgs, *const *dns, *const *ips;      /* NULL-terminated, or NULL */
    unsigned uses;
    int64_t not_before_s, not_after_s;       /* unused in requests */
};
#define CRYPTO_NAME_MAX 255                  /* bytes of one CN or O, as the library allows */
#define CRYPTO_SANS_MAX 128

int crypto_ca_new(struct buf *pem, const struct crypto_key *key, const struct crypto_issue *what,
                  struct err *err);
/* A certificate for `subject` (only its public half is used), signed by the CA. Adds PEM to the
 * buffer. */
int crypto_cert_issue(struct buf *pem, const struct crypto_cert *ca,
                      const struct crypto_key *ca_key, const struct crypto_key *subject,
                      const struct crypto_issue *what, struct err *err);

struct crypto_csr;

int crypto_csr_new(struct buf *pem, const struct crypto_key *key, const struct crypto_issue *what,
                   struct err *err);
/* checks its signature */
int crypto_csr_parse(struct crypto_csr **out, const char *p, size_t len, struct err *err);
struct crypto_csr *crypto_csr_free(struct crypto_csr *c);
CLEANUP_DEFINE(struct crypto_csr, crypto_csr_free)
const struct crypto_names *crypto_csr_names(const struct crypto_csr *c);
/* public only; borrowed */
const struct crypto_key *crypto_csr_key(const struct crypto_csr *c);

/* Tokens (JWS compact form). ES256 for our keys; RS256 and ES256/384/512 are verified too. */

#define CRYPTO_JWT_MAX (64u << 10)
/* kid NULL: crypto_key_id(). claims: a JSON object's text. */
int crypto_jwt_sign(struct buf *out, const struct crypto_key *key, const char *kid,
                    struct slice claims, struct err *err);
/* Checks form and signature by the key that matches `kid` (all keys when none does) and hands out
 * the claims' text. Times and audience are the caller's to judge. ERR_INVALID: no JWT;
 * ERR_DENIED: no key signed it. */
int crypto_jwt_verify(struct buf *claims, struct slice token, const struct crypto_key *const *keys,
                      size_t n_keys, struct err *err);

#endif
