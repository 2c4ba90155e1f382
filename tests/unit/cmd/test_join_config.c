/* Settings of a cluster: told by the server, taken over by agents, refused when they make none. */
#include "cmd/join_config.h"

#include "core/crypto/crypto.h"
#include "tests/harness/test.h"

static struct config *config(const char *flag, const char *value)
{
    char *argv[] = { (char *)"server", (char *)flag, (char *)value, (char *)"--disable=proxy,dns" };
    struct err err = ERR_INIT;
    struct config *c;

    EXPECT_OK(config_parse(&c, &(struct config_input){ .command = CONFIG_SERVER,
                                                       .argc = flag ? 4 : 1, .argv = argv,
                                                       .file = "/nonexistent" }, &err), &err);
    return c;
}

static char *ca(void)
{
    struct crypto_issue what = { .cn = "ca", .uses = CRYPTO_USE_CA, .not_after_s = 4000000000ll };
    struct crypto_key *key;
    struct buf pem = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_ca_new(&pem, key, &what, &err), &err);
    crypto_key_unref(key);
    return buf_take(&pem, NULL);
}

TEST(there_and_back)
{
    struct config *server = config("--service-cidr", "10.96.0.0/16"), *agent = config(NULL, NULL);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    const char *got;
    char *pem = ca();

    join_config_write(&text, server, pem);
    EXPECT_OK(join_config_apply(agent, (struct slice){ text.p, text.len }, &got, &err), &err);
    EXPECT_STR(agent->service_cidr, "10.96.0.0/16");
    EXPECT_STR(agent->cluster_dns, "10.96.0.10");
    EXPECT_STR(agent->cluster_domain, "cluster.local");
    EXPECT(config_has(&agent->disable, "proxy") && config_has(&agent->disable, "dns"));
    EXPECT_STR(got, pem);
    mem_free(pem);
    config_free(server);
    config_free(agent);
}

TEST(what_is_refused)
{
    static const struct { const char *from, *to, *want; } rows[] = {
        { "\"clusterDNS\":\"10.43.0.10\"", "\"clusterDNS\":\"x\"", "clusterDNS" },
        { "\"clusterCIDR\"", "\"other\"", "clusterCIDR is missing" },
        { "\"disable\":[]", "\"disable\":[\"no such\"]", "disable" },
        { "\"clientCA\":\"-----BEGIN", "\"clientCA\":\"-----BEGUN", "clientCA" },
        { "{", "[", "settings of the cluster" },
    };
    struct config *c = config(NULL, NULL);
    _cleanup_buf_ struct buf text = BUF_INIT;
    char *pem = ca();

    join_config_write(&text, c, pem);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *at = strstr(text.p, rows[i].from), *bad;
        struct err err = ERR_INIT;
        const char *got;

        EXPECT(at);
        bad = mem_printf("%.*s%s%s", (int)(at - text.p), text.p, rows[i].to,
                         at + strlen(rows[i].from));
        EXPECT(join_config_apply(c, slice_of(bad), &got, &err) < 0);
        if (!strstr(err.msg, rows[i].want))
            test_fail(__FILE__, __LINE__, "%s: %s", rows[i].to, err.msg);
        EXPECT_STR(c->cluster_dns, "10.43.0.10");
        mem_free(bad);
    }
    mem_free(pem);
    config_free(c);
}
