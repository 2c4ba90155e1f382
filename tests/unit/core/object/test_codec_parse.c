#include "core/object/codec.h"
#include "tests/harness/test.h"

static const char *parsed(struct arena *a, enum codec_media media, const char *text,
                          const char **notes)
{
    struct codec_notes n = { .a = a };
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;
    struct json *tree;

    EXPECT_OK(codec_parse(&tree, a, media, slice_of(text), &n, &err), &err);
    json_write(&b, tree);
    *notes = codec_notes_text(&n);
    return arena_strdup(a, b.p);
}

/* As into a struct: later values go over earlier ones, lists item by item. */
TEST(equal_keys_merge)
{
    struct arena *a = arena_new(0);
    const char *notes;

    EXPECT_STR(parsed(a, MEDIA_JSON,
                      "{\"s\":{\"a\":1,\"b\":{\"x\":1}},\"s\":{\"b\":{\"y\":2},\"c\":3}}", &notes),
               "{\"s\":{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"c\":3}}");
    EXPECT_STR(notes, "duplicate field \"s\"");
    EXPECT_STR(parsed(a, MEDIA_JSON, "{\"l\":[{\"a\":1},2,3],\"l\":[{\"b\":2},4]}", &notes),
               "{\"l\":[{\"a\":1,\"b\":2},4]}");
    EXPECT_STR(parsed(a, MEDIA_JSON, "[{\"k\":{\"a\":1},\"k\":null,\"k\":{\"b\":1}}]", &notes),
               "[{\"k\":{\"b\":1}}]");
    EXPECT_STR(notes, "duplicate field \"[0].k\", duplicate field \"[0].k\"");
    EXPECT_STR(parsed(a, MEDIA_JSON, "{\"l\":[1],\"l\":[2,3]}", &notes), "{\"l\":[2,3]}");
    arena_free(a);
}

TEST(equal_keys_replace)
{
    struct arena *a = arena_new(0);
    const char *notes;

    EXPECT_STR(parsed(a, MEDIA_PATCH, "{\"s\":{\"a\":1},\"s\":{\"b\":2}}", &notes),
               "{\"s\":{\"b\":2}}");
    EXPECT_STR(notes, "duplicate field \"s\"");
    EXPECT_STR(parsed(a, MEDIA_YAML, "s: {a: 1}\nt: 1\ns: {b: 2}\n", &notes),
               "{\"s\":{\"b\":2},\"t\":1}");
    EXPECT_STR(notes, "yaml: unmarshal errors:\n  line 3: key \"s\" already set in map");
    arena_free(a);
}
