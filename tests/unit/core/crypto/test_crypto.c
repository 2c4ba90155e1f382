#include "core/base/json.h"
#include "core/crypto/crypto.h"
#include "tests/harness/test.h"

static struct crypto_key *new_key(void)
{
    struct crypto_key *k = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&k, &err), &err);
    return k;
}

static struct crypto_cert *parse_cert(const struct buf *pem)
{
    struct crypto_cert *c = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_cert_parse(&c, pem->p, pem->len, &err), &err);
    return c;
}

TEST(seal)
{
    unsigned char key[CRYPTO_SEAL_KEY_BYTES] = "0123456789abcdef0123456789abcde";
    _cleanup_buf_ struct buf sealed = BUF_INIT;
    _cleanup_buf_ struct buf plain = BUF_INIT;
    struct err err = ERR_INIT;
    struct slice s;

    EXPECT_OK(crypto_seal(&sealed, key, SLICE("name"), SLICE("secret"), &err), &err);
    EXPECT_EQ(sealed.len, 6 + CRYPTO_SEAL_OVERHEAD);
    s = (struct slice){ sealed.p, sealed.len };
    EXPECT_OK(crypto_open(&plain, key, SLICE("name"), s, &err), &err);
    EXPECT_STR(plain.p, "secret");
    EXPECT_ERR(crypto_open(&plain, key, SLICE("other"), s, &err), &err, ERR_CORRUPT);
    sealed.p[14] ^= 1;
    EXPECT_ERR(crypto_open(&plain, key, SLICE("name"), s, &err), &err, ERR_CORRUPT);
    EXPECT_ERR(crypto_open(&plain, key, SLICE("name"), SLICE("short"), &err), &err, ERR_CORRUPT);
}

TEST(key_round_trip)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *k = new_key(), *priv = NULL, *pub = NULL;
    _cleanup_buf_ struct buf pem = BUF_INIT;
    _cleanup_buf_ struct buf pub_pem = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_write(&pem, k, &err), &err);
    EXPECT_OK(crypto_key_write_public(&pub_pem, k, &err), &err);
    EXPECT_OK(crypto_key_parse(&priv, pem.p, pem.len, &err), &err);
    EXPECT_OK(crypto_key_parse(&pub, pub_pem.p, pub_pem.len, &err), &err);
    EXPECT(crypto_key_is_private(priv));
    EXPECT(!crypto_key_is_private(pub));
    EXPECT(crypto_key_same(k, priv));
    EXPECT(crypto_key_same(k, pub));
    buf_clear(&pem);
    EXPECT_ERR(crypto_key_write(&pem, pub, &err), &err, ERR_INVALID);
    crypto_key_unref(priv);
    crypto_key_unref(pub);
    priv = pub = NULL;
    EXPECT_ERR(crypto_key_parse(&priv, "junk", 4, &err), &err, ERR_INVALID);
}

static const char *const orgs[] = { "system:masters", "a,b=c+\"d\"", NULL };
static const char *const dns[] = { "kubernetes", "kubernetes.default.svc", NULL };
static const char *const ips[] = { "10.96.0.1", "fd00::1", NULL };
static const struct crypto_issue leaf = {
    .cn = "kube-apiserver", .orgs = orgs, .dns = dns, .ips = ips,
    .uses = CRYPTO_USE_SERVER, .not_before_s = 1700000000, .not_after_s = 2600000000,
};

static void make_ca(struct buf *pem, struct crypto_key *key, const char *cn)
{
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_ca_new(pem, key, &(struct crypto_issue){ .cn = cn, .not_before_s = 1700000000,
                                                              .not_after_s = 4000000000 }, &err), &err);
}

