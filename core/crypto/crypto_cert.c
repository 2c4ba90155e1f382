#include "core/crypto/crypto_priv.h"

#include <arpa/inet.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "core/base/b64.h"
#include "core/base/vec.h"

struct crypto_cert {
    struct ref ref;
    mbedtls_x509_crt crt;
    struct crypto_said said;
    char fingerprint[CRYPTO_SHA256_HEX_BYTES], spki[CRYPTO_SHA256_HEX_BYTES];
};

struct said_list { VEC(const char *) v; };

static void said_text(struct arena *a, struct said_list *l, const unsigned char *p, size_t len)
{
    vec_push(&l->v, arena_strndup(a, (const char *)p, len));
}

static const char *const *said_end(struct arena *a, struct said_list *l, unsigned *n)
{
    const char **v = arena_alloc(a, (l->v.len + 1) * sizeof(*v));

    if (l->v.len)
        memcpy(v, l->v.v, l->v.len * sizeof(*v));
    *n = (unsigned)l->v.len;
    vec_deinit(&l->v);
    return v;
}

static int said_subject(struct crypto_said *s, const mbedtls_x509_name *n, struct said_list *orgs,
                        struct err *err)
{
    s->names.cn = "";
    for (; n; n = n->next) {
        bool cn = MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0;
        bool org = MBEDTLS_OID_CMP(MBEDTLS_OID_AT_ORGANIZATION, &n->oid) == 0;

        if (!cn && !org)
            continue;
        if (n->val.len && memchr(n->val.p, 0, n->val.len))
            return err_set(err, ERR_INVALID, "a name holds a zero byte");
        if (!str_is_utf8((const char *)n->val.p, n->val.len))
            return err_set(err, ERR_INVALID, "a name is not UTF-8");
        if (cn)
            s->names.cn = arena_strndup(s->a, (const char *)n->val.p, n->val.len);
        else
            said_text(s->a, orgs, n->val.p, n->val.len);
    }
    return 0;
}

static int said_sans(struct crypto_said *s, const mbedtls_x509_sequence *n, struct said_list *dns,
                     struct said_list *ips, struct err *err)
{
    for (unsigned count = 0; n && n->buf.p; n = n->next, count++) {
        char text[INET6_ADDRSTRLEN];
        unsigned type = n->buf.tag & 0x1f;

        if (count == CRYPTO_SANS_MAX)
            return err_set(err, ERR_QUOTA, "more than %d alternative names", CRYPTO_SANS_MAX);
        if (type == MBEDTLS_X509_SAN_DNS_NAME) {
            if (n->buf.len && memchr(n->buf.p, 0, n->buf.len))
                return err_set(err, ERR_INVALID, "a name holds a zero byte");
            said_text(s->a, dns, n->buf.p, n->buf.len);
        } else if (type == MBEDTLS_X509_SAN_IP_ADDRESS && (n->buf.len == 4 || n->buf.len == 16)) {
            inet_ntop(n->buf.len == 4 ? AF_INET : AF_INET6, n->buf.p, text, sizeof(text));
            said_text(s->a, ips, (unsigned char *)text, strlen(text));
        } else {
            s->names.n_other++;
        }
    }
    return 0;
}

int crypto_said_fill(struct crypto_said *s, const mbedtls_x509_name *subject,
                     const mbedtls_x509_sequence *sans, struct err *err)
{
    struct said_list orgs = { { 0 } }, dns = { { 0 } }, ips = { { 0 } };
    int rc;

    s->a = arena_new(0);
    s->names = (struct crypto_names){ 0 };
    rc = said_subject(s, subject, &orgs, err);
    if (rc == 0)
        rc = said_sans(s, sans, &dns, &ips, err);
    s->names.orgs = said_end(s->a, &orgs, &s->names.n_orgs);
    s->names.dns = said_end(s->a, &dns, &s->names.n_dns);
    s->names.ips = said_end(s->a, &ips, &s->names.n_ips);
    return rc;
}

void crypto_said_deinit(struct crypto_said *s)
{
    s->a = arena_free(s->a);
}

static unsigned cert_uses(const mbedtls_x509_crt *crt)
{
    unsigned uses = 0;

    if (mbedtls_x509_crt_get_ca_istrue(crt) == 1)
        uses |= CRYPTO_USE_CA;
    if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0)
        uses |= CRYPTO_USE_SERVER;
    if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_CLIENT_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) == 0)
        uses |= CRYPTO_USE_CLIENT;
    return uses;
}

