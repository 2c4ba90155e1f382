#include "tests/unit/core/api/api_fix.h"

#include "core/object/codec_protobuf.h"

#define PROTOBUF "application/vnd.kubernetes.protobuf"

/* What an answer in protobuf says. */
static struct json *read_back(struct arena *a, const char *p, size_t len)
{
    struct json *tree;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_protobuf_read(&tree, a, (struct slice){ p, len }, NULL, &err), &err);
    return tree;
}

static const struct api_reply *as(struct fix *f, const char *method, const char *path,
                                  const char *accept)
{
    return api_peer_ask(f->peer, &(struct api_ask){ .method = method, .path = path,
                                                    .accept = accept });
}

TEST(answers)
{
    struct fix f = fix_new();
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct api_reply *r;
    struct json *v;

    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}"),
            201);
    r = as(&f, "GET", CMS "/a", PROTOBUF);
    ANSWERS(r, 200);
    EXPECT_STR(r->type, PROTOBUF);
    v = read_back(a, r->text, r->len);
    EXPECT_STR(json_get_str(v, "kind"), "ConfigMap");
    EXPECT_STR(json_path_str(v, "data.k"), "v");
    r = as(&f, "GET", CMS, PROTOBUF);
    v = read_back(a, r->text, r->len);
    EXPECT_STR(json_get_str(v, "kind"), "ConfigMapList");
    EXPECT_EQ(json_len(json_get(v, "items")), 1);
    r = as(&f, "GET", CMS "/nosuch", PROTOBUF);
    ANSWERS(r, 404);
    v = read_back(a, r->text, r->len);
    EXPECT_STR(json_get_str(v, "reason"), "NotFound");
    /* the first that is there is taken */
    EXPECT_STR(as(&f, "GET", CMS "/a", PROTOBUF ",application/json")->type, PROTOBUF);
    EXPECT_STR(as(&f, "GET", CMS "/a", "application/json," PROTOBUF)->type, "application/json");
    ANSWERS(as(&f, "GET", CMS, PROTOBUF ";as=Table;v=v1;g=meta.k8s.io"), 406);
    fix_close(&f);
}

/* What came as an answer goes in again as a body. */
TEST(bodies)
{
    struct fix f = fix_new();
    const struct api_reply *r;
    struct api_ask ask = { .method = "PUT", .path = DEPLOYS "/d", .type = PROTOBUF };
    _cleanup_(mem_freep) char *body = NULL;

    ANSWERS(api_peer_post(f.peer, DEPLOYS, "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{"
            "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
            "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"limits\":{"
            "\"cpu\":\"100m\"}},\"livenessProbe\":{\"httpGet\":{\"port\":\"web\"}}}]}}}}"), 201);
    r = as(&f, "GET", DEPLOYS "/d", PROTOBUF);
    body = mem_alloc(r->len + 1);
    memcpy(body, r->text, r->len);
    ask.body = body;
    ask.body_len = r->len;
    r = api_peer_ask(f.peer, &ask);
    ANSWERS(r, 200);
    EXPECT_EQ(fix_int(r, "metadata.generation"), 1);     /* the same again: nothing changed */
    ask.body_len = 9;
    ANSWERS(api_peer_ask(f.peer, &ask), 400);
    ask.body = "nonsense";
    ask.body_len = 8;
    ANSWERS(api_peer_ask(f.peer, &ask), 400);
    fix_close(&f);
}