TEST(issue_and_verify)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *ca_key = new_key(), *key = new_key();
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *ca = NULL, *cert = NULL, *other = NULL;
    _cleanup_buf_ struct buf ca_pem = BUF_INIT;
    _cleanup_buf_ struct buf pem = BUF_INIT;
    _cleanup_buf_ struct buf other_pem = BUF_INIT;
    const struct crypto_names *n;
    struct err err = ERR_INIT;
    struct slice roots;

    make_ca(&ca_pem, ca_key, "inro-ca");
    ca = parse_cert(&ca_pem);
    EXPECT_EQ(crypto_cert_names(ca)->uses & CRYPTO_USE_CA, CRYPTO_USE_CA);
    EXPECT_OK(crypto_cert_issue(&pem, ca, ca_key, key, &leaf, &err), &err);
    cert = parse_cert(&pem);
    n = crypto_cert_names(cert);
    EXPECT_STR(n->cn, "kube-apiserver");
    EXPECT_EQ(n->n_orgs, 2);
    EXPECT_STR(n->orgs[0], orgs[0]);
    EXPECT_STR(n->orgs[1], orgs[1]);
    EXPECT_EQ(n->n_dns, 2);
    EXPECT_STR(n->dns[1], dns[1]);
    EXPECT_EQ(n->n_ips, 2);
    EXPECT_STR(n->ips[0], ips[0]);
    EXPECT_STR(n->ips[1], ips[1]);
    EXPECT_EQ(n->uses, CRYPTO_USE_SERVER);
    EXPECT_EQ(crypto_cert_not_before_s(cert), leaf.not_before_s);
    EXPECT_EQ(crypto_cert_not_after_s(cert), leaf.not_after_s);
    EXPECT(crypto_cert_has_key(cert, key));
    EXPECT(!crypto_cert_has_key(cert, ca_key));
    roots = (struct slice){ ca_pem.p, ca_pem.len };
    EXPECT_OK(crypto_cert_verify(cert, roots, CRYPTO_USE_SERVER, 1800000000, &err), &err);
    EXPECT_OK(crypto_cert_verify(cert, roots, 0, 0, &err), &err);
    EXPECT_ERR(crypto_cert_verify(cert, roots, CRYPTO_USE_CLIENT, 0, &err), &err, ERR_DENIED);
    EXPECT_ERR(crypto_cert_verify(cert, roots, 0, 2600000001, &err), &err, ERR_EXPIRED);
    EXPECT_ERR(crypto_cert_verify(cert, roots, 0, 1699999999, &err), &err, ERR_EXPIRED);
    EXPECT_OK(crypto_cert_verify(cert, roots, 0, 2600000000, &err), &err);
    make_ca(&other_pem, key, "inro-ca");
    EXPECT_ERR(crypto_cert_verify(cert, (struct slice){ other_pem.p, other_pem.len }, 0, 0, &err), &err,
               ERR_DENIED);
    EXPECT_ERR(crypto_cert_verify(cert, SLICE(""), 0, 0, &err), &err, ERR_DENIED);
    other = parse_cert(&other_pem);
    EXPECT_ERR(crypto_cert_issue(&pem, other, ca_key, key, &leaf, &err), &err, ERR_INVALID);
}

TEST(request)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = new_key();
    _cleanup_(crypto_csr_freep) struct crypto_csr *csr = NULL, *bad = NULL;
    _cleanup_buf_ struct buf pem = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_csr_new(&pem, key, &leaf, &err), &err);
    EXPECT_OK(crypto_csr_parse(&csr, pem.p, pem.len, &err), &err);
    EXPECT_STR(crypto_csr_names(csr)->cn, "kube-apiserver");
    EXPECT_EQ(crypto_csr_names(csr)->n_orgs, 2);
    EXPECT_EQ(crypto_csr_names(csr)->n_dns, 2);
    EXPECT_EQ(crypto_csr_names(csr)->n_ips, 2);
    EXPECT(crypto_key_same(crypto_csr_key(csr), key));
    pem.p[120] = pem.p[120] == 'A' ? 'B' : 'A';
    EXPECT_ERR(crypto_csr_parse(&bad, pem.p, pem.len, &err), &err, ERR_INVALID);
}

