/* Keys and certificates: made once, kept, made anew when they must be. */
#include "cmd/pki.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "tests/harness/test.h"

#define NOW 1800000000ll

static struct config *config(const char *san)
{
    char *argv[] = { (char *)"server", (char *)"--data-dir", (char *)test_tmpdir(),
                     (char *)"--node-name=n1", (char *)"--node-ip=10.9.8.7", (char *)"--tls-san",
                     (char *)san };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(config_parse(&c, &(struct config_input){ .command = CONFIG_SERVER, .argc = 7,
                                                       .argv = argv, .file = "/nonexistent" },
                                                           &err),
              &err);
    EXPECT_OK(config_derive(c, &err), &err);
    return c;
}

static struct pki load(const char *san, int64_t now)
{
    struct config *c = config(san);
    struct err err = ERR_INIT;
    struct pki p;

    EXPECT_OK(pki_load(&p, c, now, &err), &err);
    config_free(c);
    return p;
}

static char *path(const char *file)
{
    return mem_printf("%s/server/tls/%s", test_tmpdir(), file);
}

static struct crypto_cert *cert_of(const char *pem)
{
    struct err err = ERR_INIT;
    struct crypto_cert *c;

    EXPECT_OK(crypto_cert_parse(&c, pem, strlen(pem), &err), &err);
    return c;
}

TEST(identities)
{
    static const struct { enum pki_id id; const char *cn, *org; bool server; } want[] = {
        { PKI_API, "kube-apiserver", NULL, true },
        { PKI_API_CLIENT, "system:apiserver", "system:masters", false },
        { PKI_ADMIN, "admin", "system:masters", false },
        { PKI_NODE, "system:node:n1", "system:nodes", false },
        { PKI_NODE_SERVER, "system:node:n1", "system:nodes", true },
        { PKI_DNS, "system:inro-dns", "inro:dns", false },
    };
    struct pki p = load("x.example", NOW);

    EXPECT_EQ(p.issued, 2 + PKI_MAX);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct crypto_cert *c = cert_of(p.v[want[i].id].cert);
        const char *ca = want[i].server ? p.server_ca : p.client_ca;
        struct err err = ERR_INIT;

        EXPECT_STR(crypto_cert_names(c)->cn, want[i].cn);
        EXPECT_STR(crypto_cert_names(c)->orgs[0], want[i].org);
        EXPECT_OK(crypto_cert_verify(c, slice_of(ca), want[i].server ? CRYPTO_USE_SERVER
                                                                     : CRYPTO_USE_CLIENT, NOW,
                                                                         &err),
                  &err);
        EXPECT_EQ(crypto_cert_verify(c, slice_of(want[i].server ? p.client_ca : p.server_ca), 0,
                                     NOW, &err), -1);
        EXPECT_EQ(crypto_cert_not_after_s(c), NOW + PKI_CERT_S);
        crypto_cert_unref(c);
    }
    pki_deinit(&p);
}

TEST(names_of_the_api)
{
    static const char *const dns[] = { "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                       "kubernetes.default.svc.cluster.local", "localhost", "n1",
                                       "x.example" };
    static const char *const ips[] = { "127.0.0.1", "10.9.8.7", "10.43.0.1" };
    struct pki p = load("x.example", NOW);
    struct crypto_cert *c = cert_of(p.v[PKI_API].cert);
    const struct crypto_names *n = crypto_cert_names(c);

    EXPECT_EQ(n->n_dns, ARRAY_LEN(dns));
    for (size_t i = 0; i < ARRAY_LEN(dns); i++)
        EXPECT_STR(n->dns[i], dns[i]);
    EXPECT_EQ(n->n_ips, ARRAY_LEN(ips));
    for (size_t i = 0; i < ARRAY_LEN(ips); i++)
        EXPECT_STR(n->ips[i], ips[i]);
    crypto_cert_unref(c);
    pki_deinit(&p);
}

TEST(kept_from_start_to_start)
{
    struct pki a = load("x", NOW), b = load("x", NOW + PKI_CERT_S - PKI_RENEW_S);

    EXPECT_EQ(b.issued, 0);
    EXPECT_STR(a.server_ca, b.server_ca);
    EXPECT_STR(a.sa_key, b.sa_key);
    for (int i = 0; i < PKI_MAX; i++) {
        EXPECT_STR(a.v[i].cert, b.v[i].cert);
        EXPECT_STR(a.v[i].key, b.v[i].key);
    }
    pki_deinit(&a);
    pki_deinit(&b);
}

