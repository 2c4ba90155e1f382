/* Certificates and requests are written here value by value: the library's writer keeps only one of
 * several equal name parts, and Kubernetes groups are several O parts. */
#include "core/crypto/crypto_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include <mbedtls/asn1.h>
#include <mbedtls/x509_csr.h>

#define OID_CN "\x55\x04\x03"
#define OID_O "\x55\x04\x0a"
#define OID_SAN "\x55\x1d\x11"
#define OID_BASIC "\x55\x1d\x13"
#define OID_USAGE "\x55\x1d\x0f"
#define OID_EXT_USAGE "\x55\x1d\x25"
#define OID_SKI "\x55\x1d\x0e"
#define OID_AKI "\x55\x1d\x23"
#define OID_SERVER "\x2b\x06\x01\x05\x05\x07\x03\x01"
#define OID_CLIENT "\x2b\x06\x01\x05\x05\x07\x03\x02"
#define OID_EXT_REQUEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define OID_ECDSA_SHA256 "\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define OID_RSA_SHA256 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"

static unsigned issue_count(const char *const *v)
{
    unsigned n = 0;

    while (v && v[n])
        n++;
    return n;
}

static int issue_check(const struct crypto_issue *w, struct err *err)
{
    if (issue_count(w->dns) + issue_count(w->ips) > CRYPTO_SANS_MAX)
        return err_set(err, ERR_QUOTA, "more than %d alternative names", CRYPTO_SANS_MAX);
    if (w->cn && strlen(w->cn) > CRYPTO_NAME_MAX)
        return err_set(err, ERR_INVALID, "a common name has at most %d bytes", CRYPTO_NAME_MAX);
    for (unsigned i = 0; i < issue_count(w->orgs); i++)
        if (strlen(w->orgs[i]) > CRYPTO_NAME_MAX)
            return err_set(err, ERR_INVALID, "an organization has at most %d bytes",
                           CRYPTO_NAME_MAX);
    for (unsigned i = 0; i < issue_count(w->ips); i++) {
        unsigned char ip[16];

        if (inet_pton(AF_INET, w->ips[i], ip) != 1 && inet_pton(AF_INET6, w->ips[i], ip) != 1)
            return err_set(err, ERR_INVALID, "\"%s\" is no address", w->ips[i]);
    }
    return 0;
}

static void issue_name_part(struct buf *b, const char *oid, const char *text)
{
    size_t set = der_open(b, DER_SET), seq = der_open(b, DER_SEQ);

    der_oid(b, oid, 3);
    der_value(b, DER_UTF8, text, strlen(text));
    der_close(b, seq);
    der_close(b, set);
}

static void issue_subject(struct buf *b, const struct crypto_issue *w)
{
    size_t seq = der_open(b, DER_SEQ);

    for (unsigned i = 0; i < issue_count(w->orgs); i++)
        issue_name_part(b, OID_O, w->orgs[i]);
    if (!str_empty(w->cn))
        issue_name_part(b, OID_CN, w->cn);
    der_close(b, seq);
}

/* Opens an extension up to the inside of its value; issue_ext_end closes all of it. */
struct ext { size_t seq, octets; };

static struct ext issue_ext(struct buf *b, const char *oid, bool critical)
{
    struct ext e = { .seq = der_open(b, DER_SEQ) };

    der_oid(b, oid, 3);
    if (critical)
        der_value(b, DER_BOOL, "\xff", 1);
    e.octets = der_open(b, DER_OCTETS);
    return e;
}

static void issue_ext_end(struct buf *b, struct ext e)
{
    der_close(b, e.octets);
    der_close(b, e.seq);
}

static void issue_sans(struct buf *b, const struct crypto_issue *w, bool critical)
{
    struct ext e;
    size_t seq;

    if (!issue_count(w->dns) && !issue_count(w->ips))
        return;
    e = issue_ext(b, OID_SAN, critical);
    seq = der_open(b, DER_SEQ);
    for (unsigned i = 0; i < issue_count(w->dns); i++)
        der_value(b, 0x82, w->dns[i], strlen(w->dns[i]));
    for (unsigned i = 0; i < issue_count(w->ips); i++) {
        unsigned char ip[16];
        bool v4 = inet_pton(AF_INET, w->ips[i], ip) == 1;

        if (!v4)
            inet_pton(AF_INET6, w->ips[i], ip);
        der_value(b, 0x87, ip, v4 ? 4 : 16);
    }
    der_close(b, seq);
    issue_ext_end(b, e);
}

