#include "tests/fake/fake_vfs.h"
#include "tests/unit/core/api/api_fix.h"

static const char body[] = "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}";

TEST(create)
{
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_post(f.peer, CMS, body);

    ANSWERS(r, 201);
    EXPECT_STR(fix_str(r, "metadata.namespace"), "default");
    EXPECT(*fix_str(r, "metadata.creationTimestamp"));
    EXPECT(atoll(fix_str(r, "metadata.resourceVersion")) > 0);
    r = api_peer_post(f.peer, CMS, body);
    ANSWERS(r, 409);
    EXPECT_STR(fix_str(r, "reason"), "AlreadyExists");
    r = api_peer_post(f.peer, CMS, "{\"metadata\":{}}");
    ANSWERS(r, 422);
    EXPECT_STR(json_get_str(json_at(json_path(r->json, "details.causes"), 0), "field"),
               "metadata.name");
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"b\",\"namespace\":\"other\"}}"),
            400);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"b\"}}"), 400);
    ANSWERS(api_peer_post(f.peer, CMS,
                          "{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"5\"}}"), 500);
    ANSWERS(api_peer_post(f.peer, "/api/v1/namespaces/nosuch/configmaps", body), 404);
    ANSWERS(api_peer_post(f.peer, "/api/v1/configmaps", body), 405);
    fix_close(&f);
}

TEST(generate_name)
{
    struct fix f = fix_new();
    char first[128];
    const struct api_reply *r;

    snprintf(first, sizeof(first), "%s", fix_str(api_peer_post(f.peer, CMS,
             "{\"metadata\":{\"generateName\":\"x-\"}}"), "metadata.name"));
    EXPECT_EQ(strlen(first), 7);
    EXPECT(str_starts(first, "x-"));
    r = api_peer_post(f.peer, CMS, "{\"metadata\":{\"generateName\":\"x-\"}}");
    ANSWERS(r, 201);
    EXPECT(strcmp(fix_str(r, "metadata.name"), first) != 0);
    fix_close(&f);
}

TEST(dry_run)
{
    struct fix f = fix_new();
    char version[32];

    ANSWERS(api_peer_post(f.peer, CMS "?dryRun=All", body), 201);
    ANSWERS(api_peer_get(f.peer, CMS "/a"), 404);
    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    snprintf(version, sizeof(version), "%s",
             fix_str(api_peer_get(f.peer, CMS "/a"), "metadata.resourceVersion"));
    ANSWERS(api_peer_patch(f.peer, CMS "/a?dryRun=All", "merge", "{\"data\":{\"k\":\"w\"}}"), 200);
    ANSWERS(api_peer_delete(f.peer, CMS "/a?dryRun=All", NULL), 200);
    EXPECT_STR(fix_str(api_peer_get(f.peer, CMS "/a"), "metadata.resourceVersion"), version);
    ANSWERS(api_peer_post(f.peer, CMS "?dryRun=Some", body), 422);
    fix_close(&f);
}

TEST(update)
{
    struct fix f = fix_new();
    char text[512], old[32];
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    r = api_peer_get(f.peer, CMS "/a");
    snprintf(old, sizeof(old), "%s", fix_str(r, "metadata.resourceVersion"));
    /* no version: overwrites; the same again: nothing is written */
    r = api_peer_put(f.peer, CMS "/a", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"2\"}}");
    ANSWERS(r, 200);
    EXPECT(strcmp(fix_str(r, "metadata.resourceVersion"), old) != 0);
    snprintf(text, sizeof(text), "%s", fix_str(r, "metadata.resourceVersion"));
    r = api_peer_put(f.peer, CMS "/a", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"2\"}}");
    EXPECT_STR(fix_str(r, "metadata.resourceVersion"), text);
    /* an old version: refused */
    snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%s\"}}", old);
    r = api_peer_put(f.peer, CMS "/a", text);
    ANSWERS(r, 409);
    EXPECT_STR(fix_str(r, "reason"), "Conflict");
    ANSWERS(api_peer_put(f.peer, CMS "/a", "{\"metadata\":{\"name\":\"b\"}}"), 400);
    ANSWERS(api_peer_put(f.peer, CMS "/b", "{\"metadata\":{\"name\":\"b\"}}"), 404);
    ANSWERS(api_peer_put(f.peer, CMS "/a", "{\"metadata\":{\"name\":\"a\",\"uid\":"
                         "\"22222222-2222-2222-2222-222222222222\"}}"), 409);
    fix_close(&f);
}

