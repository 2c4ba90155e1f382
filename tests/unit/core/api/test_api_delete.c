#include "tests/unit/core/api/api_fix.h"

static const char body[] = "{\"metadata\":{\"name\":\"a\"}}";
static const char held[] = "{\"metadata\":{\"name\":\"h\",\"finalizers\":[\"example.com/hold\"]}}";

TEST(plain)
{
    struct fix f = fix_new();
    const struct api_reply *r;
    char uid[64];

    snprintf(uid, sizeof(uid), "%s", fix_str(api_peer_post(f.peer, CMS, body), "metadata.uid"));
    r = api_peer_delete(f.peer, CMS "/a", NULL);
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "kind"), "Status");
    EXPECT_STR(fix_str(r, "status"), "Success");
    EXPECT_STR(fix_str(r, "details.uid"), uid);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", NULL), 404);
    fix_close(&f);
}

TEST(preconditions)
{
    struct fix f = fix_new();
    const struct api_reply *r;
    char version[32], text[128];

    snprintf(version, sizeof(version), "%s",
             fix_str(api_peer_post(f.peer, CMS, body), "metadata.resourceVersion"));
    r = api_peer_delete(f.peer, CMS "/a", "{\"preconditions\":{\"uid\":\"other\"}}");
    ANSWERS(r, 409);
    EXPECT_STR(fix_str(r, "reason"), "Conflict");
    EXPECT_STR(fix_str(r, "details.kind"), "ConfigMap");
    ANSWERS(api_peer_delete(f.peer, CMS "/a", "{\"preconditions\":{\"resourceVersion\":\"1\"}}"),
            409);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", "{\"propagationPolicy\":\"Nonsense\"}"), 422);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}"), 400);
    snprintf(text, sizeof(text), "{\"preconditions\":{\"resourceVersion\":\"%s\"}}", version);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", text), 200);
    fix_close(&f);
}

TEST(finalizers)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, CMS, held), 201);
    r = api_peer_delete(f.peer, CMS "/h", NULL);
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "kind"), "ConfigMap");
    EXPECT(*fix_str(r, "metadata.deletionTimestamp"));
    ANSWERS(api_peer_get(f.peer, CMS "/h"), 200);
    /* none may be added now, the rest stays editable, and taking the last away ends it */
    ANSWERS(api_peer_patch(f.peer, CMS "/h", "merge", "{\"metadata\":{\"finalizers\":["
                           "\"example.com/hold\",\"example.com/new\"]}}"), 422);
    ANSWERS(api_peer_patch(f.peer, CMS "/h", "merge", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"),
            200);
    ANSWERS(api_peer_patch(f.peer, CMS "/h", "merge", "{\"metadata\":{\"finalizers\":null}}"), 200);
    ANSWERS(api_peer_get(f.peer, CMS "/h"), 404);
    fix_close(&f);
}

TEST(propagation)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    r = api_peer_delete(f.peer, CMS "/a?propagationPolicy=Foreground", NULL);
    ANSWERS(r, 200);
    EXPECT_STR(json_text(json_at(json_path(r->json, "metadata.finalizers"), 0)),
               "foregroundDeletion");
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"metadata\":{\"finalizers\":null}}"), 200);
    ANSWERS(api_peer_get(f.peer, CMS "/a"), 404);
    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    r = api_peer_delete(f.peer, CMS "/a", "{\"orphanDependents\":true}");
    EXPECT_STR(json_text(json_at(json_path(r->json, "metadata.finalizers"), 0)), "orphan");
    fix_close(&f);
}

static void make_bound(struct fix *f)
{
    ANSWERS(api_peer_post(f->peer, PODS, POD_BODY("p", "")), 201);
    ANSWERS(api_peer_post(f->peer, PODS "/p/binding", "{\"metadata\":{\"name\":\"p\"},\"target\":{"
                          "\"kind\":\"Node\",\"name\":\"n\"}}"), 201);
}

/* A pod on a node goes when its node says so; a pending grace only becomes shorter. */
TEST(grace)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    make_bound(&f);
    r = api_peer_delete(f.peer, PODS "/p", NULL);
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(r, "metadata.deletionGracePeriodSeconds"), 30);
    r = api_peer_delete(f.peer, PODS "/p?gracePeriodSeconds=60", NULL);
    EXPECT_EQ(fix_int(r, "metadata.deletionGracePeriodSeconds"), 30);
    r = api_peer_delete(f.peer, PODS "/p?gracePeriodSeconds=5", NULL);
    EXPECT_EQ(fix_int(r, "metadata.deletionGracePeriodSeconds"), 5);
    r = api_peer_delete(f.peer, PODS "/p", "{\"gracePeriodSeconds\":0}");
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "kind"), "Pod");
    ANSWERS(api_peer_get(f.peer, PODS "/p"), 404);
    fix_close(&f);
}

TEST(collection)
{
    struct fix f = fix_new();
    char n[256];
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"1\"}}}"),
            201);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"b\"}}"), 201);
    ANSWERS(api_peer_post(f.peer, CMS, held), 201);
    r = api_peer_delete(f.peer, CMS "?labelSelector=x%3D1", NULL);
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "kind"), "ConfigMapList");
    EXPECT_STR(fix_names(r, n), "a");
    ANSWERS(api_peer_delete(f.peer, CMS, NULL), 200);
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS), n), "h");
    ANSWERS(api_peer_delete(f.peer, "/api/v1/namespaces", NULL), 405);
    fix_close(&f);
}

TEST(namespaces)
{
    static const char path[] = "/api/v1/namespaces/t";
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, "/api/v1/namespaces", "{\"metadata\":{\"name\":\"t\"}}"), 201);
    r = api_peer_delete(f.peer, path, NULL);
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "status.phase"), "Terminating");
    r = api_peer_post(f.peer, "/api/v1/namespaces/t/configmaps", body);
    ANSWERS(r, 403);
    EXPECT_STR(json_get_str(json_at(json_path(r->json, "details.causes"), 0), "reason"),
               "NamespaceTerminating");
    ANSWERS(api_peer_delete(f.peer, path, NULL), 200);
    ANSWERS(api_peer_get(f.peer, path), 200);
    ANSWERS(api_peer_put(f.peer, "/api/v1/namespaces/t/finalize",
                         "{\"metadata\":{\"name\":\"t\"},\"spec\":{}}"), 200);
    ANSWERS(api_peer_get(f.peer, path), 404);
    r = api_peer_delete(f.peer, "/api/v1/namespaces/default", NULL);
    ANSWERS(r, 403);
    fix_close(&f);
}