static void issue_uses(struct buf *b, const struct crypto_issue *w, bool rsa)
{
    bool ca = w->uses & CRYPTO_USE_CA;
    struct ext e = issue_ext(b, OID_USAGE, true);
    size_t seq;

    /* digitalSignature, for RSA keyEncipherment; a CA: keyCertSign */
    if (ca)
        der_value(b, DER_BITS, "\x02\xa4", 2);
    else
        der_value(b, DER_BITS, rsa ? "\x05\xa0" : "\x07\x80", 2);
    issue_ext_end(b, e);
    if (!(w->uses & (CRYPTO_USE_SERVER | CRYPTO_USE_CLIENT)))
        return;
    e = issue_ext(b, OID_EXT_USAGE, false);
    seq = der_open(b, DER_SEQ);
    if (w->uses & CRYPTO_USE_SERVER)
        DER_OID(b, OID_SERVER);
    if (w->uses & CRYPTO_USE_CLIENT)
        DER_OID(b, OID_CLIENT);
    der_close(b, seq);
    issue_ext_end(b, e);
}

/* Key identifiers: the first 20 bytes of sha256 over the SPKI (RFC 7093). */
static void issue_key_ids(struct buf *b, struct slice own, struct slice issuer)
{
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct ext e = issue_ext(b, OID_SKI, false);
    size_t seq;

    crypto_sha256(hash, own.p, own.len);
    der_value(b, DER_OCTETS, hash, 20);
    issue_ext_end(b, e);
    e = issue_ext(b, OID_AKI, false);
    seq = der_open(b, DER_SEQ);
    crypto_sha256(hash, issuer.p, issuer.len);
    der_value(b, 0x80, hash, 20);
    der_close(b, seq);
    issue_ext_end(b, e);
}

static void issue_basic(struct buf *b, bool ca)
{
    struct ext e = issue_ext(b, OID_BASIC, true);
    size_t seq = der_open(b, DER_SEQ);

    if (ca)
        der_value(b, DER_BOOL, "\xff", 1);
    der_close(b, seq);
    issue_ext_end(b, e);
}