TEST(patches)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    r = api_peer_patch(f.peer, CMS "/a", "merge", "{\"data\":{\"k\":null,\"m\":\"1\"}}");
    ANSWERS(r, 200);
    EXPECT(!json_path(r->json, "data.k"));
    EXPECT_STR(fix_str(r, "data.m"), "1");
    r = api_peer_patch(f.peer, CMS "/a", "json",
                       "[{\"op\":\"test\",\"path\":\"/data/m\",\"value\":\"1\"},"
                       "{\"op\":\"add\",\"path\":\"/data/n\",\"value\":\"2\"}]");
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "data.n"), "2");
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "json",
                           "[{\"op\":\"test\",\"path\":\"/data/m\",\"value\":\"9\"}]"), 422);
    r = api_peer_patch(f.peer, CMS "/a", "strategic-merge",
                       "{\"metadata\":{\"labels\":{\"x\":\"y\"}},\"data\":{\"$patch\":\"replace\","
                       "\"z\":\"1\"}}");
    ANSWERS(r, 200);
    EXPECT_EQ(json_len(json_get(r->json, "data")), 1);
    ANSWERS(api_peer_patch(f.peer, CMS "/nosuch", "merge", "{}"), 404);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "[]"), 400);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"kind\":\"Secret\"}"), 422);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"data\":{\"k\":5}}"), 422);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "nonsense", "{}"), 415);
    fix_close(&f);
}

/* Lists of containers merge by name. */
TEST(strategic_lists)
{
    struct fix f = fix_new();
    const struct api_reply *r;
    const struct json *list;

    ANSWERS(api_peer_post(f.peer, PODS, POD_BODY("p", "")), 201);
    r = api_peer_patch(f.peer, PODS "/p", "strategic-merge",
                       "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:2\"}]}}");
    ANSWERS(r, 200);
    list = json_path(r->json, "spec.containers");
    EXPECT_EQ(json_len(list), 1);
    EXPECT_STR(json_get_str(json_at(list, 0), "image"), "i:2");
    fix_close(&f);
}

TEST(field_validation)
{
    static const char odd[] = "{\"metadata\":{\"name\":\"b\"},\"nosuch\":1,\"data\":{\"a\":\"1\","
                              "\"a\":\"2\"}}";
    struct fix f = fix_new();
    const struct api_reply *r;

    r = api_peer_post(f.peer, CMS "?fieldValidation=Strict", odd);
    ANSWERS(r, 400);
    EXPECT(strstr(r->text, "unknown field \\\"nosuch\\\""));
    ANSWERS(api_peer_get(f.peer, CMS "/b"), 404);
    r = api_peer_post(f.peer, CMS, odd);
    ANSWERS(r, 201);
    EXPECT(strstr(r->warning, "field"));
    ANSWERS(api_peer_delete(f.peer, CMS "/b", NULL), 200);
    r = api_peer_post(f.peer, CMS "?fieldValidation=Ignore", odd);
    ANSWERS(r, 201);
    EXPECT_STR(r->warning, "");
    ANSWERS(api_peer_post(f.peer, CMS "?fieldValidation=Maybe", body), 422);
    fix_close(&f);
}

TEST(yaml)
{
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_ask(f.peer, &(struct api_ask){
        .method = "POST", .path = CMS, .type = "application/yaml",
        .body = "metadata:\n  name: yy\ndata:\n  a: \"1\"\n" });

    ANSWERS(r, 201);
    EXPECT_STR(fix_str(r, "data.a"), "1");
    ANSWERS(api_peer_ask(f.peer, &(struct api_ask){ .method = "POST", .path = CMS,
                         .type = "application/yaml", .body = "a: [" }), 400);
    ANSWERS(api_peer_ask(f.peer, &(struct api_ask){ .method = "POST", .path = CMS,
                         .type = "text/plain", .body = body }), 415);
    fix_close(&f);
}

