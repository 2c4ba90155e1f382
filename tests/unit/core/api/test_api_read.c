#include "tests/unit/core/api/api_fix.h"

static void make(struct fix *f, const char *name, const char *labels)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    ANSWERS(api_peer_post(f->peer, CMS, body), 201);
}

TEST(get)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    make(&f, "a", "\"x\":\"1\"");
    r = api_peer_get(f.peer, CMS "/a");
    ANSWERS(r, 200);
    EXPECT_STR(r->type, "application/json");
    EXPECT_STR(fix_str(r, "kind"), "ConfigMap");
    EXPECT_STR(fix_str(r, "apiVersion"), "v1");
    EXPECT_STR(fix_str(r, "metadata.labels.x"), "1");
    EXPECT_EQ(strlen(fix_str(r, "metadata.uid")), 36);
    r = api_peer_get(f.peer, CMS "/nosuch");
    ANSWERS(r, 404);
    EXPECT_STR(fix_str(r, "reason"), "NotFound");
    EXPECT_STR(fix_str(r, "message"), "configmaps \"nosuch\" not found");
    EXPECT_STR(fix_str(r, "details.kind"), "configmaps");
    ANSWERS(api_peer_get(f.peer, "/api/v1/namespaces/default/nosuch/x"), 404);
    ANSWERS(api_peer_get(f.peer, CMS "/a?resourceVersion=999999"), 504);
    ANSWERS(api_peer_get(f.peer, CMS "/a?resourceVersion=x"), 400);
    fix_close(&f);
}

TEST(pages)
{
    struct fix f = fix_new();
    const struct api_reply *r;
    char names[256], next[512], revision[32];

    make(&f, "a", "");
    make(&f, "b", "");
    make(&f, "c", "");
    r = api_peer_get(f.peer, CMS "?limit=2");
    EXPECT_STR(fix_names(r, names), "a b");
    EXPECT_EQ(fix_int(r, "metadata.remainingItemCount"), 1);
    snprintf(revision, sizeof(revision), "%s", fix_str(r, "metadata.resourceVersion"));
    snprintf(next, sizeof(next), CMS "?limit=2&continue=%s", fix_str(r, "metadata.continue"));
    /* what happens between two pages is not seen on the second */
    make(&f, "bb", "");
    ANSWERS(api_peer_delete(f.peer, CMS "/c", NULL), 200);
    r = api_peer_get(f.peer, next);
    EXPECT_STR(fix_names(r, names), "c");
    EXPECT_STR(fix_str(r, "metadata.resourceVersion"), revision);
    EXPECT_STR(fix_str(r, "metadata.continue"), "");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS), names), "a b bb");
    /* an old cache answers "any version" without pages */
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?limit=1&resourceVersion=0"), names), "a b bb");
    fix_close(&f);
}

TEST(bad_pages)
{
    static const char *const bad[] = {
        "?continue=x", "?continue=e30", "?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MH0",
        "?limit=x", "?continue=e30&resourceVersion=5",
    };
    struct fix f = fix_new();

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char path[256];

        snprintf(path, sizeof(path), CMS "%s", bad[i]);
        ANSWERS(api_peer_get(f.peer, path), 400);
    }
    ANSWERS(api_peer_get(f.peer, CMS "?resourceVersionMatch=Exact"), 422);
    ANSWERS(api_peer_get(f.peer, CMS "?sendInitialEvents=true"), 422);
    fix_close(&f);
}

/* A token that was given out before a restart is too old: the past is kept in memory. */
TEST(expired_page)
{
    struct fix f = fix_new();
    char next[512];

    make(&f, "a", "");
    make(&f, "b", "");
    snprintf(next, sizeof(next), CMS "?limit=1&continue=%s",
             fix_str(api_peer_get(f.peer, CMS "?limit=1"), "metadata.continue"));
    make(&f, "c", "");
    fix_close(&f);
    fix_open(&f);
    ANSWERS(api_peer_get(f.peer, next), 410);
    fix_close(&f);
}

TEST(selectors)
{
    struct fix f = fix_new();
    char n[256];

    make(&f, "a", "\"app\":\"x\",\"tier\":\"1\"");
    make(&f, "b", "\"app\":\"y\"");
    make(&f, "c", "");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?labelSelector=app%3Dx"), n), "a");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?labelSelector=app+in+(x,y)"), n), "a b");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?labelSelector=!app"), n), "c");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?labelSelector=app!%3Dx"), n), "b c");
    EXPECT_STR(fix_names(api_peer_get(f.peer, CMS "?fieldSelector=metadata.name%3Db"), n), "b");
    EXPECT_STR(fix_names(api_peer_get(f.peer, "/api/v1/configmaps?labelSelector=tier"), n), "a");
    ANSWERS(api_peer_get(f.peer, CMS "?labelSelector=a%3D%3D%3D"), 400);
    ANSWERS(api_peer_get(f.peer, CMS "?fieldSelector=data.x%3D1"), 400);
    fix_close(&f);
}

static const struct api_reply *as(struct fix *f, const char *path, const char *accept)
{
    return api_peer_ask(f->peer, &(struct api_ask){ .method = "GET", .path = path,
                                                    .accept = accept });
}

TEST(forms)
{
    static const char table[] = "application/json;as=Table;v=v1;g=meta.k8s.io";
    static const char partial[] =
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    struct fix f = fix_new();
    const struct api_reply *r;
    char n[256];

    make(&f, "a", "");
    r = as(&f, CMS, table);
    EXPECT_STR(fix_str(r, "kind"), "Table");
    EXPECT_STR(fix_names(r, n), "a");
    EXPECT_EQ(json_len(json_get(json_at(json_get(r->json, "rows"), 0), "cells")),
              json_len(json_get(r->json, "columnDefinitions")));
    r = as(&f, CMS "/a?includeObject=None", table);
    EXPECT(json_is(json_get(json_at(json_get(r->json, "rows"), 0), "object"), JSON_NULL));
    ANSWERS(as(&f, CMS "?includeObject=Nonsense", table), 400);
    r = as(&f, CMS, partial);
    EXPECT_STR(fix_str(r, "kind"), "PartialObjectMetadataList");
    EXPECT_STR(fix_names(r, n), "a");
    ANSWERS(as(&f, CMS "/a", partial), 406);
    r = as(&f, CMS "/a", "application/yaml");
    EXPECT_STR(r->type, "application/yaml");
    EXPECT(str_starts(r->text, "apiVersion: v1\nkind: ConfigMap\n"));
    ANSWERS(as(&f, CMS "/a", "text/html"), 406);
    ANSWERS(as(&f, CMS "/a", "text/html,application/json;q=0.1"), 200);
    fix_close(&f);
}

/* Everything stored is there again, and revisions go on. */
TEST(restart)
{
    struct fix f = fix_new();
    char uid[64];
    long long before, after;

    make(&f, "a", "");
    snprintf(uid, sizeof(uid), "%s", fix_str(api_peer_get(f.peer, CMS "/a"), "metadata.uid"));
    before = atoll(fix_str(api_peer_get(f.peer, CMS), "metadata.resourceVersion"));
    fix_close(&f);
    fix_open(&f);
    EXPECT_STR(fix_str(api_peer_get(f.peer, CMS "/a"), "metadata.uid"), uid);
    make(&f, "b", "");
    after = atoll(fix_str(api_peer_get(f.peer, CMS "/b"), "metadata.resourceVersion"));
    EXPECT(after > before);
    fix_close(&f);
}
