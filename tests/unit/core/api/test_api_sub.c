#include "tests/unit/core/api/api_fix.h"

static const char deployment[] =
    "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{"
    "\"app\":\"x\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"x\"}},\"spec\":{"
    "\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}}}}";

/* status writes keep the spec, other writes keep the status. */
TEST(status)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, DEPLOYS, deployment), 201);
    r = api_peer_patch(f.peer, DEPLOYS "/d/status", "merge",
                       "{\"spec\":{\"replicas\":9},\"status\":{\"replicas\":1,"
                       "\"observedGeneration\":1}}");
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(r, "spec.replicas"), 1);
    EXPECT_EQ(fix_int(r, "status.replicas"), 1);
    EXPECT_EQ(fix_int(r, "metadata.generation"), 1);
    r = api_peer_patch(f.peer, DEPLOYS "/d", "merge",
                       "{\"spec\":{\"replicas\":2},\"status\":{\"replicas\":7}}");
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(r, "spec.replicas"), 2);
    EXPECT_EQ(fix_int(r, "status.replicas"), 1);
    EXPECT_EQ(fix_int(r, "metadata.generation"), 2);
    ANSWERS(api_peer_get(f.peer, DEPLOYS "/d/status"), 200);
    ANSWERS(api_peer_delete(f.peer, DEPLOYS "/d/status", NULL), 405);
    fix_close(&f);
}

TEST(scale)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, DEPLOYS, deployment), 201);
    r = api_peer_get(f.peer, DEPLOYS "/d/scale");
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "kind"), "Scale");
    EXPECT_STR(fix_str(r, "status.selector"), "app=x");
    r = api_peer_patch(f.peer, DEPLOYS "/d/scale", "merge", "{\"spec\":{\"replicas\":5}}");
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(r, "spec.replicas"), 5);
    r = api_peer_put(f.peer, DEPLOYS "/d/scale",
                     "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":6}}");
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(api_peer_get(f.peer, DEPLOYS "/d"), "spec.replicas"), 6);
    ANSWERS(api_peer_patch(f.peer, DEPLOYS "/d/scale", "merge", "{\"spec\":{\"replicas\":-1}}"),
            422);
    ANSWERS(api_peer_get(f.peer, DEPLOYS "/nosuch/scale"), 404);
    fix_close(&f);
}

TEST(binding)
{
    static const char to_n[] = "{\"metadata\":{\"name\":\"p\"},\"target\":{\"kind\":\"Node\","
                               "\"name\":\"n\"}}";
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, PODS, POD_BODY("p", "")), 201);
    ANSWERS(api_peer_post(f.peer, PODS "/p/binding", "{\"metadata\":{\"name\":\"q\"},\"target\":{"
                          "\"name\":\"n\"}}"), 400);
    ANSWERS(api_peer_post(f.peer, PODS "/p/binding", to_n), 201);
    r = api_peer_get(f.peer, PODS "/p");
    EXPECT_STR(fix_str(r, "spec.nodeName"), "n");
    EXPECT_STR(json_get_str(json_at(json_path(r->json, "status.conditions"), 0), "type"),
               "PodScheduled");
    ANSWERS(api_peer_post(f.peer, PODS "/p/binding", to_n), 409);
    fix_close(&f);
}

TEST(eviction)
{
    struct fix f = fix_new();

    ANSWERS(api_peer_post(f.peer, PODS, POD_BODY("p", "")), 201);
    ANSWERS(api_peer_post(f.peer, PODS "/p/eviction", "{\"metadata\":{\"name\":\"q\"}}"), 400);
    ANSWERS(api_peer_post(f.peer, PODS "/p/eviction", "{\"apiVersion\":\"policy/v1\",\"kind\":"
                          "\"Eviction\",\"metadata\":{\"name\":\"p\"}}"), 201);
    ANSWERS(api_peer_get(f.peer, PODS "/p"), 404);
    fix_close(&f);
}

/* A token of an account says who one is; what it may do is another matter. */
TEST(token)
{
    static const char path[] = "/api/v1/namespaces/default/serviceaccounts/default/token";
    struct fix f = fix_new();
    const struct api_reply *r =
        api_peer_post(f.peer, path, "{\"spec\":{\"expirationSeconds\":600}}");
    struct api_ask ask = { .method = "GET", .path = "/version" };
    char token[4096];

    ANSWERS(r, 201);
    EXPECT_STR(fix_str(r, "kind"), "TokenRequest");
    EXPECT_EQ(strlen(fix_str(r, "metadata.uid")), 36);
    snprintf(token, sizeof(token), "%s", fix_str(r, "status.token"));
    EXPECT(strlen(token) > 100);
    ask.token = token;
    ANSWERS(api_peer_ask(f.peer, &ask), 200);
    ask.path = CMS;
    r = api_peer_ask(f.peer, &ask);
    ANSWERS(r, 403);
    EXPECT(strstr(r->text, "system:serviceaccount:default:default"));
    token[strlen(token) - 5] ^= 1;                       /* forged */
    ANSWERS(api_peer_ask(f.peer, &ask), 401);
    ask.token = "nonsense";
    ANSWERS(api_peer_ask(f.peer, &ask), 401);
    ANSWERS(api_peer_post(f.peer, path, "{\"spec\":{\"expirationSeconds\":5}}"), 422);
    fix_close(&f);
}

/* A token without any wishes; it ends with its account, though it was proven before. */
TEST(token_ends_with_its_account)
{
    static const char sa[] = "/api/v1/namespaces/default/serviceaccounts/default";
    struct fix f = fix_new();
    const struct api_reply *r =
        api_peer_post(f.peer, "/api/v1/namespaces/default/serviceaccounts/default/token",
                      "{\"spec\":{}}");
    struct api_ask ask = { .method = "GET", .path = "/version" };
    char token[4096];

    ANSWERS(r, 201);
    EXPECT_EQ(fix_int(r, "spec.expirationSeconds"), 3600);
    snprintf(token, sizeof(token), "%s", fix_str(r, "status.token"));
    ask.token = token;
    ANSWERS(api_peer_ask(f.peer, &ask), 200);
    ANSWERS(api_peer_ask(f.peer, &ask), 200);
    ask = (struct api_ask){ .method = "DELETE", .path = sa };
    ANSWERS(api_peer_ask(f.peer, &ask), 200);
    ask = (struct api_ask){ .method = "GET", .path = "/version", .token = token };
    ANSWERS(api_peer_ask(f.peer, &ask), 401);
    fix_close(&f);
}

TEST(anonymous)
{
    struct fix f = fix_new();
    struct api_peer *nobody;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&nobody, f.box, NULL, NULL, &err), &err);
    ANSWERS(api_peer_get(nobody, "/healthz"), 200);
    ANSWERS(api_peer_get(nobody, "/version"), 200);
    ANSWERS(api_peer_get(nobody, CMS), 403);
    ANSWERS(api_peer_get(nobody, "/api"), 403);
    ANSWERS(api_peer_post(nobody, CMS, "{}"), 403);
    api_peer_free(nobody);
    EXPECT_OK(api_peer_new(&nobody, f.box, "eve", NULL, &err), &err);
    ANSWERS(api_peer_get(nobody, "/api"), 200);
    ANSWERS(api_peer_get(nobody, CMS), 403);
    api_peer_free(nobody);
    fix_close(&f);
}