/* --- limits */

static char *big_body(size_t value)
{
    char *text = mem_alloc(value + 128);
    size_t n = (size_t)snprintf(text, 128, "{\"metadata\":{\"name\":\"big\"},\"data\":{\"k\":\"");

    memset(text + n, 'x', value);
    memcpy(text + n + value, "\"}}", 4);
    return text;
}

TEST(too_large)
{
    struct fix f = fix_new();
    char *text = big_body(API_BODY_MAX + 1);

    ANSWERS(api_peer_post(f.peer, CMS, text), 413);
    mem_free(text);
    text = big_body((1u << 20) + 1);             /* more than a ConfigMap may hold */
    ANSWERS(api_peer_post(f.peer, CMS, text), 422);
    mem_free(text);
    ANSWERS(api_peer_get(f.peer, CMS), 200);
    fix_close(&f);
}

/* Nested beyond all use: an error, no stack that runs over. */
TEST(depth_bomb)
{
    struct fix f = fix_new();
    static const char *const open[] = { "[", "{\"a\":" };

    for (size_t k = 0; k < ARRAY_LEN(open); k++) {
        _cleanup_buf_ struct buf b = BUF_INIT;
        const struct api_reply *r;

        buf_str(&b, "{\"metadata\":{\"name\":\"x\"},\"data\":");
        for (int i = 0; i < 200000; i++)
            buf_str(&b, open[k]);
        r = api_peer_post(f.peer, CMS, b.p);
        EXPECT(r->code == 400 || r->code == 413);
        EXPECT_STR(fix_str(r, "kind"), "Status");
    }
    ANSWERS(api_peer_get(f.peer, CMS), 200);
    fix_close(&f);
}

TEST(a_full_disk_is_the_servers_trouble)
{
    struct fake_vfs disk = { .syncs_left = -1, .writes_left = -1 };
    const struct api_reply *r;
    struct fix f;

    fake_vfs_install(&disk);
    f = fix_new();
    disk.writes_left = 0;
    r = api_peer_post(f.peer, CMS, body);
    ANSWERS(r, 500);
    EXPECT_STR(fix_str(r, "reason"), "InternalError");
    EXPECT(strstr(fix_str(r, "message"), "the store has no room"));
    ANSWERS(api_peer_get(f.peer, CMS "/a"), 404);
    disk.writes_left = -1;
    ANSWERS(api_peer_post(f.peer, CMS, body), 201);
    fix_close(&f);
}

static const struct api_reply *beat(struct fix *f, const char *status, int second)
{
    char text[300];

    snprintf(text, sizeof(text), "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":"
             "\"%s\",\"lastHeartbeatTime\":\"2026-01-01T00:00:0%dZ\"}]}}", status, second);
    return api_peer_patch(f->peer, "/api/v1/nodes/n/status",
                          "strategic-merge", text);
}

/* A node at rest makes the disk of its server rest, too. */
TEST(heartbeats_are_not_synced)
{
    struct fake_vfs disk = { .syncs_left = -1, .writes_left = -1 };
    const struct api_reply *r;
    struct fix f;
    int before;

    fake_vfs_install(&disk);
    f = fix_new();
    ANSWERS(api_peer_post(f.peer, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}"), 201);
    ANSWERS(beat(&f, "True", 1), 200);
    before = disk.syncs;
    ANSWERS(beat(&f, "True", 2), 200);
    EXPECT_EQ(disk.syncs, before);
    r = api_peer_get(f.peer, "/api/v1/nodes/n");
    EXPECT(strstr(r->text, "00:00:02Z"));
    ANSWERS(beat(&f, "False", 3), 200);
    EXPECT(disk.syncs > before);
    fix_close(&f);
}