static void issue_time(struct buf *b, int64_t at)
{
    time_t t = (time_t)at;
    struct tm tm;
    char text[64];

    gmtime_r(&t, &tm);
    /* RFC 5280: UTCTime through 2049 */
    if (tm.tm_year < 150)
        snprintf(text, sizeof(text), "%02d%02d%02d%02d%02d%02dZ", tm.tm_year % 100, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    else
        snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    der_value(b, tm.tm_year < 150 ? DER_UTCTIME : DER_GENTIME, text, strlen(text));
}

static void issue_algorithm(struct buf *b, const struct crypto_key *key)
{
    size_t seq = der_open(b, DER_SEQ);

    if (mbedtls_pk_get_type(&key->pk) == MBEDTLS_PK_RSA) {
        DER_OID(b, OID_RSA_SHA256);
        der_value(b, DER_NULL, NULL, 0);
    } else {
        DER_OID(b, OID_ECDSA_SHA256);
    }
    der_close(b, seq);
}

/* SEQUENCE { body, algorithm, signature } as PEM. */
static int issue_sign(struct buf *pem, const char *label, const struct crypto_key *key,
                      const struct buf *body, struct err *err)
{
    _cleanup_buf_ struct buf sig = BUF_INIT;
    _cleanup_buf_ struct buf all = BUF_INIT;
    size_t seq, bits;

    if (crypto_key_sign(&sig, key, body->p, body->len, err) < 0)
        return -1;
    seq = der_open(&all, DER_SEQ);
    buf_add(&all, body->p, body->len);
    issue_algorithm(&all, key);
    bits = der_open(&all, DER_BITS);
    buf_chr(&all, 0);
    buf_add(&all, sig.p, sig.len);
    der_close(&all, bits);
    der_close(&all, seq);
    crypto_pem_write(pem, label, all.p, all.len);
    return 0;
}

struct issuer { const struct crypto_key *key; struct slice name, spki; };

static int issue_cert(struct buf *pem, const struct issuer *by, struct slice spki,
                      const struct crypto_issue *w, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    unsigned char serial[16];
    size_t tbs = der_open(&b, DER_SEQ), at;
    bool rsa = spki.len > 200;               /* EC keys, P-521 included, take at most 158 bytes */

    at = der_open(&b, 0xa0);
    der_value(&b, DER_INT, "\x02", 1);
    der_close(&b, at);
    crypto_random(serial, sizeof(serial));
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    der_uint(&b, serial, sizeof(serial));
    issue_algorithm(&b, by->key);
    buf_add(&b, by->name.p, by->name.len);
    at = der_open(&b, DER_SEQ);
    issue_time(&b, w->not_before_s);
    issue_time(&b, w->not_after_s);
    der_close(&b, at);
    issue_subject(&b, w);
    buf_add(&b, spki.p, spki.len);
    at = der_open(&b, 0xa3);
    size_t exts = der_open(&b, DER_SEQ);

    issue_uses(&b, w, rsa);
    issue_basic(&b, w->uses & CRYPTO_USE_CA);
    issue_key_ids(&b, spki, by->spki);
    issue_sans(&b, w, str_empty(w->cn) && !issue_count(w->orgs));
    der_close(&b, exts);
    der_close(&b, at);
    der_close(&b, tbs);
    return issue_sign(pem, "CERTIFICATE", by->key, &b, err);
}

int crypto_ca_new(struct buf *pem, const struct crypto_key *key, const struct crypto_issue *what,
                  struct err *err)
{
    _cleanup_buf_ struct buf spki = BUF_INIT;
    _cleanup_buf_ struct buf name = BUF_INIT;
    struct crypto_issue w = *what;
    struct issuer by = { .key = key };

    if (crypto_init(err) < 0 || issue_check(what, err) < 0)
        return -1;
    w.uses |= CRYPTO_USE_CA;
    crypto_key_spki(&spki, key);
    issue_subject(&name, &w);
    by.name = (struct slice){ name.p, name.len };
    by.spki = (struct slice){ spki.p, spki.len };
    return issue_cert(pem, &by, by.spki, &w, err);
}

int crypto_cert_issue(struct buf *pem, const struct crypto_cert *ca,
                      const struct crypto_key *ca_key, const struct crypto_key *subject,
                      const struct crypto_issue *what, struct err *err)
{
    _cleanup_buf_ struct buf spki = BUF_INIT;
    struct issuer by = { ca_key, crypto_cert_subject(ca), crypto_cert_spki(ca) };

    if (crypto_init(err) < 0 || issue_check(what, err) < 0)
        return -1;
    if (!crypto_cert_has_key(ca, ca_key))
        return err_set(err, ERR_INVALID, "the CA's certificate and key do not belong together");
    crypto_key_spki(&spki, subject);
    return issue_cert(pem, &by, (struct slice){ spki.p, spki.len }, what, err);
}

int crypto_csr_new(struct buf *pem, const struct crypto_key *key, const struct crypto_issue *what,
                   struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t body, attrs;

    if (crypto_init(err) < 0 || issue_check(what, err) < 0)
        return -1;
    body = der_open(&b, DER_SEQ);
    der_value(&b, DER_INT, "\0", 1);
    issue_subject(&b, what);
    crypto_key_spki(&b, key);
    attrs = der_open(&b, 0xa0);
    if (issue_count(what->dns) || issue_count(what->ips)) {
        size_t seq = der_open(&b, DER_SEQ), set, exts;

        DER_OID(&b, OID_EXT_REQUEST);
        set = der_open(&b, DER_SET);
        exts = der_open(&b, DER_SEQ);
        issue_sans(&b, what, false);
        der_close(&b, exts);
        der_close(&b, set);
        der_close(&b, seq);
    }
    der_close(&b, attrs);
    der_close(&b, body);
    return issue_sign(pem, "CERTIFICATE REQUEST", key, &b, err);
}
