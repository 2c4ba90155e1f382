/* What an agent keeps: complete or not, and which certificates are due. */
#include "cmd/agent_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "tests/harness/test.h"

#define NOW 1800000000ll
#define LIFE 1000ll

static struct config *config(const char *node, const char *ip)
{
    char name[64], address[64];
    char *argv[] = { (char *)"agent", (char *)"--data-dir", (char *)test_tmpdir(), name, address };
    struct err err = ERR_INIT;
    struct config *c;

    snprintf(name, sizeof(name), "--node-name=%s", node);
    snprintf(address, sizeof(address), "--node-ip=%s", ip);
    EXPECT_OK(config_parse(&c, &(struct config_input){ .command = CONFIG_AGENT, .argc = 5,
                                                       .argv = argv, .file = "/nonexistent" },
                           &err), &err);
    return c;
}

/* Fills a pair as the server would give it. */
static void issue(char *got[ROLE_PEM_MAX], enum role_pem cert, enum role_pem key, int64_t begin)
{
    static const char *const orgs[] = { "system:nodes", NULL }, *const dns[] = { "n2", NULL },
        *const ips[] = { "192.0.2.2", NULL };
    struct crypto_issue ca = { .cn = "ca", .uses = CRYPTO_USE_CA, .not_before_s = NOW - 9999,
                               .not_after_s = NOW + 9999 };
    struct crypto_issue what = { .cn = cert == ROLE_DNS_CERT ? "system:inro-dns"
                                 : "system:node:n2", .orgs = orgs, .uses = CRYPTO_USE_CLIENT,
                                 .dns = cert == ROLE_CERT ? dns : NULL,
                                 .ips = cert == ROLE_CERT ? ips : NULL,
                                 .not_before_s = begin, .not_after_s = begin + LIFE };
    struct buf ca_pem = BUF_INIT, pem = BUF_INIT, key_pem = BUF_INIT;
    struct crypto_key *k;
    struct crypto_cert *authority;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&k, &err), &err);
    EXPECT_OK(crypto_ca_new(&ca_pem, k, &ca, &err), &err);
    EXPECT_OK(crypto_cert_parse(&authority, ca_pem.p, ca_pem.len, &err), &err);
    EXPECT_OK(crypto_cert_issue(&pem, authority, k, k, &what, &err), &err);
    EXPECT_OK(crypto_key_write(&key_pem, k, &err), &err);
    mem_free(got[cert]);
    mem_free(got[key]);
    got[cert] = buf_take(&pem, NULL);
    got[key] = buf_take(&key_pem, NULL);
    buf_deinit(&ca_pem);
    crypto_cert_unref(authority);
    crypto_key_unref(k);
}

static void fill(char *got[ROLE_PEM_MAX])
{
    issue(got, ROLE_CLIENT_CERT, ROLE_CLIENT_KEY, NOW);
    issue(got, ROLE_CERT, ROLE_KEY, NOW);
    issue(got, ROLE_DNS_CERT, ROLE_DNS_KEY, NOW);
    got[ROLE_SERVER_CA] = mem_strdup("CA");
    got[ROLE_CLUSTER] = mem_strdup("{}");
}

static void got_free(char *got[ROLE_PEM_MAX])
{
    for (int i = 0; i < ROLE_PEM_MAX; i++)
        got[i] = mem_free(got[i]);
}

static const char *wants(const struct agent_store *s, const struct config *c, int64_t now)
{
    static char out[8];

    agent_store_wants(s, c, now, out);
    return out;
}