TEST(renewed_when_less_than_ninety_days_are_left)
{
    struct pki a = load("x", NOW), b = load("x", NOW + PKI_CERT_S - PKI_RENEW_S + 1);
    struct crypto_cert *c = cert_of(b.v[PKI_ADMIN].cert);

    EXPECT_EQ(b.issued, PKI_MAX);
    EXPECT_STR(a.client_ca, b.client_ca);
    EXPECT(!str_eq(a.v[PKI_ADMIN].cert, b.v[PKI_ADMIN].cert));
    EXPECT_EQ(crypto_cert_not_after_s(c), NOW + PKI_CERT_S - PKI_RENEW_S + 1 + PKI_CERT_S);
    crypto_cert_unref(c);
    pki_deinit(&a);
    pki_deinit(&b);
}

/* An authority is renewed with its key: who trusts the old certificate trusts what it signs
 * later. */
TEST(authority_renewed)
{
    struct pki a = load("x", NOW), b = load("x", NOW + PKI_CA_S - PKI_RENEW_S + 1);
    struct crypto_cert *c = cert_of(b.v[PKI_API].cert);
    struct err err = ERR_INIT;

    EXPECT(!str_eq(a.server_ca, b.server_ca));
    EXPECT_OK(crypto_cert_verify(c, slice_of(a.server_ca), CRYPTO_USE_SERVER, 0, &err), &err);
    crypto_cert_unref(c);
    pki_deinit(&a);
    pki_deinit(&b);
}

TEST(another_name_means_another_certificate)
{
    struct pki a = load("x", NOW), b = load("y", NOW);

    EXPECT_EQ(b.issued, 1);
    EXPECT(!str_eq(a.v[PKI_API].cert, b.v[PKI_API].cert));
    EXPECT_STR(a.v[PKI_NODE].cert, b.v[PKI_NODE].cert);
    pki_deinit(&a);
    pki_deinit(&b);
}

TEST(damaged_files_are_made_anew)
{
    struct pki a = load("x", NOW), b;
    char *cert = path("client-dns.crt"), *key = path("client-admin.key");
    struct err err = ERR_INIT;

    EXPECT_OK(fd_write_file(AT_FDCWD, cert, "", 0, 0600, &err), &err);
    EXPECT_EQ(unlink(key), 0);
    b = load("x", NOW);
    EXPECT_EQ(b.issued, 2);
    EXPECT(!str_eq(a.v[PKI_DNS].cert, b.v[PKI_DNS].cert));
    EXPECT(!str_eq(a.v[PKI_ADMIN].key, b.v[PKI_ADMIN].key));
    pki_deinit(&a);
    pki_deinit(&b);
    mem_free(cert);
    mem_free(key);
}

/* Nothing may replace an authority in silence: everything that it signed would be void. */
TEST(an_authority_without_its_key_is_an_error)
{
    struct pki a = load("x", NOW), b;
    struct config *c = config("x");
    char *key = path("server-ca.key");
    struct err err = ERR_INIT;

    EXPECT_EQ(unlink(key), 0);
    EXPECT_ERR(pki_load(&b, c, NOW, &err), &err, ERR_CORRUPT);
    EXPECT(strstr(err.msg, "server-ca.key does not belong to server-ca.crt"));
    pki_deinit(&a);
    config_free(c);
    mem_free(key);
}

TEST(only_the_owner_reads_keys)
{
    static const char *const keys[] = { "server-ca.key", "client-ca.key", "service.key",
                                        "client-admin.key", "serving-api.key", "client-node.key" };
    struct pki p = load("x", NOW);
    char *dir = mem_printf("%s/server/tls", test_tmpdir());
    struct stat st;

    EXPECT_EQ(stat(dir, &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0700);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char *file = path(keys[i]);

        EXPECT_EQ(stat(file, &st), 0);
        EXPECT_EQ(st.st_mode & 07777, 0600);
        mem_free(file);
    }
    pki_deinit(&p);
    mem_free(dir);
}
