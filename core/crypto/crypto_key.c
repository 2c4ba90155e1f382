#include "core/crypto/crypto_priv.h"

#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "core/base/b64.h"

#define KEY_DER_MAX 8192                    /* an RSA-8192 private key takes 4.7 KB */
#define KEY_PEM_MAX 16384

struct crypto_key *crypto_key_wrap(void)
{
    struct crypto_key *k = NEW(struct crypto_key);

    ref_init(&k->ref);
    mbedtls_pk_init(&k->pk);
    return k;
}

struct crypto_key *crypto_key_ref(struct crypto_key *k)
{
    ref_get(&k->ref);
    return k;
}

struct crypto_key *crypto_key_unref(struct crypto_key *k)
{
    if (!k || !ref_put(&k->ref))
        return NULL;
    mbedtls_pk_free(&k->pk);
    return mem_free(k);
}

int crypto_key_new(struct crypto_key **out, struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *k = NULL;
    psa_key_attributes_t attr = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id;
    int rc;

    if (crypto_init(err) < 0)
        return -1;
    k = crypto_key_wrap();
    psa_set_key_type(&attr, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attr, 256);
    psa_set_key_algorithm(&attr, PSA_ALG_ECDSA(PSA_ALG_ANY_HASH));
    psa_set_key_usage_flags(&attr, PSA_KEY_USAGE_EXPORT | PSA_KEY_USAGE_SIGN_HASH);
    if (psa_generate_key(&attr, &id) != PSA_SUCCESS)
        return err_set(err, ERR_FAILED, "make a key pair");
    rc = mbedtls_pk_copy_from_psa(id, &k->pk);
    psa_destroy_key(id);
    if (rc)
        return crypto_fail(err, ERR_FAILED, rc, "make a key pair");
    k->is_private = true;
    *out = TAKE(k);
    return 0;
}

/* Only kinds of keys that someone should trust today. */
static int key_check(const struct crypto_key *k, struct err *err)
{
    size_t bits = mbedtls_pk_get_bitlen(&k->pk);

    switch (mbedtls_pk_get_type(&k->pk)) {
    case MBEDTLS_PK_RSA:
        if (bits < 2048 || bits > CRYPTO_RSA_BITS_MAX)
            return err_set(err, ERR_UNSUPPORTED, "RSA keys have 2048 to %d bits, not %zu",
                           CRYPTO_RSA_BITS_MAX, bits);
        return 0;
    case MBEDTLS_PK_ECKEY:
    case MBEDTLS_PK_ECDSA:
        switch (mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(k->pk))) {
        case MBEDTLS_ECP_DP_SECP256R1:
        case MBEDTLS_ECP_DP_SECP384R1:
        case MBEDTLS_ECP_DP_SECP521R1:
            return 0;
        default:
            return err_set(err, ERR_UNSUPPORTED, "keys use the curves P-256, P-384 and P-521 only");
        }
    default:
        return err_set(err, ERR_UNSUPPORTED, "keys are EC or RSA");
    }
}

/* The library wants PEM with its terminator. */
static int key_parse_pem(struct crypto_key *k, const char *pem, size_t len, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const unsigned char *p;
    int rc;

    buf_add(&text, pem, len);
    p = (const unsigned char *)text.p;
    if (strstr(text.p, "PRIVATE KEY-----")) {
        rc = mbedtls_pk_parse_key(&k->pk, p, len + 1, NULL, 0, crypto_rng, NULL);
        k->is_private = true;
    } else if (strstr(text.p, "PUBLIC KEY-----")) {
        rc = mbedtls_pk_parse_public_key(&k->pk, p, len + 1);
    } else if (strstr(text.p, "BEGIN CERTIFICATE-----")) {
        mbedtls_x509_crt crt;

        mbedtls_x509_crt_init(&crt);
        rc = mbedtls_x509_crt_parse(&crt, p, len + 1);
        if (rc >= 0)
            rc = mbedtls_pk_parse_public_key(&k->pk, crt.pk_raw.p, crt.pk_raw.len);
        mbedtls_x509_crt_free(&crt);
    } else {
        return err_set(err, ERR_INVALID, "no key in this PEM text");
    }
    return rc < 0 ? crypto_fail(err, ERR_INVALID, rc, "parse a key") : 0;
}

int crypto_key_parse(struct crypto_key **out, const char *pem, size_t len, struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *k = NULL;

    if (len > CRYPTO_PEM_MAX)
        return err_set(err, ERR_QUOTA, "a key's PEM text has at most %u bytes", CRYPTO_PEM_MAX);
    if (crypto_init(err) < 0)
        return -1;
    k = crypto_key_wrap();
    if (key_parse_pem(k, pem, len, err) < 0 || key_check(k, err) < 0)
        return -1;
    *out = TAKE(k);
    return 0;
}

int crypto_key_from_spki(struct crypto_key **out, const unsigned char *p, size_t len,
                         struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *k = crypto_key_wrap();
    int rc = mbedtls_pk_parse_public_key(&k->pk, p, len);

    if (rc)
        return crypto_fail(err, ERR_INVALID, rc, "parse a public key");
    if (key_check(k, err) < 0)
        return -1;
    *out = TAKE(k);
    return 0;
}

