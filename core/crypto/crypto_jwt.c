#include "core/crypto/crypto_priv.h"

#include <psa/crypto.h>

#include "core/base/b64.h"
#include "core/base/json.h"

#define JWT_HEADER_MAX 4096

static const struct jwt_alg {
    const char *name;
    mbedtls_md_type_t md;
    psa_algorithm_t hash;
    size_t bits;                             /* of the curve; 0: RSA */
} jwt_algs[] = {
    { "ES256", MBEDTLS_MD_SHA256, PSA_ALG_SHA_256, 256 },
    { "RS256", MBEDTLS_MD_SHA256, PSA_ALG_SHA_256, 0 },
    { "ES384", MBEDTLS_MD_SHA384, PSA_ALG_SHA_384, 384 },
    { "ES512", MBEDTLS_MD_SHA512, PSA_ALG_SHA_512, 521 },
    { "RS384", MBEDTLS_MD_SHA384, PSA_ALG_SHA_384, 0 },
    { "RS512", MBEDTLS_MD_SHA512, PSA_ALG_SHA_512, 0 },
};

static bool jwt_fits(const struct jwt_alg *alg, const struct crypto_key *k)
{
    bool rsa = mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA;

    return alg->bits ? !rsa && mbedtls_pk_get_bitlen(&k->pk) == alg->bits : rsa;
}

/* One INTEGER of an ECDSA signature in DER, as n bytes. */
static int jwt_integer(unsigned char **p, const unsigned char *end, unsigned char *out, size_t n)
{
    size_t len = 0;

    if (mbedtls_asn1_get_tag(p, end, &len, DER_INT))
        return -1;
    for (; len && !**p; len--)
        ++*p;
    if (len > n)
        return -1;
    memset(out, 0, n - len);
    memcpy(out + n - len, *p, len);
    *p += len;
    return 0;
}

/* DER -> r | s, as JWS wants it. */
static int jwt_raw(struct buf *sig, size_t n, struct err *err)
{
    unsigned char raw[2 * 66], *p = (unsigned char *)sig->p, *end = p + sig->len;
    size_t len = 0;

    if (mbedtls_asn1_get_tag(&p, end, &len, DER_SEQ) || jwt_integer(&p, end, raw, n) < 0 ||
        jwt_integer(&p, end, raw + n, n) < 0)
        return err_set(err, ERR_FAILED, "sign a token");
    buf_clear(sig);
    buf_add(sig, raw, 2 * n);
    return 0;
}

int crypto_jwt_sign(struct buf *out, const struct crypto_key *key, const char *kid,
                    struct slice claims, struct err *err)
{
    _cleanup_buf_ struct buf head = BUF_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_buf_ struct buf sig = BUF_INIT;
    bool rsa = mbedtls_pk_get_type(&key->pk) == MBEDTLS_PK_RSA;
    char own[CRYPTO_KEY_ID_BYTES];

    if (!rsa && mbedtls_pk_get_bitlen(&key->pk) != 256)
        return err_set(err, ERR_UNSUPPORTED, "tokens are signed with P-256 or RSA keys");
    if (!kid) {
        crypto_key_id(key, own);
        kid = own;
    }
    buf_fmt(&head, "{\"alg\":\"%s\",\"kid\":", rsa ? "RS256" : "ES256");
    json_write_string(&head, kid, strlen(kid));
    buf_chr(&head, '}');
    b64_encode(&text, B64_URL, head.p, head.len);
    buf_chr(&text, '.');
    b64_encode(&text, B64_URL, claims.p, claims.len);
    if (crypto_key_sign(&sig, key, text.p, text.len, err) < 0)
        return -1;
    if (!rsa && jwt_raw(&sig, 32, err) < 0)
        return -1;
    buf_chr(&text, '.');
    b64_encode(&text, B64_URL, sig.p, sig.len);
    buf_add(out, text.p, text.len);
    return 0;
}

struct jwt_signed { struct slice text; const struct buf *sig; };