TEST(kept_over_starts)
{
    struct config *c = config("n2", "192.0.2.2");
    char *got[ROLE_PEM_MAX] = { NULL }, *password, *dir = mem_printf("%s/agent", test_tmpdir());
    struct agent_store s;
    struct err err = ERR_INIT;
    struct stat st;

    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    EXPECT_STR(wants(&s, c, NOW), "csd");
    EXPECT(!agent_store_is_complete(&s, c, NOW) && !agent_store_has_client(&s, c, NOW));
    EXPECT(!agent_store_address(&s, c));
    password = mem_strdup(s.text[ROLE_NODE_PASSWORD]);
    EXPECT_EQ(strlen(password), 32u);
    fill(got);
    EXPECT_OK(agent_store_put(&s, got, &err), &err);
    EXPECT(agent_store_is_complete(&s, c, NOW));
    agent_store_close(&s);
    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    EXPECT(agent_store_is_complete(&s, c, NOW) && agent_store_has_client(&s, c, NOW));
    EXPECT_STR(s.text[ROLE_KEY], got[ROLE_KEY]);
    EXPECT_STR(agent_store_address(&s, c), "192.0.2.2");
    EXPECT_STR(s.text[ROLE_NODE_PASSWORD], password);
    EXPECT(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
    agent_store_close(&s);
    agent_store_close(&s);
    got_free(got);
    mem_free(password);
    mem_free(dir);
    config_free(c);
}

/* At limit - 1, limit, limit + 1: 30 % of the life. */
TEST(renewed_in_time)
{
    struct config *c = config("n2", "192.0.2.2");
    char *got[ROLE_PEM_MAX] = { NULL };
    struct agent_store s;
    struct err err = ERR_INIT;

    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    fill(got);
    EXPECT_OK(agent_store_put(&s, got, &err), &err);
    EXPECT_STR(wants(&s, c, NOW + LIFE * 70 / 100 - 1), "");
    EXPECT_EQ(agent_store_due_s(&s, c, NOW + LIFE * 70 / 100 - 1), 1);
    EXPECT_STR(wants(&s, c, NOW + LIFE * 70 / 100), "csd");
    EXPECT_EQ(agent_store_due_s(&s, c, NOW + LIFE * 70 / 100), 0);
    EXPECT_STR(wants(&s, c, NOW + LIFE * 70 / 100 + 1), "csd");
    EXPECT(agent_store_is_complete(&s, c, NOW + LIFE - 1));
    EXPECT(!agent_store_is_complete(&s, c, NOW + LIFE));
    issue(got, ROLE_CLIENT_CERT, ROLE_CLIENT_KEY, NOW + LIFE);
    EXPECT_OK(agent_store_put(&s, got, &err), &err);
    EXPECT_STR(wants(&s, c, NOW + LIFE), "sd");
    agent_store_close(&s);
    got_free(got);
    config_free(c);
}

TEST(another_name_another_certificate)
{
    struct config *c = config("n2", "192.0.2.2"), *name = config("n3", "192.0.2.2"),
        *ip = config("n2", "192.0.2.3");
    char *got[ROLE_PEM_MAX] = { NULL };
    struct agent_store s;
    struct err err = ERR_INIT;

    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    fill(got);
    EXPECT_OK(agent_store_put(&s, got, &err), &err);
    EXPECT_STR(wants(&s, name, NOW), "cs");
    EXPECT(!agent_store_has_client(&s, name, NOW));
    EXPECT_STR(wants(&s, ip, NOW), "s");
    EXPECT(agent_store_has_client(&s, ip, NOW));
    agent_store_close(&s);
    got_free(got);
    config_free(c);
    config_free(name);
    config_free(ip);
}

TEST(damaged_files_are_missing)
{
    struct config *c = config("n2", "192.0.2.2");
    char *got[ROLE_PEM_MAX] = { NULL };
    struct agent_store s;
    struct err err = ERR_INIT;

    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    fill(got);
    EXPECT_OK(agent_store_put(&s, got, &err), &err);
    EXPECT_OK(fd_write_file(s.dir, "client-kubelet.pem", "x", 1, 0600, &err), &err);
    EXPECT_OK(fd_write_file(s.dir, "serving-kubelet.pem", got[ROLE_CERT], strlen(got[ROLE_CERT]),
                            0600, &err), &err);
    agent_store_close(&s);
    EXPECT_OK(agent_store_open(&s, c, &err), &err);
    EXPECT_STR(wants(&s, c, NOW), "cs");
    agent_store_close(&s);
    got_free(got);
    config_free(c);
}
