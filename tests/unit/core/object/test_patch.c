#include "core/object/patch.h"
#include "core/object/schema.h"
#include "tests/harness/test.h"

enum form { JSON_PATCH, MERGE_PATCH, STRATEGIC };

static struct json *read_json(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    return v;
}

static int run(enum form form, struct json **out, struct arena *a, const char *doc,
               const char *patch,
               struct err *err)
{
    const struct json *d = read_json(a, doc), *p = read_json(a, patch);

    if (form == JSON_PATCH)
        return patch_json(out, a, d, p, err);
    if (form == MERGE_PATCH)
        return patch_merge(out, a, d, p, err);
    return patch_strategic(out, a, d, p, schema_type_by_id("core.v1.Pod"), err);
}

static void expect_patch(enum form form, const char *doc, const char *patch, const char *want)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *out = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(run(form, &out, a, doc, patch, &err), &err);
    json_write(&b, out);
    EXPECT_STR(b.p, want);
}

static void expect_error(enum form form, const char *doc, const char *patch, int code,
                         const char *text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *out = NULL;
    struct err err = ERR_INIT;

    EXPECT_ERR(run(form, &out, a, doc, patch, &err), &err, code);
    EXPECT(out == NULL);
    if (text)
        EXPECT_STR(err.msg, text);
}

TEST(json)
{
    expect_patch(JSON_PATCH, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":[1]},"
                 "{\"op\":\"add\",\"path\":\"/b/0\",\"value\":0},{\"op\":\"add\",\"path\":\"/b/-\",\"value\":2}]",
                 "{\"a\":1,\"b\":[0,1,2]}");
    expect_patch(JSON_PATCH, "{\"a/b\":{\"~\":1}}", "[{\"op\":\"remove\",\"path\":\"/a~1b/~0\"}]",
                 "{\"a/b\":{}}");
    expect_patch(JSON_PATCH, "{\"a\":1,\"l\":[1,2]}",
                 "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"},"
                 "{\"op\":\"copy\",\"from\":\"/l\",\"path\":\"/c\"},{\"op\":\"test\",\"path\":\"/c/1\",\"value\":2},"
                 "{\"op\":\"remove\",\"path\":\"/l/-1\"},{\"op\":\"test\",\"path\":\"/none\",\"value\":null}]",
                 "{\"l\":[1],\"b\":1,\"c\":[1,2]}");
    expect_patch(JSON_PATCH, "{\"a\":1}",
                 "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"x\":1}}]", "{\"x\":1}");
}

TEST(json_errors)
{
    expect_error(JSON_PATCH, "{}", "{}", ERR_INVALID,
                 "error decoding patch: json: cannot unmarshal object "
                 "into Go value of type []handlers.jsonPatchOp");
    expect_error(JSON_PATCH, "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", ERR_UNSUPPORTED, NULL);
    expect_error(JSON_PATCH, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
                 ERR_UNSUPPORTED,
                 "testing value /a failed: test failed");
    expect_error(JSON_PATCH, "{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
                 ERR_UNSUPPORTED,
                 NULL);
    expect_error(JSON_PATCH, "{}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", ERR_UNSUPPORTED, NULL);
    expect_error(JSON_PATCH, "{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
                 ERR_UNSUPPORTED, NULL);
}

TEST(merge)
{
    expect_patch(MERGE_PATCH, "{\"a\":1,\"b\":{\"c\":1,\"d\":2}}",
                 "{\"a\":null,\"b\":{\"c\":null,\"e\":3}}",
                 "{\"b\":{\"d\":2,\"e\":3}}");
    expect_patch(MERGE_PATCH, "{\"l\":[1,2]}", "{\"l\":[3],\"n\":{\"x\":null,\"y\":1}}",
                 "{\"l\":[3],\"n\":{\"y\":1}}");
    expect_error(MERGE_PATCH, "{}", "\"x\"", ERR_INVALID, "Invalid JSON Patch");
}