bool crypto_key_is_private(const struct crypto_key *k)
{
    return k->is_private;
}

void crypto_key_spki(struct buf *out, const struct crypto_key *k)
{
    unsigned char der[KEY_DER_MAX];
    int n = mbedtls_pk_write_pubkey_der(&k->pk, der, sizeof(der));

    check(n > 0);                            /* it was parsed or made by the same library */
    buf_add(out, der + sizeof(der) - n, (size_t)n);
}

bool crypto_key_same(const struct crypto_key *a, const struct crypto_key *b)
{
    _cleanup_buf_ struct buf x = BUF_INIT;
    _cleanup_buf_ struct buf y = BUF_INIT;

    crypto_key_spki(&x, a);
    crypto_key_spki(&y, b);
    return x.len == y.len && memcmp(x.p, y.p, x.len) == 0;
}

int crypto_key_write(struct buf *out, const struct crypto_key *k, struct err *err)
{
    unsigned char pem[KEY_PEM_MAX];
    int rc;

    if (!k->is_private)
        return err_set(err, ERR_INVALID, "this key has no private half");
    rc = mbedtls_pk_write_key_pem(&k->pk, pem, sizeof(pem));
    if (rc)
        return crypto_fail(err, ERR_FAILED, rc, "write a key");
    buf_str(out, (char *)pem);
    explicit_bzero(pem, sizeof(pem));
    return 0;
}

int crypto_key_write_public(struct buf *out, const struct crypto_key *k, struct err *err)
{
    _cleanup_buf_ struct buf der = BUF_INIT;

    (void)err;
    crypto_key_spki(&der, k);
    crypto_pem_write(out, "PUBLIC KEY", der.p, der.len);
    return 0;
}

void crypto_key_id(const struct crypto_key *k, char out[CRYPTO_KEY_ID_BYTES])
{
    _cleanup_buf_ struct buf der = BUF_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    unsigned char hash[CRYPTO_SHA256_BYTES];

    crypto_key_spki(&der, k);
    crypto_sha256(hash, der.p, der.len);
    b64_encode(&text, B64_URL, hash, sizeof(hash));
    check(text.len + 1 == CRYPTO_KEY_ID_BYTES);
    memcpy(out, text.p, CRYPTO_KEY_ID_BYTES);
}

static void jwk_rsa(struct buf *out, const struct crypto_key *k, const char *kid)
{
    mbedtls_rsa_context *rsa = mbedtls_pk_rsa(k->pk);
    unsigned char n[CRYPTO_RSA_BITS_MAX / 8], e[CRYPTO_RSA_BITS_MAX / 8];
    size_t len = mbedtls_rsa_get_len(rsa), skip = 0;

    check(len <= sizeof(n));
    check(mbedtls_rsa_export_raw(rsa, n, len, NULL, 0, NULL, 0, NULL, 0, e, len) == 0);
    while (skip < len - 1 && !e[skip])
        skip++;
    buf_fmt(out, "{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"%s\",\"alg\":\"RS256\",\"n\":\"", kid);
    b64_encode(out, B64_URL, n, len);
    buf_str(out, "\",\"e\":\"");
    b64_encode(out, B64_URL, e + skip, len - skip);
    buf_str(out, "\"}");
}

int crypto_key_jwk(struct buf *out, const struct crypto_key *k, struct err *err)
{
    static const struct { size_t bits; const char *crv, *alg; } curves[] = {
        { 256, "P-256", "ES256" }, { 384, "P-384", "ES384" }, { 521, "P-521", "ES512" },
    };
    _cleanup_buf_ struct buf der = BUF_INIT;
    size_t bits = mbedtls_pk_get_bitlen(&k->pk), n = (bits + 7) / 8;
    char kid[CRYPTO_KEY_ID_BYTES];

    crypto_key_id(k, kid);
    if (mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA) {
        jwk_rsa(out, k, kid);
        return 0;
    }
    crypto_key_spki(&der, k);                /* ends with the point: 04 x y */
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (curves[i].bits != bits)
            continue;
        buf_fmt(
            out,
            "{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"%s\",\"alg\":\"%s\",\"x\":\"",
            kid, curves[i].crv, curves[i].alg);
        b64_encode(out, B64_URL, der.p + der.len - 2 * n, n);
        buf_str(out, "\",\"y\":\"");
        b64_encode(out, B64_URL, der.p + der.len - n, n);
        buf_str(out, "\"}");
        return 0;
    }
    return err_set(err, ERR_UNSUPPORTED, "no JWK form for this key");
}

int crypto_key_sign(struct buf *sig, const struct crypto_key *k, const void *p, size_t len,
                    struct err *err)
{
    unsigned char hash[CRYPTO_SHA256_BYTES], out[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t n = 0;
    int rc;

    if (!k->is_private)
        return err_set(err, ERR_INVALID, "only a private key signs");
    crypto_sha256(hash, p, len);
    rc = mbedtls_pk_sign((mbedtls_pk_context *)&k->pk, MBEDTLS_MD_SHA256, hash, sizeof(hash), out,
                         sizeof(out), &n, crypto_rng, NULL);
    if (rc)
        return crypto_fail(err, ERR_FAILED, rc, "sign");
    buf_add(sig, out, n);
    return 0;
}