int crypto_cert_parse(struct crypto_cert **out, const char *p, size_t len, struct err *err)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *c = NULL;
    _cleanup_buf_ struct buf der = BUF_INIT;
    int rc;

    if (len > CRYPTO_PEM_MAX)
        return err_set(err, ERR_QUOTA, "a certificate has at most %u bytes", CRYPTO_PEM_MAX);
    if (crypto_init(err) < 0)
        return -1;
    c = NEW(struct crypto_cert);
    ref_init(&c->ref);
    mbedtls_x509_crt_init(&c->crt);
    if (len && (unsigned char)p[0] == DER_SEQ)
        buf_add(&der, p, len);
    else if (crypto_pem_read(&der, "CERTIFICATE", p, len, err) < 0)
        return -1;
    rc = mbedtls_x509_crt_parse_der(&c->crt, (unsigned char *)der.p, der.len);
    if (rc)
        return crypto_fail(err, ERR_INVALID, rc, "parse a certificate");
    if (crypto_said_fill(&c->said, &c->crt.subject, &c->crt.subject_alt_names, err) < 0)
        return err_wrap(err, "parse a certificate");
    c->said.names.uses = cert_uses(&c->crt);
    crypto_sha256_hex(c->fingerprint, c->crt.raw.p, c->crt.raw.len);
    crypto_sha256_hex(c->spki, c->crt.pk_raw.p, c->crt.pk_raw.len);
    *out = TAKE(c);
    return 0;
}

struct crypto_cert *crypto_cert_ref(struct crypto_cert *c)
{
    ref_get(&c->ref);
    return c;
}

struct crypto_cert *crypto_cert_unref(struct crypto_cert *c)
{
    if (!c || !ref_put(&c->ref))
        return NULL;
    mbedtls_x509_crt_free(&c->crt);
    crypto_said_deinit(&c->said);
    return mem_free(c);
}

const struct crypto_names *crypto_cert_names(const struct crypto_cert *c)
{
    return &c->said.names;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t cert_days(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t cert_seconds(const mbedtls_x509_time *t)
{
    return cert_days(t->year, t->mon, t->day) * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

int64_t crypto_cert_not_before_s(const struct crypto_cert *c)
{
    return cert_seconds(&c->crt.valid_from);
}

int64_t crypto_cert_not_after_s(const struct crypto_cert *c)
{
    return cert_seconds(&c->crt.valid_to);
}

const char *crypto_cert_fingerprint(const struct crypto_cert *c)
{
    return c->fingerprint;
}

const char *crypto_cert_spki_hash(const struct crypto_cert *c)
{
    return c->spki;
}

struct slice crypto_cert_der(const struct crypto_cert *c)
{
    return (struct slice){ (const char *)c->crt.raw.p, c->crt.raw.len };
}

void crypto_cert_pem(struct buf *out, const struct crypto_cert *c)
{
    crypto_pem_write(out, "CERTIFICATE", c->crt.raw.p, c->crt.raw.len);
}

bool crypto_cert_has_key(const struct crypto_cert *c, const struct crypto_key *k)
{
    _cleanup_buf_ struct buf spki = BUF_INIT;

    crypto_key_spki(&spki, k);
    return spki.len == c->crt.pk_raw.len && memcmp(spki.p, c->crt.pk_raw.p, spki.len) == 0;
}

struct slice crypto_cert_subject(const struct crypto_cert *c)
{
    return (struct slice){ (const char *)c->crt.subject_raw.p, c->crt.subject_raw.len };
}

struct slice crypto_cert_spki(const struct crypto_cert *c)
{
    return (struct slice){ (const char *)c->crt.pk_raw.p, c->crt.pk_raw.len };
}

/* The library judges times by the machine's clock; here the caller's clock rules, for each link. */
static int cert_verify_time(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    int64_t now = *(const int64_t *)ctx;

    (void)depth;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (now && now > cert_seconds(&crt->valid_to))
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (now && now < cert_seconds(&crt->valid_from))
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    return 0;
}

int crypto_cert_verify(const struct crypto_cert *c, struct slice roots_pem, unsigned use,
                       int64_t now_s, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    mbedtls_x509_crt roots;
    uint32_t flags = 0;
    char why[256];
    int rc;

    if (roots_pem.len > CRYPTO_BUNDLE_MAX)
        return err_set(err, ERR_QUOTA, "a bundle of roots has at most %u bytes", CRYPTO_BUNDLE_MAX);
    if (use && !(c->said.names.uses & use))
        return err_set(err, ERR_DENIED, "certificate is not meant for this use");
    buf_add(&text, roots_pem.p, roots_pem.len);
    mbedtls_x509_crt_init(&roots);
    rc = text.len ? mbedtls_x509_crt_parse(&roots, (unsigned char *)text.p, text.len + 1) : -1;
    if (rc >= 0)
        rc = mbedtls_x509_crt_verify((mbedtls_x509_crt *)&c->crt, &roots, NULL, NULL, &flags,
                                     cert_verify_time, &now_s);
    else
        flags = MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    mbedtls_x509_crt_free(&roots);
    if (rc == 0)
        return 0;
    if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))
        return err_set(err, ERR_EXPIRED, "certificate has expired or is not yet valid");
    if (mbedtls_x509_crt_verify_info(why, sizeof(why), "", flags) <= 0)
        str_copy(why, sizeof(why), "cannot be verified", NULL);
    why[strcspn(why, "\n")] = 0;
    return err_set(err, ERR_DENIED, "certificate is not trusted: %s", why);
}