TEST(issue_limits)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = new_key();
    _cleanup_buf_ struct buf pem = BUF_INIT;
    const char *many[CRYPTO_SANS_MAX + 2] = { 0 };
    struct crypto_issue w = { .cn = "x", .dns = many };
    char cn[CRYPTO_NAME_MAX + 2];
    struct err err = ERR_INIT;

    for (int i = 0; i < CRYPTO_SANS_MAX; i++)
        many[i] = "name";
    EXPECT_OK(crypto_csr_new(&pem, key, &w, &err), &err);
    many[CRYPTO_SANS_MAX] = "name";
    EXPECT_ERR(crypto_csr_new(&pem, key, &w, &err), &err, ERR_QUOTA);
    w.dns = NULL;
    memset(cn, 'n', sizeof(cn));
    cn[CRYPTO_NAME_MAX] = 0;
    w.cn = cn;
    EXPECT_OK(crypto_csr_new(&pem, key, &w, &err), &err);
    cn[CRYPTO_NAME_MAX] = 'n';
    cn[CRYPTO_NAME_MAX + 1] = 0;
    EXPECT_ERR(crypto_csr_new(&pem, key, &w, &err), &err, ERR_INVALID);
    w = (struct crypto_issue){ .cn = "x", .ips = (const char *const[]){ "1.2.3", NULL } };
    EXPECT_ERR(crypto_csr_new(&pem, key, &w, &err), &err, ERR_INVALID);
}

TEST(token)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = new_key(), *other = new_key();
    const struct crypto_key *both[] = { other, key };
    _cleanup_buf_ struct buf token = BUF_INIT;
    _cleanup_buf_ struct buf claims = BUF_INIT;
    struct err err = ERR_INIT;
    struct slice t;

    /* r and s have leading zero bytes now and then: many rounds */
    for (int i = 0; i < 300; i++) {
        buf_clear(&token);
        buf_clear(&claims);
        EXPECT_OK(crypto_jwt_sign(&token, key, i % 2 ? "own-name" : NULL, SLICE("{\"sub\":\"x\"}"), &err), &err);
        t = (struct slice){ token.p, token.len };
        EXPECT_OK(crypto_jwt_verify(&claims, t, both, 2, &err), &err);
        EXPECT_STR(claims.p, "{\"sub\":\"x\"}");
    }
    EXPECT_ERR(crypto_jwt_verify(&claims, t, both, 1, &err), &err, ERR_DENIED);
    EXPECT_ERR(crypto_jwt_verify(&claims, t, both, 0, &err), &err, ERR_DENIED);
    token.p[token.len - 5] ^= 1;
    EXPECT(crypto_jwt_verify(&claims, t, both, 2, &err) < 0);
    EXPECT_ERR(crypto_jwt_verify(&claims, SLICE("a.b"), both, 2, &err), &err, ERR_INVALID);
    EXPECT_ERR(crypto_jwt_verify(&claims, SLICE("a.b.c.d"), both, 2, &err), &err, ERR_INVALID);
    /* {"alg":"none"} */
    EXPECT_ERR(crypto_jwt_verify(&claims, SLICE("eyJhbGciOiJub25lIn0.e30."), both, 2, &err), &err,
               ERR_UNSUPPORTED);
}

TEST(jwk)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = new_key();
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *v = NULL;
    struct err err = ERR_INIT;
    char kid[CRYPTO_KEY_ID_BYTES];

    EXPECT_OK(crypto_key_jwk(&text, key, &err), &err);
    EXPECT_OK(json_parse(&v, a, text.p, text.len, NULL, &err), &err);
    crypto_key_id(key, kid);
    EXPECT_STR(json_get_str(v, "kid"), kid);
    EXPECT_STR(json_get_str(v, "alg"), "ES256");
    EXPECT_EQ(strlen(json_get_str(v, "x")), 43);
    EXPECT_EQ(strlen(json_get_str(v, "y")), 43);
}
