/* Machines that want to be nodes: who their tokens say they are, and what they may read. */
#include "tests/unit/core/api/api_fix.h"

#include "core/base/b64.h"
#include "core/base/timefmt.h"

#define SECRETS "/api/v1/namespaces/kube-system/secrets"
#define TOKEN "abcdef.0123456789abcdef"
#define CONFIG "/v1-inro/config"

struct row { const char *key, *value; };

static void put_token(struct fix *f, const char *type, const struct row *rows)
{
    struct buf body = BUF_INIT;
    struct api_ask ask = { .method = "POST", .path = SECRETS };

    buf_fmt(&body, "{\"metadata\":{\"name\":\"bootstrap-token-abcdef\"},\"type\":\"%s\","
                   "\"data\":{", type);
    for (const struct row *r = rows; r->key; r++) {
        buf_fmt(&body, "%s\"%s\":\"", r == rows ? "" : ",", r->key);
        b64_encode(&body, B64_STD, r->value, strlen(r->value));
        buf_str(&body, "\"");
    }
    buf_str(&body, "}}");
    (void)api_peer_delete(f->peer, SECRETS "/bootstrap-token-abcdef", NULL);
    ask.body = body.p;
    ANSWERS(api_peer_ask(f->peer, &ask), 201);
    buf_deinit(&body);
}

static int with(struct api_peer *p, const char *token, const char *path)
{
    return api_peer_ask(p, &(struct api_ask){ .method = "GET", .path = path, .token = token })
        ->code;
}

static const char *in(int64_t seconds)
{
    static char text[TIMEFMT_BYTES];

    timefmt_rfc3339(text, env_wall_s(env_real()) + seconds);
    return text;
}

#define GOOD { "token-id", "abcdef" }, { "token-secret", "0123456789abcdef" }, \
    { "usage-bootstrap-authentication", "true" }

TEST(bootstrap_token)
{
    struct fix f = fix_new();
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    put_token(&f, "bootstrap.kubernetes.io/token", (struct row[]){ GOOD, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 200);
    EXPECT_EQ(with(p, TOKEN, SECRETS), 403);
    EXPECT_EQ(with(p, TOKEN, "/api/v1/nodes"), 403);
    EXPECT_EQ(with(p, "abcdef.0123456789abcdeg", CONFIG), 401);
    EXPECT_EQ(with(p, "abcdeg.0123456789abcdef", CONFIG), 401);
    EXPECT_EQ(with(p, "abcdef.0123456789abcde", CONFIG), 401);
    EXPECT_EQ(with(p, "abcdef.0123456789abcdeff", CONFIG), 401);
    ANSWERS(api_peer_delete(f.peer, SECRETS "/bootstrap-token-abcdef", NULL), 200);
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    api_peer_free(p);
    fix_close(&f);
}

TEST(what_makes_a_bootstrap_token_bad)
{
    struct fix f = fix_new();
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    put_token(&f, "Opaque", (struct row[]){ GOOD, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    put_token(&f, "bootstrap.kubernetes.io/token",
              (struct row[]){ GOOD, { "expiration", in(-5) }, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    put_token(&f, "bootstrap.kubernetes.io/token",
              (struct row[]){ GOOD, { "expiration", "tomorrow" }, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    put_token(&f, "bootstrap.kubernetes.io/token",
              (struct row[]){ GOOD, { "expiration", in(3600) }, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 200);
    put_token(&f, "bootstrap.kubernetes.io/token",
              (struct row[]){ { "token-id", "abcdef" }, { "token-secret", "0123456789abcdef" },
                              { "usage-bootstrap-signing", "true" }, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    put_token(&f, "bootstrap.kubernetes.io/token",
              (struct row[]){ { "token-id", "abcdeg" }, { "token-secret", "0123456789abcdef" },
                              { "usage-bootstrap-authentication", "true" }, { NULL, NULL } });
    EXPECT_EQ(with(p, TOKEN, CONFIG), 401);
    api_peer_free(p);
    fix_close(&f);
}

TEST(token_of_the_server)
{
    struct fix f = fix_new();
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    EXPECT_EQ(with(p, API_BOX_TOKEN, CONFIG), 200);
    EXPECT_EQ(with(p, API_BOX_TOKEN "t", CONFIG), 401);
    EXPECT_EQ(with(p, "server:", CONFIG), 401);
    EXPECT_EQ(with(p, API_BOX_TOKEN, "/api/v1/secrets"), 403);
    api_join_set(f.box->api, &(struct api_join){ .ca_pem = "CA", .config = "{}" });
    EXPECT_EQ(with(p, API_BOX_TOKEN, CONFIG), 401);
    api_peer_free(p);
    fix_close(&f);
}

TEST(paths)
{
    struct fix f = fix_new();
    struct api_peer *p, *node, *user;
    const struct api_reply *r;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    EXPECT_OK(api_peer_new(&node, f.box, "system:node:n2", "system:nodes", &err), &err);
    EXPECT_OK(api_peer_new(&user, f.box, "eve", "people", &err), &err);
    r = api_peer_get(p, "/cacerts");
    ANSWERS(r, 200);
    EXPECT_STR(r->text, "CA\n");
    EXPECT_EQ(api_peer_get(p, CONFIG)->code, 403);
    EXPECT_EQ(api_peer_get(user, CONFIG)->code, 403);
    r = api_peer_get(node, CONFIG);
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "a"), "b");
    api_peer_free(p);
    api_peer_free(node);
    api_peer_free(user);
    fix_close(&f);
}
