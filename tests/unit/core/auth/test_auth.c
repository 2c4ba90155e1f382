#include "core/auth/auth.h"

#include <time.h>

#include "core/base/str.h"
#include "tests/harness/test.h"

static bool may(const struct auth_user *u, const char *verb, const char *resource, const char *name)
{
    struct auth_request r = { .verb = verb, .group = "", .resource = resource, .subresource = "",
                              .ns = "default", .name = name };
    char plain[64];
    const char *slash = strchr(resource, '/');

    if (slash) {
        snprintf(plain, sizeof(plain), "%.*s", (int)(slash - resource), resource);
        r.resource = plain;
        r.subresource = slash + 1;
    }
    return auth_allows(u, &r);
}

static bool may_path(const struct auth_user *u, const char *path)
{
    return auth_allows(u, &(struct auth_request){ .verb = "get", .path = path });
}

TEST(masters)
{
    struct auth_user u;

    auth_user_named(&u, "admin", "system:masters");
    EXPECT(may(&u, "delete", "secrets", "a"));
    EXPECT(may(&u, "create", "pods/exec", "a"));
    EXPECT(may_path(&u, "/anything"));
    EXPECT(auth_user_in(&u, "system:authenticated"));
}

TEST(anonymous)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct auth_user u;

    auth_user_of_cert(&u, a, NULL);
    EXPECT_STR(u.name, "system:anonymous");
    EXPECT(auth_user_in(&u, "system:unauthenticated"));
    EXPECT(!auth_user_in(&u, "system:authenticated"));
    EXPECT(!may(&u, "get", "pods", "a"));
    EXPECT(may_path(&u, "/healthz") && may_path(&u, "/version"));
    EXPECT(!may_path(&u, "/api") && !may_path(&u, "/healthz/etcd") && !may_path(&u, "/"));
}

TEST(authenticated)
{
    struct auth_user u;

    auth_user_named(&u, "eve", NULL);
    EXPECT(may_path(&u, "/api/v1") && may_path(&u, "/openapi/v3") && may_path(&u, "/apis"));
    EXPECT(!may_path(&u, "/apisomething") && !may_path(&u, "/metrics"));
    EXPECT(!may(&u, "get", "pods", "a"));
}

/* What nodes do at all; which of it is a node's own, the API knows (test_api_node.c). */
TEST(nodes)
{
    struct auth_user u;

    auth_user_named(&u, "system:node:n1", "system:nodes");
    EXPECT(may(&u, "get", "nodes", "n2"));
    EXPECT(may(&u, "patch", "nodes/status", "n1"));
    EXPECT(may(&u, "get", "secrets", "s") && !may(&u, "list", "secrets", ""));
    EXPECT(!may(&u, "create", "pods", "") && !may(&u, "list", "namespaces", ""));
    EXPECT(!may(&u, "delete", "nodes", "n1"));
    EXPECT(may(&u, "patch", "pods/status", "p"));
    EXPECT(!may(&u, "patch", "pods", "p"));
    EXPECT(!may(&u, "create", "pods/binding", "p"));
    EXPECT(!may(&u, "update", "secrets", "s"));
    EXPECT(!may(&u, "create", "deployments", "d"));
}

TEST(service_accounts)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct auth_user u;

    auth_user_of_service_account(&u, a, "ns", "name", "uid");
    EXPECT_STR(u.name, "system:serviceaccount:ns:name");
    EXPECT_STR(u.uid, "uid");
    EXPECT(auth_user_in(&u, "system:serviceaccounts"));
    EXPECT(auth_user_in(&u, "system:serviceaccounts:ns"));
    EXPECT(!auth_user_in(&u, "system:serviceaccounts:n"));
    EXPECT(!may(&u, "list", "pods", ""));
}

/* The name is CN, the groups are O. */
TEST(certificates)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *const orgs[] = { "dev", "ops", NULL };
    int64_t now = time(NULL);
    struct crypto_issue what = { .cn = "jane", .orgs = orgs, .uses = CRYPTO_USE_CA,
                                 .not_before_s = now - 60, .not_after_s = now + 60 };
    struct crypto_key *key;
    struct crypto_cert *cert;
    struct buf pem = BUF_INIT;
    struct auth_user u;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_ca_new(&pem, key, &what, &err), &err);
    EXPECT_OK(crypto_cert_parse(&cert, pem.p, pem.len, &err), &err);
    auth_user_of_cert(&u, a, cert);
    EXPECT_STR(u.name, "jane");
    EXPECT(auth_user_in(&u, "dev") && auth_user_in(&u, "ops"));
    EXPECT(auth_user_in(&u, "system:authenticated"));
    crypto_cert_unref(cert);
    crypto_key_unref(key);
    buf_deinit(&pem);
}