TEST(merge_diff)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    const struct json *from = read_json(a, "{\"a\":1,\"b\":{\"c\":1},\"d\":[1]}");
    const struct json *to = read_json(a, "{\"b\":{\"c\":2},\"d\":[1],\"e\":{}}");

    json_write(&b, patch_merge_diff(a, from, to));
    EXPECT_STR(b.p, "{\"a\":null,\"b\":{\"c\":2},\"e\":{}}");
    EXPECT(patch_merge_diff(a, from, from) == NULL);
}

#define CONTAINERS(x) "{\"spec\":{\"containers\":[" x "]}}"

TEST(strategic_lists)
{
    expect_patch(STRATEGIC, CONTAINERS("{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}"),
                 CONTAINERS("{\"name\":\"a\",\"image\":\"2\"},{\"name\":\"c\"}"),
                 CONTAINERS("{\"name\":\"a\",\"image\":\"2\"},{\"name\":\"c\"},{\"name\":\"b\"}"));
    expect_patch(STRATEGIC, CONTAINERS("{\"name\":\"a\"},{\"name\":\"b\"}"),
                 CONTAINERS("{\"name\":\"a\",\"$patch\":\"delete\"}"),
                 CONTAINERS("{\"name\":\"b\"}"));
    expect_patch(STRATEGIC, CONTAINERS("{\"name\":\"a\"},{\"name\":\"b\"}"),
                 CONTAINERS("{\"name\":\"z\"},{\"$patch\":\"replace\"}"),
                 CONTAINERS("{\"name\":\"z\"}"));
    expect_patch(STRATEGIC, CONTAINERS("{\"name\":\"a\",\"command\":[\"x\",\"y\"]}"),
                 CONTAINERS("{\"name\":\"a\",\"command\":[\"z\"]}"),
                 CONTAINERS("{\"name\":\"a\",\"command\":[\"z\"]}"));
    expect_patch(STRATEGIC, CONTAINERS("{\"name\":\"a\"},{\"name\":\"b\"}"),
                 "{\"spec\":{\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}}",
                 CONTAINERS("{\"name\":\"b\"},{\"name\":\"a\"}"));
    expect_patch(STRATEGIC, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
                 "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"]}}",
                 "{\"metadata\":{\"finalizers\":[\"b\"]}}");
}

TEST(strategic_objects)
{
    expect_patch(STRATEGIC, "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
                 "{\"metadata\":{\"labels\":{\"a\":null,\"b\":\"2\"}}}",
                 "{\"metadata\":{\"labels\":{\"b\":\"2\"}}}");
    expect_patch(STRATEGIC, "{\"spec\":{\"securityContext\":{\"runAsUser\":1}}}",
                 "{\"spec\":{\"securityContext\":{\"$patch\":\"replace\",\"fsGroup\":2}}}",
                 "{\"spec\":{\"securityContext\":{\"fsGroup\":2}}}");
    expect_patch(STRATEGIC, "{\"spec\":{\"nodeName\":\"x\",\"hostname\":\"y\"}}",
                 "{\"spec\":{\"$retainKeys\":[\"hostname\"],\"hostname\":\"z\"}}",
                 "{\"spec\":{\"hostname\":\"z\"}}");
}

TEST(strategic_errors)
{
    expect_error(STRATEGIC, CONTAINERS("{\"name\":\"a\"}"), CONTAINERS("{\"image\":\"x\"}"),
                 ERR_FAILED,
                 "map: map[image:x] does not contain declared merge key: name");
    expect_error(STRATEGIC, "{\"spec\":{\"securityContext\":{}}}",
                 "{\"spec\":{\"securityContext\":{\"$patch\":\"frob\"}}}", ERR_FAILED,
                 "unknown patch type: frob in map: map[$patch:frob]");
    expect_error(STRATEGIC, "{}", "[]", ERR_INVALID,
                 "json: cannot unmarshal array into Go value of type map[string]interface {}");
    expect_error(STRATEGIC, "{\"spec\":{\"a\":1}}", "{\"spec\":{\"$retainKeys\":[\"a\"],\"b\":1}}",
                 ERR_INVALID,
                 "invalid patch format of retainKeys");
}
