#include "core/crypto/crypto_priv.h"

#include <mbedtls/x509_csr.h>

struct crypto_csr {
    mbedtls_x509_csr csr;
    struct crypto_said said;
    struct crypto_key *key;
};

struct crypto_csr *crypto_csr_free(struct crypto_csr *c)
{
    if (!c)
        return NULL;
    mbedtls_x509_csr_free(&c->csr);
    crypto_said_deinit(&c->said);
    crypto_key_unref(c->key);
    return mem_free(c);
}

/* The parsed form keeps the signature to itself, so it is read from the DER: the last BIT STRING.
 */
static int csr_signature(struct slice *out, const mbedtls_x509_csr *csr, struct err *err)
{
    unsigned char *p = csr->cri.p + csr->cri.len, *end = csr->raw.p + csr->raw.len;
    size_t len = 0;

    if (mbedtls_asn1_get_tag(&p, end, &len, DER_SEQ) == 0) {
        p += len;
        if (mbedtls_asn1_get_bitstring_null(&p, end, &len) == 0) {
            *out = (struct slice){ (char *)p, len };
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "parse a certificate request: no signature");
}

/* Signature algorithms of requests that are taken, by the content of their OID. */
static const struct {
    struct slice oid;
    mbedtls_md_type_t md;
    psa_algorithm_t hash;
} csr_algorithms[] = {
    { { "\x2a\x86\x48\xce\x3d\x04\x03\x02", 8 }, MBEDTLS_MD_SHA256, PSA_ALG_SHA_256 },
    { { "\x2a\x86\x48\xce\x3d\x04\x03\x03", 8 }, MBEDTLS_MD_SHA384, PSA_ALG_SHA_384 },
    { { "\x2a\x86\x48\xce\x3d\x04\x03\x04", 8 }, MBEDTLS_MD_SHA512, PSA_ALG_SHA_512 },
    { { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", 9 }, MBEDTLS_MD_SHA256, PSA_ALG_SHA_256 },
    { { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", 9 }, MBEDTLS_MD_SHA384, PSA_ALG_SHA_384 },
    { { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", 9 }, MBEDTLS_MD_SHA512, PSA_ALG_SHA_512 },
};

static int csr_check(const mbedtls_x509_csr *csr, struct err *err)
{
    struct slice oid = { (const char *)csr->sig_oid.p, csr->sig_oid.len };
    struct slice sig = { NULL, 0 };
    unsigned char hash[CRYPTO_DIGEST_MAX];
    size_t n = 0;

    if (csr_signature(&sig, csr, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(csr_algorithms); i++) {
        if (!slice_eq(oid, csr_algorithms[i].oid))
            continue;
        check(psa_hash_compute(csr_algorithms[i].hash, csr->cri.p, csr->cri.len, hash, sizeof(hash),
                               &n) == PSA_SUCCESS);
        if (mbedtls_pk_verify((mbedtls_pk_context *)&csr->pk, csr_algorithms[i].md, hash, n,
                              (const unsigned char *)sig.p, sig.len) == 0)
            return 0;
        return err_set(err, ERR_INVALID, "the certificate request is not signed by its own key");
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "a certificate request's signature algorithm is not supported");
}

int crypto_csr_parse(struct crypto_csr **out, const char *p, size_t len, struct err *err)
{
    _cleanup_(crypto_csr_freep) struct crypto_csr *c = NULL;
    _cleanup_buf_ struct buf der = BUF_INIT;
    _cleanup_buf_ struct buf spki = BUF_INIT;
    unsigned char key[8192];
    int rc;

    if (len > CRYPTO_PEM_MAX)
        return err_set(err, ERR_QUOTA, "a certificate request has at most %u bytes",
                       CRYPTO_PEM_MAX);
    if (crypto_init(err) < 0)
        return -1;
    if (len && (unsigned char)p[0] == DER_SEQ)
        buf_add(&der, p, len);
    else if (crypto_pem_read(&der, "CERTIFICATE REQUEST", p, len, err) < 0)
        return -1;
    c = NEW(struct crypto_csr);
    mbedtls_x509_csr_init(&c->csr);
    rc = mbedtls_x509_csr_parse_der(&c->csr, (unsigned char *)der.p, der.len);
    if (rc)
        return crypto_fail(err, ERR_INVALID, rc, "parse a certificate request");
    if (csr_check(&c->csr, err) < 0 ||
        crypto_said_fill(&c->said, &c->csr.subject, &c->csr.subject_alt_names, err) < 0)
        return -1;
    rc = mbedtls_pk_write_pubkey_der(&c->csr.pk, key, sizeof(key));
    if (rc <= 0)
        return err_set(err, ERR_INVALID, "parse a certificate request: bad key");
    if (crypto_key_from_spki(&c->key, key + sizeof(key) - rc, (size_t)rc, err) < 0)
        return -1;
    *out = TAKE(c);
    return 0;
}

const struct crypto_names *crypto_csr_names(const struct crypto_csr *c)
{
    return &c->said.names;
}

const struct crypto_key *crypto_csr_key(const struct crypto_csr *c)
{
    return c->key;
}