static bool jwt_verify_one(const struct jwt_alg *alg, const struct crypto_key *k,
                           const struct jwt_signed *what)
{
    struct slice text = what->text;
    const struct buf *sig = what->sig;
    _cleanup_buf_ struct buf der = BUF_INIT;
    unsigned char hash[CRYPTO_DIGEST_MAX];
    const unsigned char *s = (const unsigned char *)sig->p;
    size_t len = 0, n = (alg->bits + 7) / 8, slen = sig->len;

    if (!jwt_fits(alg, k))
        return false;
    if (psa_hash_compute(alg->hash, (const unsigned char *)text.p, text.len, hash, sizeof(hash),
                         &len) != PSA_SUCCESS)
        return false;
    if (n) {
        size_t seq;

        if (sig->len != 2 * n)
            return false;
        seq = der_open(&der, DER_SEQ);
        der_uint(&der, s, n);
        der_uint(&der, s + n, n);
        der_close(&der, seq);
        s = (const unsigned char *)der.p;
        slen = der.len;
    }
    return mbedtls_pk_verify((mbedtls_pk_context *)&k->pk, alg->md, hash, len, s, slen) == 0;
}

/* The key that is named; all keys when it is unknown, since a key may be known under another name.
 */
static bool jwt_verify_any(const struct jwt_alg *alg, const char *kid,
                           const struct crypto_key *const *keys, size_t n_keys,
                           const struct jwt_signed *what)
{
    for (size_t i = 0; *kid && i < n_keys; i++) {
        char id[CRYPTO_KEY_ID_BYTES];

        crypto_key_id(keys[i], id);
        if (strcmp(kid, id) == 0)
            return jwt_verify_one(alg, keys[i], what);
    }
    for (size_t i = 0; i < n_keys; i++)
        if (jwt_verify_one(alg, keys[i], what))
            return true;
    return false;
}

/* alg and kid of the header; kid is "" when it has none. */
static int jwt_head(struct arena *a, struct slice part, const struct jwt_alg **alg,
                    const char **kid, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *head;
    const char *name;

    if (part.len > JWT_HEADER_MAX || b64_decode(&text, B64_URL, part.p, part.len, NULL) < 0 ||
        json_parse(&head, a, text.p ? text.p : "", text.len, NULL, NULL) < 0 ||
        !json_is(head, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "the token's header is malformed");
    name = json_get_str(head, "alg");
    *kid = json_get_str(head, "kid");
    if (!*kid)
        *kid = "";
    if (json_get(head, "crit"))
        return err_set(err, ERR_UNSUPPORTED, "the token's header has critical extensions");
    for (size_t i = 0; i < ARRAY_LEN(jwt_algs); i++)
        if (str_eq(name, jwt_algs[i].name)) {
            *alg = &jwt_algs[i];
            return 0;
        }
    return err_set(err, ERR_UNSUPPORTED, "the token's signature algorithm is not supported");
}

int crypto_jwt_verify(struct buf *claims, struct slice token, const struct crypto_key *const *keys,
                      size_t n_keys, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    _cleanup_buf_ struct buf sig = BUF_INIT;
    struct slice rest = token, head, body, tail, text;
    const struct jwt_alg *alg = NULL;
    const char *kid = "";

    if (token.len > CRYPTO_JWT_MAX)
        return err_set(err, ERR_QUOTA, "a token has at most %u bytes", CRYPTO_JWT_MAX);
    if (!slice_split(&rest, '.', &head) || !slice_split(&rest, '.', &body) ||
        !slice_split(&rest, '.', &tail) || slice_split(&rest, '.', &text))
        return err_set(err, ERR_INVALID, "a token has three parts");
    if (crypto_init(err) < 0)
        return -1;
    a = arena_new(0);
    if (jwt_head(a, head, &alg, &kid, err) < 0)
        return -1;
    if (b64_decode(&sig, B64_URL, tail.p, tail.len, NULL) < 0 || !sig.len)
        return err_set(err, ERR_INVALID, "the token's signature is malformed");
    text = (struct slice){ token.p, (size_t)(tail.p - token.p) - 1 };
    if (!jwt_verify_any(alg, kid, keys, n_keys, &(struct jwt_signed){ text, &sig }))
        return err_set(err, ERR_DENIED, "the token is not signed by a known key");
    if (b64_decode(claims, B64_URL, body.p, body.len, NULL) < 0)
        return err_set(err, ERR_INVALID, "the token's claims are malformed");
    return 0;
}
